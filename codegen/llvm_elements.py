"""Elements in memory and in registers, of which complex numbers are pairs: neighbours in memory, two registers here."""

from __future__ import annotations

from symgraph.codegen import llvm_memory as memory
from symgraph.codegen.complex_ops import Element, part_of
from symgraph.codegen.llvm_memory import Lanes, address, computed_in
from symgraph.codegen.llvm_shuffles import shuffled
from symgraph.codegen.vectors import Body, Complex, Register
from symgraph.graph.types import DType


def load(body: Body, row: DType, place: str, lanes: int, mask: Lanes) -> Element:
    """Neighbours in memory; lanes that a mask leaves out are 0 and not read."""
    if not row.is_complex:
        return memory.load(body, row, place, lanes, mask)
    part = part_of(row)
    if not lanes:
        return Complex(*(memory.load(body, part, at, 0, None) for at in _parts(body, row, place)))
    both = memory.load(body, part, place, 2 * lanes, mask, each=2)
    return Complex(*(shuffled(body, both, both, range(n, 2 * lanes, 2)) for n in (0, 1)))


def store(body: Body, x: Element, row: DType, place: str, mask: Lanes) -> None:
    """To neighbours in memory; where a mask leaves lanes out, nothing is written."""
    if isinstance(x, Register):
        memory.store(body, x, row, place, mask)
    elif x.lanes:
        memory.store(body, _interleaved(body, x), part_of(row), place, mask, each=2)
    else:
        for part, at in zip((x.re, x.im), _parts(body, row, place), strict=True):
            memory.store(body, part, part.row, at, None)


def stream(body: Body, x: Element, row: DType, place: str) -> None:
    """To neighbours in memory, and by the caches; the address is a multiple of the bytes. `fence` follows."""
    if isinstance(x, Register):
        memory.stream(body, x, row, place)
    else:
        memory.stream(body, _interleaved(body, x), part_of(row), place)


def gather(body: Body, row: DType, place: str, stride: Register, lanes: int, mask: Lanes) -> Element:
    """Numbers that lie a stride of bytes apart."""
    if not row.is_complex:
        return memory.gather(body, row, place, stride, lanes, mask)
    part, places = part_of(row), _parts(body, row, place)
    return Complex(*(memory.gather(body, part, at, stride, lanes, mask) for at in places))


def scatter(body: Body, x: Element, row: DType, place: str, stride: Register, mask: Lanes) -> None:
    """To places a stride of bytes apart."""
    if isinstance(x, Register):
        memory.scatter(body, x, row, place, stride, mask)
        return
    for part, at in zip((x.re, x.im), _parts(body, row, place), strict=True):
        memory.scatter(body, part, part.row, at, stride, mask)


def constant(body: Body, row: DType, value: complex, lanes: int) -> Element:
    """A number in every lane."""
    near = computed_in(row)
    if not near.is_complex:
        return body.constant(near, value, lanes)  # type: ignore[arg-type]
    part = part_of(near)
    return Complex(body.constant(part, value.real, lanes), body.constant(part, value.imag, lanes))


def nothing_like(body: Body, x: Element) -> Element:
    """0 in every lane."""
    return constant(body, x.row, 0, x.lanes)


def spread(body: Body, x: Element, lanes: int) -> Element:
    """One number in every lane."""
    if isinstance(x, Register):
        return body.spread(x, lanes)
    return Complex(body.spread(x.re, lanes), body.spread(x.im, lanes))


def meet(body: Body, x: Element, before: str, y: Element, end: str) -> Element:
    """In a block that two lead to: ``x`` for who comes from one, ``y`` from the other."""
    if isinstance(x, Complex) and isinstance(y, Complex):
        return Complex(body.meet(x.re, before, y.re, end), body.meet(x.im, before, y.im, end))
    assert isinstance(x, Register) and isinstance(y, Register)
    return body.meet(x, before, y, end)


def _interleaved(body: Body, x: Complex) -> Register:
    return shuffled(body, x.re, x.im, [half + n for n in range(x.lanes) for half in (0, x.lanes)])


def _parts(body: Body, row: DType, place: str) -> tuple[str, str]:
    """Where the parts of a number lie."""
    return place, address(body, place, row.numpy.itemsize // 2)
