"""What the sizes in a text take to compute, told by their syntax trees before anything is computed.

A few characters can say a polynomial of a thousand terms, ``(a + b)*(c + d)*…``, and a few more say another. The sizes
of a text have a budget of steps that grows with the text; those that are printed stay far below it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from symgraph.errors import ShapeError

LEAST_STEPS = 100_000
CHARACTERS_PER_STEP = 2


@dataclass(slots=True, eq=False)
class Budget:
    """How many steps are left; a step is a term that an operation meets, and takes a few microseconds."""

    left: int

    @classmethod
    def of(cls, text: str) -> Budget:
        """What the sizes of this text may take together."""
        return cls(LEAST_STEPS + len(text) // CHARACTERS_PER_STEP)

    def spend(self, node: ast.expr) -> None:
        """Take the steps of all sizes in a size or a type. Raises ShapeError if too few are left."""
        waiting = [node]
        while waiting:
            match waiting.pop():
                case ast.Tuple(parts):
                    waiting += parts
                case ast.Subscript(_, part):
                    waiting.append(part)
                case size:
                    self._walk(size)

    def _take(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ShapeError("the sizes of the text take too long to compute")

    def _walk(self, node: ast.expr) -> tuple[int, int]:
        """How many terms a size has at most, and how many choices if it is one of ``max`` or ``min``."""
        right: list[ast.BinOp] = []
        while isinstance(node, ast.BinOp):  # a long sum is deep on its left only
            right.append(node)
            node = node.left
        terms, choices = self._operand(node)
        for operation in reversed(right):
            more, others = self._walk(operation.right)
            match operation.op:
                case ast.Mult():
                    terms, choices = terms * more, 1
                    self._take(terms)
                case ast.FloorDiv() | ast.Mod():
                    self._take((terms + more) * (1 if more == 1 else terms))
                    terms, choices = terms + 1, 1
                case _:
                    terms, choices = terms + more, max(choices, others)
                    self._take(terms)
        return terms, choices

    def _operand(self, node: ast.expr) -> tuple[int, int]:
        self._take(1)
        match node:
            case ast.UnaryOp(_, operand):
                terms, choices = self._walk(operand)
                self._take(terms)
                return terms, choices
            case ast.Call(function, args):
                parts = [self._walk(arg) for arg in args]
                choices = sum(each for _, each in parts)
                is_compared = not (isinstance(function, ast.Name) and function.id == "broadcast")
                self._take(max(sum(terms for terms, _ in parts), choices) * (choices if is_compared else 1))
                return 1, choices
        return 1, 1
