"""Products that neither overflow nor underflow on the way, as LLVM IR: numbers between 1 and 2 and powers of two."""

from __future__ import annotations

from typing import TypeAlias

from symgraph.codegen.llvm_log import log_of_scaled
from symgraph.codegen.llvm_memory import INT64
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.types import DType, dtype

Pair: TypeAlias = tuple[Register, Register]
"""A number, and the power of two that it is multiplied by."""


class Scaled:
    """Such numbers of a dtype. What is 0, infinite or NaN stands as it is."""

    def __init__(self, body: Body, row: DType) -> None:
        self._body, self._row, self._bits = body, row, dtype(f"int{row.bits}")
        self._digits = {32: 23, 64: 52}[row.bits]
        self._most = (1 << row.bits - 1 - self._digits) - 1
        """The exponent that infinity is written with."""
        self._bias = self._most >> 1

    @property
    def one(self) -> Pair:
        return self._body.constant(self._row, 1, 0), self._body.constant(INT64, 0, 0)

    def times(self, x: Pair, y: Register) -> Pair:
        """The product with a number."""
        body = self._body
        first, power = self._normal(y)
        found, more = self._normal(body.mul(x[0], first))
        return found, body.add(body.add(x[1], power), more)

    def number(self, x: Pair) -> Register:
        """The number, rounded once; infinity where it is too large."""
        body, (found, power) = self._body, x
        for _ in range(2):
            some = body.intrinsic("smin", body.intrinsic("smax", power, 1 - self._bias), self._bias)
            found = body.mul(found, self._power(some))
            power = body.sub(power, some)
        return found

    def sign(self, x: Pair) -> Register:
        """1 or -1."""
        body = self._body
        one = body.constant(self._row, 1, 0)
        return body.select(body.compare("lt", x[0], 0), body.neg(one), one)

    def log(self, x: Pair) -> Register:
        """The logarithm of the absolute value, also of what no number is."""
        return log_of_scaled(self._body, self._body.abs(x[0]), x[1])

    def _power(self, n: Register) -> Register:
        """2 to the power of an integer for which there is such a number."""
        body = self._body
        return body.as_float(body.shl(body.convert(body.add(n, self._bias), self._bits), self._digits))

    def _normal(self, x: Register) -> Pair:
        """A number as one between 1 and 2, or -1 and -2, and its power of two."""
        body, shift = self._body, self._digits + 2
        is_tiny = body.compare("eq", self._exponent(x), 0)
        x = body.select(is_tiny, body.mul(x, 2.0**shift), x)
        power = self._exponent(x)
        stays = body.or_(body.compare("eq", power, 0), body.compare("eq", power, self._most))
        pattern = body.and_(body.as_integer(x), ~(self._most << self._digits))
        one = body.as_float(body.or_(pattern, self._bias << self._digits))
        count = body.convert(body.sub(power, self._bias), INT64)
        count = body.sub(count, body.select(is_tiny, body.constant(INT64, shift, 0), 0))
        return body.select(stays, x, one), body.select(stays, 0, count)

    def _exponent(self, x: Register) -> Register:
        """As it is written."""
        body = self._body
        return body.and_(body.shr(body.as_integer(x), self._digits), self._most)
