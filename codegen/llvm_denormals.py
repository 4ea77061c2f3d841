"""Small numbers in kernels that update variables, as LLVM IR.

With a denormal float32, given or found, a product, quotient or root takes an x86 processor 125 to 150 cycles for every
vector, sums and conversions none. Averages that decay are where such numbers come from and where they stay, so a turn
that updates a variable looks at what it has read::

    load m, g, s
    if some lane of them is small, and not 0:
        each product, quotient and root first looks whether it meets or finds a denormal number, and is then done in
        float64, and rounded
    else:
        as always

Zeros are not small: where nothing is learned all gradients are 0. What is looked at decides about time and never about
bits, since those are the same in both ways. A product of two float32 is a float64, so that it is rounded once. A
quotient is rounded twice, which is innocuous (S. Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 30,
1995): what lies half way between two float32, denormal ones too, has 25 bits or fewer, and a quotient of numbers of 24
bits either is such a number, and then a float64, or is further from all of them than ``2**-50`` of itself, and float64
has 53 bits. The root of a denormal number is that of the number times ``2**150``, times ``2**-75``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

from symgraph.codegen.layout import Layout
from symgraph.codegen.llvm_memory import FLOAT32, FLOAT64, MOSTLY
from symgraph.codegen.loops import Compute, Load, LoopKernel, Operand, Value, all_of, columns_of
from symgraph.codegen.machine import Machine
from symgraph.codegen.vectorized import followed, parts_of
from symgraph.codegen.vectors import Body, Register
from symgraph.graph.op import Op
from symgraph.graph.types import BOOL
from symgraph.ops import arithmetic, comparison
from symgraph.ops.transcendental import sqrt

_ALONE, _SQUARED = 0x70000000, 0x60000000
"""Bits of which one is set in numbers that are not below ``2**-95``, and in those not below ``2**-63``. What is found
of the former is hardly a denormal number, nor is what a quotient leaves, if they are multiplied by numbers of a few
digits; of the latter neither if they are multiplied by themselves."""

_FREE = frozenset(
    f.op
    for f in (
        *(arithmetic.add, arithmetic.subtract, arithmetic.negative, arithmetic.abs, arithmetic.where),
        *(arithmetic.maximum, arithmetic.minimum, comparison.copysign, comparison.isnan, comparison.isinf),
        *(
            comparison.isfinite,
            comparison.equal,
            comparison.not_equal,
            comparison.less,
            comparison.less_equal,
        ),
        *(comparison.greater, comparison.greater_equal, comparison.logical_and, comparison.logical_or),
        *(comparison.logical_xor, comparison.logical_not),
    )
)
"""What takes denormal numbers as any others."""

_EXPONENT = 23
"""Where the exponent begins."""
_NORMAL = 1 << _EXPONENT
"""The bits of the least number that is not denormal."""
_ONE = 127 << _EXPONENT
_LOG = 3 << (_EXPONENT - 4)
"""The bits of numbers are nearly logarithms: those of a product are the sum of those of its factors, less `_ONE`, or
more, but not by so much."""


def looked_at(
    kernel: LoopKernel, layout: Layout, machine: Machine, updated: frozenset[int]
) -> Mapping[str, int]:
    """The loads that are looked at, and the bits of which one is set where a number is not small.

    They are variables that are ``updated`` and of which a product, quotient or root is made, and beside them what is
    multiplied by itself or by another load. There are none where denormal numbers cost nothing, and where a kernel does
    something else along its vectors than arithmetic in float32, or has sweeps.
    """
    if not updated or not machine.assists or machine.flushes or layout.vector < 0 or columns_of(kernel):
        return {}
    _, vectors = followed(kernel, layout, parts_of(kernel).kept)
    names = {kernel.reads[n].name for n in updated}
    powers: dict[str, Mapping[str, int]] = {}
    highest: dict[str, int] = {}
    decaying: set[str] = set()
    for x in all_of(kernel):
        if isinstance(x, Load) and x.target.name in vectors and x.target.row is FLOAT32:
            powers[x.target.name] = {x.target.name: 1}
            decaying |= {x.target.name} if x.param.name in names else set()
        if not isinstance(x, Compute) or x.target.name not in vectors:
            continue
        if x.target.row not in (FLOAT32, BOOL) or not (x.op in _CAREFUL or x.op in _FREE):
            return {}
        own = powers[x.target.name] = _powers(x, [_known(powers, y) for y in x.args])
        if x.op in _CAREFUL:
            for name, power in own.items():
                highest[name] = max(power, highest.get(name, 0))
    if decaying.isdisjoint(highest):
        return {}
    return {
        name: _ALONE if power == 1 else _SQUARED
        for name, power in highest.items()
        if power > 1 or name in decaying
    }


def _known(powers: Mapping[str, Mapping[str, int]], x: Operand) -> Mapping[str, int]:
    return powers.get(x.name, {}) if isinstance(x, Value) else {}


def _powers(x: Compute, args: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The highest product of loads in a result that each load is in."""
    most = [max(own.values(), default=0) for own in args]
    found: dict[str, int] = {}
    for n, own in enumerate(args):
        beside = sum(most) - most[n] if x.op is arithmetic.multiply.op else 0
        for name, power in own.items():
            found[name] = max(power + beside, found.get(name, 0))
    return found


def branch(body: Body, loaded: Sequence[tuple[Register, int]], tame: str, small: str) -> None:
    """Where every lane is 0 or not small the lines under one label follow, else those under another. Zeros are told
    from small numbers where there are some of either: this costs more than the rest."""
    doubtful = body.label("doubtful")
    body.declared.add(MOSTLY)
    tested = [body.and_(body.as_unsigned(x), bits) for x, bits in loaded]
    least = reduce(partial(body.intrinsic, "umin"), tested)
    body.emit(
        f"br i1 {_none(body, [body.compare('eq', least, 0)])}, label %{tame}, label %{doubtful}, !prof !0"
    )
    body.begin(doubtful)
    low = [
        body.and_(body.compare("eq", bits, 0), body.compare("ne", x, 0))
        for bits, (x, _) in zip(tested, loaded, strict=True)
    ]
    body.emit(f"br i1 {_none(body, low)}, label %{tame}, label %{small}")


def _none(body: Body, masks: Sequence[Register]) -> str:
    """One bit: whether no lane of some masks is set."""
    return body.named(f"xor i1 {body.any(reduce(body.or_, masks))}, true")


def careful(body: Body, op: Op, args: Sequence[Register]) -> Register | None:
    """What an op finds of numbers that may be small; None where it is done as always."""
    return _CAREFUL[op](body, *args) if op in _CAREFUL else None


def _product(body: Body, x: Register, y: Register) -> Register:
    a, b = _size(body, x), _size(body, y)
    least = body.intrinsic("umin", a, b)
    low = body.compare("lt", body.add(a, b), _ONE + _NORMAL)
    small = body.or_(low, body.compare("lt", least, _NORMAL))
    return _either(body, body.and_(small, body.compare("ne", least, 0)), Body.mul, x, y)


def _quotient(body: Body, x: Register, y: Register) -> Register:
    a, b = _size(body, x), _size(body, y)
    low = body.intrinsic("smax", body.as_integer(body.sub(b, _ONE - _NORMAL - _LOG)), _NORMAL)
    small = body.compare("lt", body.sub(a, 1), body.sub(body.as_unsigned(low), 1))
    return _either(body, body.or_(small, _is_denormal(body, b)), Body.div, x, y)


def _root(body: Body, x: Register) -> Register:
    """As an integer a denormal number is itself times ``2**149``."""
    denormal = _is_denormal(body, _size(body, x))
    scaled = body.convert(body.as_integer(x), FLOAT32)
    root = body.sqrt(body.select(denormal, body.add(scaled, scaled), x))
    return body.mul(root, body.select(denormal, body.constant(FLOAT32, 2.0**-75, x.lanes), 1.0))


def _size(body: Body, x: Register) -> Register:
    """The bits of the absolute number: the greater one, the greater they are."""
    return body.and_(body.as_unsigned(x), 0x7FFFFFFF)


def _is_denormal(body: Body, size: Register) -> Register:
    return body.compare("lt", body.sub(size, 1), _NORMAL - 1)


def _either(
    body: Body, small: Register, meaning: Callable[[Body, Register, Register], Register], *args: Register
) -> Register:
    """In float64 where some lane is small, else as always."""
    wide, usual, after = body.label("wide"), body.label("usual"), body.label("after")
    body.emit(f"br i1 {body.any(small)}, label %{wide}, label %{usual}")
    body.begin(wide)
    found = body.convert(meaning(body, *(body.convert(x, FLOAT64) for x in args)), FLOAT32)
    body.emit(f"br label %{after}")
    body.begin(usual)
    same = meaning(body, *args)
    body.emit(f"br label %{after}")
    body.begin(after)
    return body.meet(found, wide, same, usual)


_CAREFUL: Mapping[Op, Callable[..., Register]] = {
    arithmetic.multiply.op: _product,
    arithmetic.divide.op: _quotient,
    arithmetic.reciprocal.op: lambda body, x: _quotient(body, body.like(1.0, x), x),
    sqrt.op: _root,
}
"""What denormal numbers make slow."""
