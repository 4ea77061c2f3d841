"""The inverses of the error function and of the distribution of normal variables.

``erfinv(x) / x`` is a function of ``w = -log(1 - x²)``: a polynomial in ``w`` where that is small, else in ``sqrt(w)``.
"""

from __future__ import annotations

import math

from symgraph.codegen.coefficients import CENTERS
from symgraph.codegen.llvm_log import log
from symgraph.codegen.llvm_parts import INF, by_bits, polynomial
from symgraph.codegen.vectors import Body, Register


def erfinv(body: Body, x: Register) -> Register:
    """0.0 of -0.0, as SciPy has it."""
    t = body.abs(x)
    w = body.neg(log(body, body.mul(body.sub(1.0, t), body.add(t, 1.0))))
    found = body.fma(x, _curve(body, w, body.sqrt(w)), 0.0)
    return body.select(body.compare("eq", t, 1.0), body.copysign(INF, x), found)


def ndtri(body: Body, x: Register) -> Register:
    """``sqrt(2) * erfinv(2x - 1)`` with ``w = -log(4x * (1 - x))``."""
    w = body.neg(log(body, body.mul(body.mul(x, 4.0), body.sub(1.0, x))))
    root = body.sqrt(w)
    curve = _curve(body, w, root)
    curve = body.rarely(body.compare("gt", w, by_bits(x, 16.0, 37.0)), curve, lambda: _far(body, root))
    found = body.mul(body.mul(body.fma(x, 2.0, -1.0), math.sqrt(2)), curve)
    found = body.select(body.compare("eq", x, 0.0), body.like(-INF, x), found)
    return body.select(body.compare("eq", x, 1.0), body.like(INF, x), found)


def _curve(body: Body, w: Register, root: Register) -> Register:
    near, beyond = _piece(body, w, "erfinv"), _piece(body, root, "erfinv beyond")
    if w.row.bits == 64:
        beyond = body.select(body.compare("lt", root, 4.0), beyond, _piece(body, root, "erfinv far"))
    return body.select(body.compare("lt", w, by_bits(w, 5.0, 6.25)), near, beyond)


def _far(body: Body, root: Register) -> Register:
    found = _piece(body, root, "ndtri far")
    if root.row.bits == 64:
        farther = _piece(body, root, "ndtri farther")
        found = body.select(body.compare("lt", root, 12.0), found, farther)
    return found


def _piece(body: Body, x: Register, name: str) -> Register:
    return polynomial(body, body.sub(x, CENTERS[name][x.row.bits]), name)
