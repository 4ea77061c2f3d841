"""The statements of a text, one after the other: where each begins and ends, found before anything of it is parsed.

What Python's parser is given is one statement, of bounded length and depth: a syntax tree takes 500 times the memory of
its text, and so the tree of a statement is all that is there at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass

from symgraph.errors import ParseError

MOST_TOKENS = 150_000
"""Words and signs in one statement; their syntax tree takes less than 80 MB."""
DEEPEST_BRACKETS = 150
LONGEST_QUOTE = 120
LONGEST_SPELLED = 1000
_BLANKS = " \t\f"
_BEFORE_STRINGS = ("r", "R", "u", "U")
_TOKEN = re.compile(
    r'''"""(?:\\.|(?!""").)*+"""|\'\'\'(?:\\.|(?!\'\'\').)*+\'\'\''''
    r"""|"(?:\\.|[^"\\\n])*+"|'(?:\\.|[^'\\\n])*+'"""
    r"""|\#[^\n]*+|\\\n|\n|(?P<word>\w++)|[^\w\s]""",
    re.DOTALL,
)
_SPACE = re.compile(r"[ \t\f]*")
_BLOCK = re.compile(r"def\b|@")


@dataclass(slots=True, eq=False)
class Statement:
    """One statement without the block below it; lines end in ``\\n``."""

    text: str
    line: int
    """The number of its first line, from 1."""
    column: int = 0
    """Characters to the left of it in that line."""
    indent: str = ""
    """What its block is indented by."""

    def is_above(self, other: Statement | None) -> bool:
        """Whether the other one stands in a block below this one."""
        return other is not None and self.indent != other.indent and other.indent.startswith(self.indent)


def unix_lines(text: str) -> str:
    """The text with lines ended as Python reads them."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text whose lines end in ``\\n``; comments and empty lines between them are none.

    A statement ends with its line, unless a bracket or a string is open or the line ends in a backslash, or before
    that at a semicolon. Raises ParseError for one that is too long or too deep for a syntax tree.
    """
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        row = text[at : end if end >= 0 else len(text)]
        body = row.lstrip(_BLANKS)
        if not body or body[0] == "#" or row == "\\":
            at, line = at + len(row) + 1, line + 1
            continue
        indent = row[: len(row) - len(body)]
        first = Statement(body, line, len(indent), indent.rpartition("\f")[2])
        if _is_whole(body):
            yield first
            at, line = at + len(row) + 1, line + 1
        else:
            at, line = yield from _scanned(text, at, first)


def quoted(message: str, line: str) -> str:
    """The message with a line of the text below it."""
    line = line.strip()
    return f"{message}\n  {line[:LONGEST_QUOTE]}{'…' if len(line) > LONGEST_QUOTE else ''}"


def spelled(node: ast.expr) -> str:
    """An expression as a message has it: in 60 characters, or by its kind where it is long."""
    if node.lineno == node.end_lineno and (node.end_col_offset or 0) - node.col_offset <= LONGEST_SPELLED:
        with suppress(RecursionError):
            text = ast.unparse(node)
            return text if len(text) <= 60 else f"{text[:57]}…"
    return type(node).__name__


def _is_whole(line: str) -> bool:
    """Whether a line is one short statement, as most are: it has no strings, and brackets that are closed."""
    if '"' in line or "'" in line or "\\" in line or ";" in line or len(line) > MOST_TOKENS:
        return False
    code = line.partition("#")[0] if "#" in line else line
    parens, squares, braces = code.count("("), code.count("["), code.count("{")
    return (
        parens == code.count(")")
        and squares == code.count("]")
        and braces == code.count("}")
        and parens + squares + braces <= DEEPEST_BRACKETS
    )


def _scanned(text: str, start: int, first: Statement) -> Generator[Statement, None, tuple[int, int]]:
    """The statements from a line that begins at ``start`` to the line that the last of them ends in; then the place and
    the number of the line below it."""
    at, line = start + first.column, first.line
    is_block = _BLOCK.match(first.text) is not None  # whose body may follow its colon
    while True:
        end = _end(text, at, line, is_block)
        yield Statement(text[at:end] or ";", line, at - start, first.indent)
        line += text.count("\n", at, end)
        start = max(start, text.rfind("\n", at, end) + 1)
        if text[end : end + 1] != ";":
            return end + 1, line + 1
        at = _SPACE.match(text, end + 1).end()  # type: ignore[union-attr]
        if text[at : at + 1] in ("", "\n", "#"):
            end = text.find("\n", at)
            return (end if end >= 0 else len(text)) + 1, line + 1
        if _BLOCK.match(text, at):
            raise _fault("a function begins on a line of its own", text, at, line)


def _end(text: str, start: int, line: int, is_block: bool) -> int:
    """Where the statement ends that begins here: at a newline, a semicolon or the end of the text."""
    depth = 0
    word, word_end = "", -1
    for count, found in enumerate(_TOKEN.finditer(text, start)):
        token = found[0]
        match token[0]:
            case "(" | "[" | "{":
                depth += 1
            case ")" | "]" | "}":
                depth = max(depth - 1, 0)
            case "\n" if depth == 0:
                return found.start()
            case ";" if depth == 0 and not is_block:
                return found.start()
            case "'" | '"':
                if len(token) == 1:  # it has no end, and Python says so
                    end = text.find("\n", found.end())
                    return end if end >= 0 else len(text)
                if word_end == found.start() and word not in _BEFORE_STRINGS:
                    raise _fault("a string has nothing before its quotes", text, start, line)
            case _ if found.lastgroup:
                word, word_end = token, found.end()
        if depth > DEEPEST_BRACKETS:
            raise _fault(f"more than {DEEPEST_BRACKETS} brackets are open", text, start, line)
        if count >= MOST_TOKENS:
            text_ = f"a statement has more than {MOST_TOKENS} words and signs"
            raise _fault(f"{text_}; is its bracket closed?" if depth else text_, text, start, line)
    return len(text)


def _fault(message: str, text: str, start: int, line: int) -> ParseError:
    begin, end = text.rfind("\n", 0, start) + 1, text.find("\n", start)
    row = text[begin : end if end >= 0 else len(text)]
    return ParseError(quoted(message, row), line, start - begin + 1)
