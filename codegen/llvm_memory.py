"""Numbers in memory and in registers: a bool is a byte there and a bit here, a 16-bit float becomes a float32."""

from __future__ import annotations

from symgraph.codegen.vectors import Body, Register, suffix, type_of
from symgraph.graph.types import BOOL, DType, dtype

FLOAT32, FLOAT64 = dtype("float32"), dtype("float64")
INT16, INT32, INT64, UINT8 = map(dtype, ("int16", "int32", "int64", "uint8"))


def computed_in(row: DType) -> DType:
    """The dtype of registers that hold numbers of a dtype."""
    return FLOAT32 if row.is_float and row.bits == 16 else row


def load(body: Body, row: DType, address: str, lanes: int, mask: Register | None) -> Register:
    """Neighbours in memory; lanes that a mask leaves out are 0 and not read."""
    kept = _kept_as(row)
    type_ = type_of(kept, lanes)
    if mask is None:
        text = f"load {type_}, ptr {address}, align 1"
    else:
        function = f"@llvm.masked.load.{suffix(kept, lanes)}.p0"
        body.declared.add(f"declare {type_} {function}(ptr, i32, {mask.type}, {type_})")
        text = (
            f"call {type_} {function}(ptr {address}, i32 1, {mask.type} {mask.text}, {type_} zeroinitializer)"
        )
    return _from_memory(body, Register(body.named(text), kept, lanes), row)


def store(body: Body, x: Register, row: DType, address: str, mask: Register | None) -> None:
    """To neighbours in memory; where a mask leaves lanes out, nothing is written."""
    x = _to_memory(body, x, row)
    if mask is None:
        body.emit(f"store {x.type} {x.text}, ptr {address}, align 1")
        return
    function = f"@llvm.masked.store.{suffix(x.row, x.lanes)}.p0"
    body.declared.add(f"declare void {function}({x.type}, ptr, i32, {mask.type})")
    body.emit(f"call void {function}({x.type} {x.text}, ptr {address}, i32 1, {mask.type} {mask.text})")


def gather(
    body: Body, row: DType, address: str, stride: Register, lanes: int, mask: Register | None
) -> Register:
    """Numbers that lie a stride of bytes apart."""
    kept = _kept_as(row)
    type_, pointers = type_of(kept, lanes), f"<{lanes} x ptr>"
    function = f"@llvm.masked.gather.{suffix(kept, lanes)}.v{lanes}p0"
    mask = mask or body.constant(BOOL, 1, lanes)
    body.declared.add(f"declare {type_} {function}({pointers}, i32, {mask.type}, {type_})")
    at = _places(body, address, stride, lanes)
    text = (
        f"call {type_} {function}({pointers} {at}, i32 1, {mask.type} {mask.text}, {type_} zeroinitializer)"
    )
    return _from_memory(body, Register(body.named(text), kept, lanes), row)


def scatter(
    body: Body, x: Register, row: DType, address: str, stride: Register, mask: Register | None
) -> None:
    """To places a stride of bytes apart."""
    x = _to_memory(body, x, row)
    pointers = f"<{x.lanes} x ptr>"
    function = f"@llvm.masked.scatter.{suffix(x.row, x.lanes)}.v{x.lanes}p0"
    mask = mask or body.constant(BOOL, 1, x.lanes)
    body.declared.add(f"declare void {function}({x.type}, {pointers}, i32, {mask.type})")
    at = _places(body, address, stride, x.lanes)
    body.emit(f"call void {function}({x.type} {x.text}, {pointers} {at}, i32 1, {mask.type} {mask.text})")


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
