"""Numbers in memory and in registers: a bool is a byte there and a bit here, a 16-bit float becomes a float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from symgraph.codegen.llvm_shuffles import shuffled
from symgraph.codegen.vectors import Body, Register, suffix, type_of
from symgraph.graph.types import BOOL, DType, dtype

FLOAT32, FLOAT64 = dtype("float32"), dtype("float64")
INT16, INT32, INT64, UINT8 = map(dtype, ("int16", "int32", "int64", "uint8"))


class Mask(NamedTuple):
    """The lanes of a vector that count."""

    lanes: Register
    all: Register
    """Whether they are all. Then vectors are read and written as a whole: what is masked, processors do not fetch
    ahead."""


Lanes: TypeAlias = Mask | Register | None
"""Those of a mask, which is used always where it is only a register; None for all."""


def computed_in(row: DType) -> DType:
    """The dtype of registers that hold numbers of a dtype."""
    return FLOAT32 if row.is_float and row.bits == 16 else row


def load(body: Body, row: DType, address: str, lanes: int, mask: Lanes, *, each: int = 1) -> Register:
    """Neighbours in memory; lanes that a mask leaves out are 0 and not read. It says so for ``each`` so many lanes."""
    kept = _kept_as(row)
    type_ = type_of(kept, lanes)

    def whole() -> list[Register]:
        return [Register(body.named(f"load {type_}, ptr {address}, align 1"), kept, lanes)]

    def some(mask: Register) -> list[Register]:
        mask = _repeated(body, mask, each)
        function = f"@llvm.masked.load.{suffix(kept, lanes)}.p0"
        body.declared.add(f"declare {type_} {function}(ptr, i32, {mask.type}, {type_})")
        given = f"ptr {address}, i32 1, {mask.type} {mask.text}, {type_} zeroinitializer"
        return [Register(body.named(f"call {type_} {function}({given})"), kept, lanes)]

    (x,) = _where_all(body, mask, whole, some)
    return _from_memory(body, x, row)


def fetch(body: Body, address: str, *, nearest: bool = False) -> None:
    """Ask for a line of memory that is read later, in the second cache or in the nearest; there need not be one."""
    body.declared.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    body.emit(f"call void @llvm.prefetch.p0(ptr {address}, i32 0, i32 {3 if nearest else 2}, i32 1)")


def stream(body: Body, x: Register, row: DType, address: str) -> None:
    """To neighbours in memory, and by the caches; the address is a multiple of the bytes. `fence` follows."""
    x = _to_memory(body, x, row)
    body.declared.add("!1 = !{i32 1}")
    aligned = x.lanes * row.numpy.itemsize
    body.emit(f"store {x.type} {x.text}, ptr {address}, align {aligned}, !nontemporal !1")


def fence(body: Body) -> None:
    """What was streamed is seen by everyone who sees what is written after this."""
    body.emit("fence seq_cst")


def store(body: Body, x: Register, row: DType, address: str, mask: Lanes, *, each: int = 1) -> None:
    """To neighbours in memory; where a mask leaves lanes out, nothing is written. It says so for ``each`` so many."""
    x = _to_memory(body, x, row)

    def whole() -> list[Register]:
        body.emit(f"store {x.type} {x.text}, ptr {address}, align 1")
        return []

    def some(mask: Register) -> list[Register]:
        mask = _repeated(body, mask, each)
        function = f"@llvm.masked.store.{suffix(x.row, x.lanes)}.p0"
        body.declared.add(f"declare void {function}({x.type}, ptr, i32, {mask.type})")
        body.emit(f"call void {function}({x.type} {x.text}, ptr {address}, i32 1, {mask.type} {mask.text})")
        return []

    _where_all(body, mask, whole, some)


def replaced(body: Body, xs: Sequence[Register], others: Sequence[Register], mask: Lanes) -> list[Register]:
    """Registers, with others in the lanes that a mask leaves out."""

    def some(mask: Register) -> list[Register]:
        return [body.select(mask, x, y) for x, y in zip(xs, others, strict=True)]

    return _where_all(body, mask, lambda: list(xs), some)


def first_lanes(body: Body, count: Register, lanes: int, *, masks: bool) -> Register:
    """So many lanes, at least one; of a machine with ``masks``, by a shift."""
    if not masks:
        return body.compare("lt", counting(lanes), body.spread(count, lanes))
    word, missing = f"i{lanes}", body.sub(lanes, count)
    shift = missing.text if lanes == 64 else body.named(f"trunc i64 {missing.text} to {word}")
    bits = body.named(f"lshr {word} -1, {shift}")
    return Register(body.named(f"bitcast {word} {bits} to <{lanes} x i1>"), BOOL, lanes)


def all_or_first(body: Body, count: Register, lanes: int) -> Mask:
    """The first lanes, or all if there are so many: then no mask is computed."""
    is_whole, every = body.compare("le", lanes, count), body.constant(BOOL, 1, lanes)
    (found,) = _where_all(
        body,
        Mask(every, is_whole),
        lambda: [every],
        lambda _: [first_lanes(body, count, lanes, masks=True)],
    )
    return Mask(found, is_whole)


def _repeated(body: Body, mask: Register, times: int) -> Register:
    """Each lane so many times."""
    return mask if times == 1 else shuffled(body, mask, mask, [n // times for n in range(times * mask.lanes)])


def _where_all(
    body: Body,
    mask: Lanes,
    whole: Callable[[], list[Register]],
    some: Callable[[Register], list[Register]],
) -> list[Register]:
    """What one function gives where all lanes count, or there is no mask; what another gives of a mask elsewhere."""
    if mask is None:
        return whole()
    if isinstance(mask, Register):
        return some(mask)
    first, second, after = (body.label(what) for what in ("all", "some", "then"))
    body.declared.add(MOSTLY)
    body.emit(f"br i1 {mask.all.text}, label %{first}, label %{second}, !prof !0")
    body.begin(first)
    xs = whole()
    body.emit(f"br label %{after}")
    body.begin(second)
    ys, end = some(mask.lanes), body.block
    body.emit(f"br label %{after}")
    body.begin(after)
    return [body.meet(x, first, y, end) for x, y in zip(xs, ys, strict=True)]


MOSTLY = '!0 = !{!"branch_weights", i32 1000, i32 1}'
"""What a module has to hold whose branches are ``!prof !0``: they nearly always go the first way."""


def gather(body: Body, row: DType, address: str, stride: Register, lanes: int, mask: Lanes) -> Register:
    """Numbers that lie a stride of bytes apart."""
    kept = _kept_as(row)
    type_, pointers = type_of(kept, lanes), f"<{lanes} x ptr>"
    function = f"@llvm.masked.gather.{suffix(kept, lanes)}.v{lanes}p0"
    lane = only(mask) or body.constant(BOOL, 1, lanes)
    body.declared.add(f"declare {type_} {function}({pointers}, i32, {lane.type}, {type_})")
    at = _places(body, address, stride, lanes)
    text = (
        f"call {type_} {function}({pointers} {at}, i32 1, {lane.type} {lane.text}, {type_} zeroinitializer)"
    )
    return _from_memory(body, Register(body.named(text), kept, lanes), row)


def scatter(body: Body, x: Register, row: DType, address: str, stride: Register, mask: Lanes) -> None:
    """To places a stride of bytes apart."""
    x = _to_memory(body, x, row)
    pointers = f"<{x.lanes} x ptr>"
    function = f"@llvm.masked.scatter.{suffix(x.row, x.lanes)}.v{x.lanes}p0"
    lane = only(mask) or body.constant(BOOL, 1, x.lanes)
    body.declared.add(f"declare void {function}({x.type}, {pointers}, i32, {lane.type})")
    at = _places(body, address, stride, x.lanes)
    body.emit(f"call void {function}({x.type} {x.text}, {pointers} {at}, i32 1, {lane.type} {lane.text})")


def only(mask: Lanes) -> Register | None:
    """The lanes in a register; None for all."""
    return mask.lanes if isinstance(mask, Mask) else mask


def counting(lanes: int) -> Register:
    """0, 1, 2, … in the lanes."""
    return Register(f"<{', '.join(f'i64 {n}' for n in range(lanes))}>", INT64, lanes)


def address(body: Body, base: str, offset: Register | int) -> str:
    """So many bytes further."""
    text = f"{offset}" if isinstance(offset, int) else offset.text
    return body.named(f"getelementptr i8, ptr {base}, i64 {text}") if text != "0" else base


def round_to(body: Body, x: Register, row: DType) -> Register:
    """The nearest number of a dtype, in the register that it is computed in; the lowest bit even at a tie."""
    if not (row.is_float and row.bits == 16):
        return x
    return _from_memory(body, _to_memory(body, x, row), row)


def _places(body: Body, base: str, stride: Register, lanes: int) -> str:
    offsets = body.mul(counting(lanes), body.spread(stride, lanes))
    return body.named(f"getelementptr i8, ptr {base}, {offsets.type} {offsets.text}")


def _kept_as(row: DType) -> DType:
    """The dtype of the numbers that are read: bytes for bools, and for bfloat16 its bits."""
    return UINT8 if row is BOOL else INT16 if row.name == "bfloat16" else row


def _from_memory(body: Body, x: Register, row: DType) -> Register:
    if row is BOOL:
        return body.compare("ne", x, 0)
    if row.name == "bfloat16":
        wide = body.convert(x, INT32)
        return body.as_float(body.shl(wide, 16))
    return body.convert(x, computed_in(row))


def _to_memory(body: Body, x: Register, row: DType) -> Register:
    if row is BOOL:
        return body.convert(x, UINT8)
    if row.name == "bfloat16":
        return _as_bfloat16(body, x)
    return body.convert(x, row)


def _as_bfloat16(body: Body, x: Register) -> Register:
    """The upper half of a float32, rounded; a NaN stays one."""
    x = body.convert(x, FLOAT32)
    bits = body.as_integer(x)
    odd = body.and_(body.shr(bits, 16), 1)
    rounded = body.shr(body.add(body.add(bits, 0x7FFF), odd), 16)
    quiet = body.or_(body.shr(bits, 16), 0x40)
    return body.convert(body.select(body.is_nan(x), quiet, rounded), INT16)
