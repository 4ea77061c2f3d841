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

LONGEST_QUOTE = 120


class TextReader(ABC):
    """What readers of graphs and of loops have in common."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = re.split(r"\r\n|\r|\n", text)

    def tree(self) -> ast.Module:
        """The text as Python."""
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            raise self.error(str(error.msg), error.lineno, error.offset) from None
        except (ValueError, OverflowError) as error:
            raise ParseError(f"the text is no Python: {error}") from None

    def error(self, message: str, line: int | None, column: int | None) -> ParseError:
        """ParseError with the line quoted below the message."""
        if line is not None and 0 < line <= len(self.lines):
            quote = self.lines[line - 1].strip()
            message = f"{message}\n  {quote[:LONGEST_QUOTE]}{'…' if len(quote) > LONGEST_QUOTE else ''}"
        return ParseError(message, line, column)

    def fail(self, message: object, node: ast.AST) -> NoReturn:
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
