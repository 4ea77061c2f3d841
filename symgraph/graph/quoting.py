"""Reading text through `ast`: what is wrong is said with its line quoted."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NoReturn

from symgraph.errors import ParseError, SymgraphError
from symgraph.graph.attributes import Reader, fields_of
from symgraph.graph.op import Op
from symgraph.graph.statements import LONGEST_QUOTE as LONGEST_QUOTE
from symgraph.graph.statements import Statement, quoted, unix_lines


class TextReader(ABC):
    """What readers of graphs and of loops have in common.

    They are in one statement of the text at a time; to begin with, the whole text counts as one.
    """

    def __init__(self, text: str) -> None:
        self.enter(Statement(unix_lines(text), 1))

    def enter(self, statement: Statement) -> None:
        """Let this be the statement that is read, and in which errors are."""
        self.current = statement
        self.lines = statement.text.split("\n")

    def tree(self, below: str = "") -> ast.Module:
        """The statement as Python, with a block below it."""
        text = self.current.text
        if text.endswith("\\\n"):  # a backslash that continues with an empty line
            text += "\n"
        try:
            return ast.parse(text + below)
        except SyntaxError as error:
            raise self.error(self._counted(str(error.msg)), error.lineno or 1, error.offset) from None
        except (ValueError, OverflowError) as error:
            raise self.error(f"the text is no Python: {error}", 1, None) from None
        except (RecursionError, MemoryError):
            raise self.error("the text is too deeply nested", 1, None) from None

    def _counted(self, message: str) -> str:
        """What Python says of the statement, with the numbers of the text's lines."""
        return re.sub(r"\bline (\d+)", lambda found: f"line {int(found[1]) + self.current.line - 1}", message)

    def error(self, message: str, line: int | None, column: int | None) -> ParseError:
        """ParseError with a line of the statement, counted from 1, quoted below the message."""
        if line is None or not 0 < line <= len(self.lines):
            return ParseError(message, line and line + self.current.line - 1, column)
        if line == 1 and column is not None:
            column += self.current.column
        return ParseError(quoted(message, self.lines[line - 1]), line + self.current.line - 1, column)

    def fail(self, message: object, node: ast.AST | None) -> NoReturn:
        """Raises ParseError at a part of the statement, or at its beginning."""
        line, start = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        before = self.lines[line - 1].encode(errors="replace")[:start] if line <= len(self.lines) else b""
        raise self.error(str(message), line, len(before.decode(errors="replace")) + 1)

    def attributes(
        self, op: Op, keywords: list[ast.keyword], node: ast.AST, reader: Reader
    ) -> dict[str, object]:
        """The attributes of an op that keywords give."""
        known = fields_of(op.attrs) if op.attrs is not None else {}
        found: dict[str, object] = {}
        for keyword in keywords:
            if keyword.arg is None or keyword.arg not in known:
                self.unknown(f"attribute of {op.name}", keyword.arg or "**", known, keyword)
            if keyword.arg in found:
                self.fail(f"{keyword.arg} of {op.name} is given twice", keyword)
            try:
                found[keyword.arg] = reader.read(keyword.value, known[keyword.arg].annotation)
            except SymgraphError as error:
                self.fail(f"{keyword.arg} of {op.name}: {error}", keyword.value)
        missing = [name for name, row in known.items() if row.required and name not in found]
        if missing:
            self.fail(f"{op.name} needs {', '.join(missing)}", node)
        return found

    @abstractmethod
    def unknown(self, what: str, name: str, known: Iterable[str], node: ast.AST) -> NoReturn:
        """Fail for a name that there is not, with a hint at those that there are."""


def first_line(error: SymgraphError) -> str:
    """Without the table of operands, whose lines are not those of the text."""
    return str(error).partition("\n")[0]


def brief(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:39] + "…")
