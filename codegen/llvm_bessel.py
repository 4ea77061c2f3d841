"""Modified Bessel functions of the first kind, of orders 0 and 1."""

from __future__ import annotations

from symgraph.codegen.llvm_exp import exp_of_sum, grown
from symgraph.codegen.llvm_parts import (
    Pair,
    at_least,
    at_most,
    by_bits,
    coefficients,
    format_of,
    horner,
    polynomial,
    two_product,
    two_sum,
)
from symgraph.codegen.vectors import Body, Register


def i0(body: Body, x: Register) -> Register:
    """A polynomial in ``x²``; for large ``t = |x|``, ``e**t / sqrt(t)`` times one in ``1 / t``.

    As SciPy has it, `i0` and `i1` are NaN at infinity, and `i1` and `i1e` are 0.0 at -0.0.
    """
    return _plain(body, body.abs(x), "i0")


def i1(body: Body, x: Register) -> Register:
    return _odd(body, x, _plain(body, body.abs(x), "i1"))


def i0e(body: Body, x: Register) -> Register:
    return _scaled(body, body.abs(x), "i0")


def i1e(body: Body, x: Register) -> Register:
    return _odd(body, x, _scaled(body, body.abs(x), "i1"))


def _odd(body: Body, x: Register, found: Register) -> Register:
    return body.select(body.compare("lt", x, 0.0), body.neg(found), found)


def _plain(body: Body, t: Register, name: str) -> Register:
    limited = at_most(body, t, by_bits(t, 93.0, 716.5))
    far = grown(body, limited, _far(body, limited, name))
    found = body.select(_is_near(body, t), body.add(*_near(body, limited, name)), far)
    return body.fma(t, 0.0, found)


def _scaled(body: Body, t: Register, name: str) -> Register:
    limited = at_most(body, t, by_bits(t, 9.0, 21.0))
    near = exp_of_sum(body, (body.neg(limited), body.like(0.0, t)), _near(body, limited, name))
    return body.select(_is_near(body, t), near, _far(body, t, name))


def _is_near(body: Body, t: Register) -> Register:
    return body.compare("lt", t, by_bits(t, 8.0, 20.0))


def _near(body: Body, t: Register, name: str) -> Pair:
    """A polynomial in ``z = t² / 4``: the sum of one of its even and one of its odd powers.

    ``slip`` is how much of ``z`` the rounding of ``z`` and of ``z²`` took away. What the result lacks for it is nearly
    that times ``1 / (s + sqrt(z + (s + 1/2)²))`` of itself, with ``s = 1/4`` and for order 1 ``3/4``.
    """
    half = body.mul(t, 0.5)
    z, rest = two_product(body, half, half)
    square, rest_of_square = two_product(body, z, z)
    values = coefficients(f"{name} near 0", t)
    even, odd = horner(body, square, values[::2]), horner(body, square, values[1::2])
    product, error = two_product(body, odd, z)
    found, more = two_sum(body, product, even)
    slip = body.fma(rest, z, body.mul(rest_of_square, 0.5))
    shift = 0.25 if name == "i0" else 0.75
    root = body.add(body.sqrt(body.add(z, (shift + 0.5) ** 2)), shift)
    slip = body.div(slip, body.mul(at_least(body, z, format_of(t).least), root))
    lacking = body.fma(found, slip, body.add(error, more))
    if name == "i0":
        return found, lacking
    found, rest = two_product(body, found, half)
    return found, body.fma(lacking, half, rest)


def _far(body: Body, t: Register, name: str) -> Register:
    return body.div(polynomial(body, body.div(1.0, t), f"{name} far out"), body.sqrt(t))
