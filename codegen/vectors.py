"""LLVM IR as text, over vectors: what the printer and the bodies of functions are written with.

Every operation takes registers of one type, or Python numbers, which become constants of the type of the others, adds a
line, and gives the register of its result. Floating-point operations have no fast-math flag and are not contracted: the
same bits come out at every level of LLVM's code generation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from symgraph.graph.types import BOOL, DType, dtype


class Register(NamedTuple):
    """A value of LLVM: its name, or its text where it is a constant; ``lanes`` numbers of a dtype, 0 for one that is
    not a vector."""

    text: str
    row: DType
    lanes: int

    @property
    def type(self) -> str:
        return type_of(self.row, self.lanes)


class Complex(NamedTuple):
    """A complex number, or a vector of them: the real parts and the imaginary ones."""

    re: Register
    im: Register

    @property
    def row(self) -> DType:
        return dtype(f"complex{2 * self.re.row.bits}")

    @property
    def lanes(self) -> int:
        return self.re.lanes


Value: TypeAlias = Register | float | int
"""What an operation takes."""

Comparison: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]

_ORDERED = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
"""As IEEE and NumPy compare: with a NaN all are false but ``ne``."""


Turn: TypeAlias = "Callable[[Register, list[Register]], list[Register]]"


class Body:
    """Lines of a function, in order."""

    def __init__(self, *, fma: bool = True) -> None:
        self.lines: list[str] = []
        self.declared: set[str] = set()
        """Declarations that the lines ask of their module."""
        self.block = "entry"
        """The label that the last lines stand under."""
        self.ready: Callable[[str], str | None] | None = None
        """Finds the name of a function whose code comes with the package, where such are called."""
        self._fma = "fma" if fma else "fmuladd"
        self._count = 0

    @property
    def fused(self) -> bool:
        """Whether `fma` rounds once."""
        return self._fma == "fma"

    def emit(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def named(self, text: str) -> str:
        """A new name for what a line gives."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self, what: str) -> str:
        """A new name for a block."""
        self._count += 1
        return f"{what}{self._count}"

    def begin(self, label: str) -> None:
        """The lines from here on stand under a label."""
        self.lines.append(f"{label}:")
        self.block = label

    def rarely(self, mask: Register, usual: Register, slow: Callable[[], Register]) -> Register:
        """``usual``, but what ``slow`` gives in the lanes of the mask; its lines run only where there are any."""
        rare, after, before = self.label("rare"), self.label("after"), self.block
        self.emit(f"br i1 {self.any(mask)}, label %{rare}, label %{after}")
        self.begin(rare)
        found, end = self.select(mask, slow(), usual), self.block
        self.emit(f"br label %{after}")
        self.begin(after)
        made = self._new(usual)
        self.emit(_phi(made, before, usual, end, found))
        return made

    def rarely_all(
        self,
        mask: Register,
        usual: tuple[Register, ...],
        slow: Callable[[], tuple[Register, ...]],
    ) -> tuple[Register, ...]:
        """As `rarely`, of several registers."""
        rare, after, before = self.label("rare"), self.label("after"), self.block
        self.emit(f"br i1 {self.any(mask)}, label %{rare}, label %{after}")
        self.begin(rare)
        found = [self.select(mask, new, old) for new, old in zip(slow(), usual, strict=True)]
        end = self.block
        self.emit(f"br label %{after}")
        self.begin(after)
        texts = [
            f"phi {old.type} [ {old.text}, %{before} ], [ {new.text}, %{end} ]"
            for new, old in zip(found, usual, strict=True)
        ]
        return tuple(
            Register(self.named(text), old.row, old.lanes) for text, old in zip(texts, usual, strict=True)
        )

    def each_lane(
        self,
        x: Register,
        rows: Sequence[DType],
        one: Callable[[Register], tuple[Register, ...]],
    ) -> tuple[Register, ...]:
        """What ``one`` gives of every lane alone, one after the other: for code that rarely runs and would be long."""
        if not x.lanes:
            return one(x)
        turn, after, before = self.label("turn"), self.label("after"), self.block
        self.emit(f"br label %{turn}")
        self.begin(turn)
        place, lane, following = len(self.lines), f"%{self.label('lane')}", f"%{self.label('following')}"
        so_far = [Register(f"%{self.label('lanes')}", row, x.lanes) for row in rows]
        found = one(Register(self.named(f"extractelement {x.type} {x.text}, i64 {lane}"), x.row, 0))
        filled = [
            self.named(f"insertelement {old.type} {old.text}, {new.type} {new.text}, i64 {lane}")
            for old, new in zip(so_far, found, strict=True)
        ]
        self.emit(f"{following} = add i64 {lane}, 1")
        more = self.named(f"icmp ult i64 {following}, {x.lanes}")
        self.lines[place:place] = [
            f"  {lane} = phi i64 [ 0, %{before} ], [ {following}, %{self.block} ]",
            *(
                f"  {old.text} = phi {old.type} [ poison, %{before} ], [ {new}, %{self.block} ]"
                for old, new in zip(so_far, filled, strict=True)
            ),
        ]
        self.emit(f"br i1 {more}, label %{turn}, label %{after}")
        self.begin(after)
        return tuple(Register(new, old.row, old.lanes) for old, new in zip(so_far, filled, strict=True))

    def meet(self, x: Register, before: str, y: Register, end: str) -> Register:
        """In a block that two lead to: ``x`` for who comes from one, ``y`` from the other."""
        made = self._new(x)
        self.emit(_phi(made, before, x, end, y))
        return made

    def apart(self, name: str, what: Callable[..., Register], *args: Register) -> Register:
        """What ``what`` makes of registers of one type, as a function of the module that is called."""
        first = args[0]
        row, declared = _definition(name, what, first.row, first.lanes, len(args), self.fused)
        self.declared |= declared
        return self.result_of(f"@symgraph.{name}.{suffix(first.row, first.lanes)}", row, args)

    def result_of(self, function: str, row: DType, args: Sequence[Register]) -> Register:
        """What a function of the module gives: of a dtype, and in as many lanes as its arguments have."""
        lanes = args[0].lanes
        given = ", ".join(f"{x.type} {x.text}" for x in args)
        return Register(self.named(f"call {type_of(row, lanes)} {function}({given})"), row, lanes)

    def apart_all(
        self, name: str, what: Callable[..., tuple[Register, ...]], *args: Register, rare: bool = False
    ) -> tuple[Register, ...]:
        """As `apart`, of several results. What is ``rare`` is not written out where it is called."""
        first = args[0]
        rows, declared = _definition_of_all(name, what, first.row, first.lanes, len(args), self.fused, rare)
        self.declared |= declared
        function, type_ = (
            f"@symgraph.{name}.{suffix(first.row, first.lanes)}",
            _type_of_all(rows, first.lanes),
        )
        made = self.named(f"call {type_} {function}({', '.join(f'{x.type} {x.text}' for x in args)})")
        return tuple(
            Register(self.named(f"extractvalue {type_} {made}, {n}"), row, first.lanes)
            for n, row in enumerate(rows)
        )

    def again(self, carried: Register, turn: Callable[[Register], tuple[Register, Register]]) -> Register:
        """Turns, each on what the one before gave, until none of the lanes of the mask that it gives too is set."""

        def one(given: list[Register]) -> tuple[list[Register], Register]:
            found, more = turn(*given)
            return [found], more

        return self.again_all([carried], one)[0]

    def again_all(
        self,
        carried: Sequence[Register],
        turn: Callable[[list[Register]], tuple[list[Register], Register]],
    ) -> list[Register]:
        """As `again`, of several registers."""
        before, head, after = self.block, self.label("again"), self.label("enough")
        self.emit(f"br label %{head}")
        self.begin(head)
        place, given = len(self.lines), [self._new(x) for x in carried]
        found, more = turn(given)
        asked = self.any(more)
        pairs = zip(given, carried, found, strict=True)
        self.lines[place:place] = [f"  {_phi(x, before, a, self.block, b)}" for x, a, b in pairs]
        self.emit(f"br i1 {asked}, label %{head}, label %{after}")
        self.begin(after)
        return found

    def until_done(
        self,
        carried: Sequence[Register],
        turn: Callable[[list[Register]], tuple[list[Register], Register]],
    ) -> list[Register]:
        """As `again_all`, but each lane keeps what it has once it is not in the mask: it has no more turns than it
        would alone. All lanes have one."""

        def one(given: list[Register]) -> tuple[list[Register], Register]:
            *state, going = given
            found, more = turn(state)
            kept = [self.select(going, new, old) for new, old in zip(found, state, strict=True)]
            more = self.and_(going, more)
            return [*kept, more], more

        first = self.constant(BOOL, 1, carried[0].lanes)
        return self.again_all([*carried, first], one)[:-1]

    def any(self, mask: Register) -> str:
        """One bit: whether any lane of a mask is set."""
        if not mask.lanes:
            return mask.text
        whole = self.named(f"bitcast {mask.type} {mask.text} to i{mask.lanes}")
        return self.named(f"icmp ne i{mask.lanes} {whole}, 0")

    def loop(
        self, start: Value, stop: Register, step: Value, carried: Sequence[Register], turn: Turn
    ) -> list[Register]:
        """Turns for ``start``, ``start + step``, … below ``stop``: each gets its number, and what the one before gave;
        the first, and what follows where there is none, ``carried``."""
        first, before = self.like(start, stop), self.block
        head, after = self.label("loop"), self.label("done")
        self.emit(f"br i1 {self.compare('lt', first, stop).text}, label %{head}, label %{after}")
        self.begin(head)
        place = len(self.lines)
        number = self._new(first)
        given = [self._new(x) for x in carried]
        new = turn(number, given)
        following = self.add(number, step)
        more, end = self.compare("lt", following, stop).text, self.block
        self.emit(f"br i1 {more}, label %{head}, label %{after}")
        pairs = zip([number, *given], [first, *carried], [following, *new], strict=True)
        self.lines[place:place] = [f"  {_phi(x, before, a, end, b)}" for x, a, b in pairs]
        self.begin(after)
        found = [self._new(x) for x in carried]
        for x, a, b in zip(found, carried, new, strict=True):
            self.emit(_phi(x, before, a, end, b))
        return found

    def _new(self, other: Register) -> Register:
        """A register of the type of another that a line is going to give."""
        self._count += 1
        return Register(f"%v{self._count}", other.row, other.lanes)

    # Constants

    def constant(self, row: DType, value: float | int, lanes: int) -> Register:
        """A number in every lane, rounded to the dtype."""
        text = literal(row, value)
        return Register(f"splat ({type_of(row, 0)} {text})" if lanes else text, row, lanes)

    def like(self, value: Value, other: Register) -> Register:
        """A register; a number as one of the type of another."""
        return value if isinstance(value, Register) else self.constant(other.row, value, other.lanes)

    def bits(self, pattern: int, other: Register) -> Register:
        """A constant float of a type, given by its bits."""
        row = other.row
        number = np.asarray(pattern & (1 << row.bits) - 1, f"u{row.bits // 8}").view(row.numpy)
        return self.constant(row, float(number), other.lanes)

    # Arithmetic

    def add(self, x: Value, y: Value) -> Register:
        return self._binary("fadd", "add", "add", x, y)

    def sub(self, x: Value, y: Value) -> Register:
        return self._binary("fsub", "sub", "sub", x, y)

    def mul(self, x: Value, y: Value) -> Register:
        return self._binary("fmul", "mul", "mul", x, y)

    def div(self, x: Value, y: Value) -> Register:
        """The quotient; of integers the part before the point, whose divisor must not be 0."""
        return self._binary("fdiv", "sdiv", "udiv", x, y)

    def rem(self, x: Value, y: Value) -> Register:
        """What `div` leaves, with the sign of ``x``; of integers, whose divisor must not be 0."""
        return self._binary("frem", "srem", "urem", x, y)

    def fma(self, x: Value, y: Value, z: Value) -> Register:
        """``x * y + z`` rounded once; on machines that cannot, rounded twice."""
        return self.intrinsic(self._fma, x, y, z)

    def neg(self, x: Register) -> Register:
        """The sign turned, of a NaN too; of integers the difference from 0."""
        if not x.row.is_float:
            return self.sub(0, x)
        return Register(self.named(f"fneg {x.type} {x.text}"), x.row, x.lanes)

    def abs(self, x: Register) -> Register:
        return self.intrinsic("fabs", x)

    def sqrt(self, x: Register) -> Register:
        return self.intrinsic("sqrt", x)

    def floor(self, x: Register) -> Register:
        return self.intrinsic("floor", x)

    def ceil(self, x: Register) -> Register:
        return self.intrinsic("ceil", x)

    def trunc(self, x: Register) -> Register:
        return self.intrinsic("trunc", x)

    def rint(self, x: Register) -> Register:
        """To the nearest integer, halves to the even one."""
        return self.intrinsic("roundeven", x)

    def copysign(self, x: Value, sign: Value) -> Register:
        return self.intrinsic("copysign", x, sign)

    def intrinsic(self, name: str, *args: Value) -> Register:
        """``llvm.name`` of operands of one type, which it gives."""
        first = next(x for x in args if isinstance(x, Register))
        type_, row, lanes = first.type, first.row, first.lanes
        function, declaration = _intrinsic(name, row, lanes, len(args))
        self.declared.add(declaration)
        given = ", ".join([f"{type_} {self.like(x, first).text}" for x in args])
        return Register(self.named(f"call {type_} {function}({given})"), row, lanes)

    # Integers, and the bits of floats

    def and_(self, x: Value, y: Value) -> Register:
        return self._binary("", "and", "and", x, y)

    def or_(self, x: Value, y: Value) -> Register:
        return self._binary("", "or", "or", x, y)

    def xor(self, x: Value, y: Value) -> Register:
        return self._binary("", "xor", "xor", x, y)

    def shl(self, x: Value, count: Value) -> Register:
        """The count must be 0 or more and less than the bits."""
        return self._binary("", "shl", "shl", x, count)

    def shr(self, x: Value, count: Value) -> Register:
        """Arithmetic where ``x`` has a sign; the count as in `shl`."""
        return self._binary("", "ashr", "lshr", x, count)

    def not_(self, mask: Register) -> Register:
        """Of a mask."""
        return self._binary("", "xor", "xor", mask, 1)

    def as_integer(self, x: Register) -> Register:
        """The bits of a float as an integer with a sign."""
        return self._bitcast(x, dtype(f"int{x.row.bits}"))

    def as_unsigned(self, x: Register) -> Register:
        """The same bits as an integer without a sign: `shr` shifts zeros into it."""
        return self._bitcast(x, dtype(f"uint{x.row.bits}"))

    def as_float(self, x: Register) -> Register:
        return self._bitcast(x, dtype(f"float{x.row.bits}"))

    def _bitcast(self, x: Register, row: DType) -> Register:
        to = type_of(row, x.lanes)
        return Register(self.named(f"bitcast {x.type} {x.text} to {to}"), row, x.lanes)

    # Choices

    def compare(self, how: Comparison, x: Value, y: Value) -> Register:
        """A mask: a bool in every lane."""
        a, b = self._pair(x, y)
        if a.row.is_float:
            text = f"fcmp {_ORDERED[how]}"
        else:
            sign = "" if how in ("eq", "ne") else "s" if a.row.kind == "int" else "u"
            text = f"icmp {sign}{how}"
        return Register(self.named(f"{text} {a.type} {a.text}, {b.text}"), BOOL, a.lanes)

    def is_nan(self, x: Register) -> Register:
        return Register(self.named(f"fcmp uno {x.type} {x.text}, {x.text}"), BOOL, x.lanes)

    def select(self, mask: Register, x: Value, y: Value) -> Register:
        """``x`` where the mask is set, else ``y``."""
        a, b = self._pair(x, y)
        text = f"select {mask.type} {mask.text}, {a.type} {a.text}, {b.type} {b.text}"
        return Register(self.named(text), a.row, a.lanes)

    # Tables

    def table(self, name: str, values: Sequence[float], index: Register, row: DType) -> Register:
        """Elements of a constant array, which the module has under its name; each index is one of its own."""
        one = type_of(row, 0)
        numbers = ", ".join(f"{one} {literal(row, value)}" for value in values)
        self.declared.add(f"@{name} = private constant [{len(values)} x {one}] [{numbers}]")
        places = self.named(f"getelementptr {one}, ptr @{name}, {index.type} {index.text}")
        to, lanes = type_of(row, index.lanes), index.lanes
        if not lanes:
            return Register(self.named(f"load {to}, ptr {places}"), row, 0)
        pointers, mask = f"<{lanes} x ptr>", f"<{lanes} x i1>"
        function = f"@llvm.masked.gather.{suffix(row, lanes)}.v{lanes}p0"
        self.declared.add(f"declare {to} {function}({pointers}, i32, {mask}, {to})")
        given = f"{pointers} {places}, i32 {row.bits // 8}, {mask} splat (i1 true), {to} poison"
        return Register(self.named(f"call {to} {function}({given})"), row, lanes)

    # Conversions

    def convert(self, x: Register, row: DType) -> Register:
        """The number in another dtype, as a C cast makes it: towards 0, and of what does not fit no one knows what."""
        if x.row is row:
            return x
        to = type_of(row, x.lanes)
        return Register(self.named(f"{_conversion(x.row, row)} {x.type} {x.text} to {to}"), row, x.lanes)

    def spread(self, x: Register, lanes: int) -> Register:
        """One number in every lane."""
        if x.lanes or not lanes:
            return x
        to = type_of(x.row, lanes)
        first = self.named(f"insertelement {to} poison, {x.type} {x.text}, i64 0")
        text = f"shufflevector {to} {first}, {to} poison, <{lanes} x i32> zeroinitializer"
        return Register(self.named(text), x.row, lanes)

    def _pair(self, x: Value, y: Value) -> tuple[Register, Register]:
        if not isinstance(x, Register):
            assert isinstance(y, Register), "two numbers have no type"
            x = self.like(x, y)
        elif not isinstance(y, Register):
            y = self.like(y, x)
        assert (x.row is y.row and x.lanes == y.lanes) or x.type == y.type, f"{x.type} meets {y.type}"
        return x, y

    def _binary(self, of_floats: str, signed: str, unsigned: str, x: Value, y: Value) -> Register:
        a, b = self._pair(x, y)
        word = of_floats if a.row.is_float else signed if a.row.kind == "int" else unsigned
        assert word, f"{signed} of {a.row}"
        return Register(self.named(f"{word} {a.type} {a.text}, {b.text}"), a.row, a.lanes)


@cache
def _definition(
    name: str, what: Callable[..., Register], row: DType, lanes: int, arity: int, fused: bool
) -> tuple[DType, frozenset[str]]:
    """The dtype that a function gives, and what its module has to hold."""
    body, type_ = Body(fma=fused), type_of(row, lanes)
    found = what(body, *(Register(f"%x{n}", row, lanes) for n in range(arity)))
    body.emit(f"ret {found.type} {found.text}")
    signature = ", ".join(f"{type_} %x{n}" for n in range(arity))
    head = f"define internal {found.type} @symgraph.{name}.{suffix(row, lanes)}({signature}) #0 {{"
    text = "\n".join([head, "entry:", *body.lines, "}"])
    return found.row, frozenset([*body.declared, text])


@cache
def _definition_of_all(
    name: str,
    what: Callable[..., tuple[Register, ...]],
    row: DType,
    lanes: int,
    arity: int,
    fused: bool,
    rare: bool,
) -> tuple[tuple[DType, ...], frozenset[str]]:
    """As `_definition`, of several results."""
    body, type_ = Body(fma=fused), type_of(row, lanes)
    found = what(body, *(Register(f"%x{n}", row, lanes) for n in range(arity)))
    rows = tuple(x.row for x in found)
    given, whole = _type_of_all(rows, lanes), "poison"
    for n, x in enumerate(found):
        whole = body.named(f"insertvalue {given} {whole}, {x.type} {x.text}, {n}")
    body.emit(f"ret {given} {whole}")
    signature = ", ".join(f"{type_} %x{n}" for n in range(arity))
    how = "noinline #0" if rare else "#0"
    head = f"define internal {given} @symgraph.{name}.{suffix(row, lanes)}({signature}) {how} {{"
    return rows, frozenset([*body.declared, "\n".join([head, "entry:", *body.lines, "}"])])


def _type_of_all(rows: Sequence[DType], lanes: int) -> str:
    return f"{{ {', '.join(type_of(row, lanes) for row in rows)} }}"


def _phi(x: Register, before: str, first: Register, end: str, last: Register) -> str:
    return f"{x.text} = phi {x.type} [ {first.text}, %{before} ], [ {last.text}, %{end} ]"


@cache
def type_of(row: DType, lanes: int) -> str:
    """The type of a register; a bool is one bit there, and a byte in memory."""
    if row.is_float:
        scalar = {16: "half", 32: "float", 64: "double"}[row.bits] if row.name != "bfloat16" else "bfloat"
    else:
        scalar = "i1" if row is BOOL else f"i{row.bits}"
    return f"<{lanes} x {scalar}>" if lanes else scalar


@cache
def _intrinsic(name: str, row: DType, lanes: int, arity: int) -> tuple[str, str]:
    """A function of LLVM's for operands of one type, and its declaration."""
    function, type_ = f"@llvm.{name}.{suffix(row, lanes)}", type_of(row, lanes)
    return function, f"declare {type_} {function}({', '.join([type_] * arity)})"


@cache
def suffix(row: DType, lanes: int) -> str:
    """How the names of intrinsics end."""
    short = f"f{row.bits}" if row.is_float else "i1" if row is BOOL else f"i{row.bits}"
    return f"v{lanes}{short}" if lanes else short


def literal(row: DType, value: float | int) -> str:
    """A number of a dtype as LLVM reads it."""
    if row.is_float:
        if row.bits == 16:
            pattern = np.asarray(value, row.numpy).view(np.uint16)[()]
            return f"0x{'R' if row.name == 'bfloat16' else 'H'}{pattern:04X}"
        number = float(row.numpy.type(value))  # a float is written as the double that it is
        return f"0x{struct.pack('>d', number).hex().upper()}"
    if row is BOOL:
        return "1" if value else "0"
    return str(int(value))


def declarations(declared: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in sorted(set(declared)))


def _conversion(source: DType, to: DType) -> str:
    if source.is_float:
        if to.is_float:
            return "fpext" if to.bits > source.bits else "fptrunc"
        return "fptosi" if to.kind == "int" else "fptoui"
    signed = source.kind == "int"
    if to.is_float:
        return "sitofp" if signed else "uitofp"
    bits = 1 if source is BOOL else source.bits
    if to.bits > bits:
        return "sext" if signed else "zext"
    return "trunc" if to.bits < bits else "bitcast"
