"""The first code of functions: what is selected here gives the bits of what LLVM selects."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.codegen import llvm_memory as memory
from symgraph.codegen.vectors import Body, Register, declarations
from symgraph.codegen.x86 import assembled
from symgraph.graph.types import dtype
from symgraph.runtime import elf
from symgraph.runtime.cpu import compiled, host

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")

INT64 = dtype("int64")
IN, OUT, COUNT = "%in", "%out", Register("%count", INT64, 0)
names = (f"drawn_{n}" for n in itertools.count())


def module(body, functions=""):
    """A function of two arrays and of how many numbers they have, and others that it calls."""
    name = next(names)
    head = ["%in = load ptr, ptr %table, align 8", "%two = getelementptr i8, ptr %table, i64 8"]
    head += ["%out = load ptr, ptr %two, align 8", "%count = sub i64 %end, %begin"]
    lines = "\n".join([*(f"  {line}" for line in head), *body.lines, "  ret void"])
    text = f"define void @{name}(ptr %table, i64 %begin, i64 %end) #0 {{\nentry:\n{lines}\n}}\n"
    return name, f"{functions}{text}{declarations(body.declared)}attributes #0 = {{ {host().attributes} }}\n"


def both(body, functions=""):
    """LLVM's best code of a module, and code that is selected here, as functions."""
    name, text = module(body, functions)
    assert assembled(text).is_whole
    type_ = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return [type_(elf.load(code, {})[name]) for code in (compiled(text, 2), compiled(text, 0))]


def left(call, given, size, count):
    """What a function leaves in the memory of the results."""
    out = np.full(size, 0xAB, np.uint8)
    call((ctypes.c_int64 * 2)(given.ctypes.data, out.ctypes.data), 0, count)
    return out


def check(body, given, size, row, count=0):
    """The same bits, but that a NaN is a NaN."""
    best, first = (left(call, given, size, count).view(row.numpy) for call in both(body))
    same = (best.view(f"u{row.numpy.itemsize}") == first.view(f"u{row.numpy.itemsize}")) | (
        np.isnan(best) & np.isnan(first)
    )
    assert same.all(), f"{np.flatnonzero(~same)[:5]}: {best[~same][:5]} and {first[~same][:5]}"


def numbers(rng, row, size):
    """Usual ones, and a few of any bits."""
    x = (rng.normal(size=size) * 10.0 ** rng.integers(-3, 4, size)).astype(row.numpy)
    some = rng.random(size) < 0.1
    x[some] = rng.integers(0, 2 ** (8 * row.numpy.itemsize) - 1, some.sum(), f"u{row.numpy.itemsize}").view(
        row.numpy
    )
    return x


class Drawn:
    """Operations on vectors, drawn one after the other."""

    def __init__(self, rng, row, lanes):
        self.rng, self.row, self.lanes, self.body = rng, row, lanes, Body(fma=True)
        self.count, self.written = 6, 0
        self.floats = [self.load(n) for n in range(self.count)]
        self.integers = [self.body.as_integer(self.floats[0]), self.body.as_unsigned(self.floats[1])]
        self.masks = [self.body.compare("lt", *self.floats[:2])]

    @property
    def bytes(self):
        return max(self.lanes, 1) * self.row.numpy.itemsize

    def load(self, n):
        address = memory.address(self.body, IN, n * self.bytes)
        return memory.load(self.body, self.row, address, self.lanes, None)

    def store(self, x):
        memory.store(self.body, x, self.row, memory.address(self.body, OUT, self.written * self.bytes), None)
        self.written += 1

    def pick(self, values):
        """Mostly new ones, so that some are needed for long."""
        n = len(values)
        return (
            values[-1 - min(int(self.rng.exponential(4)), n - 1)]
            if self.rng.random() < 0.7
            else self.any(values)
        )

    def any(self, values):
        return values[self.rng.integers(len(values))]

    def constant(self):
        return float(self.any([0.0, -0.0, 1.0, -2.5, 0.1, 1e10, np.inf]))

    def float(self):
        return self.constant() if self.rng.random() < 0.2 else self.pick(self.floats)

    def draw(self):
        body, x, y, z = self.body, self.pick(self.floats), self.float(), self.float()
        kind = self.rng.integers(8)
        if kind < 2:
            how = self.any([body.add, body.sub, body.mul, body.div])
            self.floats.append(how(x, y) if self.rng.random() < 0.7 else how(y, x))
        elif kind == 2:
            self.floats.append(body.fma(*self.any([(x, y, z), (y, x, z), (y, z, x)])))
        elif kind == 3:
            of_one = [body.neg, body.abs, body.sqrt, body.floor, body.ceil, body.trunc, body.rint]
            self.floats.append(self.any(of_one)(x))
        elif kind == 4:
            how = self.any(["eq", "ne", "lt", "le", "gt", "ge"])
            self.masks.append(body.compare(how, *self.any([(x, y), (y, x)])))
            self.floats.append(body.select(self.pick(self.masks), *self.any([(x, y), (y, x)])))
        elif kind == 5 and self.lanes:
            self.draw_integer()
        elif kind == 6 and self.lanes:
            a, b = self.pick(self.masks), self.pick(self.masks)
            self.masks.append(self.any([body.and_, body.or_, body.xor])(a, b))
            self.masks.append(body.not_(self.pick(self.masks)))
        else:
            self.floats.append(body.copysign(x, self.pick(self.floats)))

    def draw_integer(self):
        body, x = self.body, self.pick(self.integers)
        y = self.any([each for each in self.integers if each.row is x.row])
        number = int(self.rng.integers(1, 100))
        kind = self.rng.integers(4)
        if kind == 0:
            how = self.any([body.add, body.sub, body.mul, body.and_, body.or_, body.xor])
            self.integers.append(how(*self.any([(x, y), (x, number), (number, x)])))
        elif kind == 1:
            self.integers.append(self.any([body.shl, body.shr])(x, number % self.row.bits))
        elif kind == 2:
            self.masks.append(body.compare(self.any(["eq", "ne", "lt", "le", "gt", "ge"]), x, y))
        else:
            self.integers.append(self.any([body.as_integer, body.as_unsigned])(self.pick(self.floats)))
            self.floats.append(body.as_float(x))


@pytest.mark.parametrize("row", [dtype("float32"), dtype("float64")], ids=str)
@pytest.mark.parametrize("share", [0.25, 0.5, 1, 2, 4])
def test_drawn_operations(row, share):
    lanes = int(share * 64 // row.numpy.itemsize)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        drawn = Drawn(rng, row, lanes)
        for _ in range(int(rng.integers(5, 150 if share <= 1 else 40))):
            drawn.draw()
        for x in drawn.floats[:: -int(rng.integers(1, 4))]:
            drawn.store(x)

        given = numbers(rng, row, drawn.count * max(lanes, 1))
        check(drawn.body, given, drawn.written * drawn.bytes, row)


@pytest.mark.parametrize("row", [dtype("float32"), dtype("float64")], ids=str)
def test_single_numbers_among_vectors(row):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        single, drawn = Drawn(rng, row, 0), Drawn(rng, row, 64 // row.numpy.itemsize)
        single.body = drawn.body
        single.floats = [single.load(n) for n in range(6)]
        single.masks = [drawn.body.compare("lt", *single.floats[:2])]
        for _ in range(20):
            single.draw()
            drawn.draw()
            drawn.draw()
            drawn.floats.append(drawn.body.spread(single.pick(single.floats), drawn.lanes))
        for x in drawn.floats[::-2]:
            drawn.store(x)

        check(drawn.body, numbers(rng, row, drawn.count * drawn.lanes), drawn.written * drawn.bytes, row)


def test_more_values_than_registers_in_a_loop():
    row = dtype("float32")
    drawn = Drawn(np.random.default_rng(0), row, 16)
    body = drawn.body
    many = [body.mul(drawn.any(drawn.floats), float(n)) for n in range(45)]
    places = [memory.address(body, IN, body.mul(COUNT, 4 * n)) for n in range(20)]

    def turn(n, carried):
        fresh = [
            memory.load(body, row, memory.address(body, place, body.mul(n, 4)), 16, None) for place in places
        ]
        return [body.fma(x, fresh[k % 20], many[-k]) for k, x in enumerate(carried)]

    for x in body.loop(0, COUNT, 2, many, turn):
        drawn.store(x)

    check(body, numbers(drawn.rng, row, 400), drawn.written * 64, row, count=7)
    check(body, numbers(drawn.rng, row, 400), drawn.written * 64, row)


@pytest.mark.parametrize("places", list(itertools.permutations(range(4)))[::3])
def test_carried_values_change_places(places):
    """Vectors, masks and integers that a turn hands on in another order."""
    row = dtype("float64")
    drawn = Drawn(np.random.default_rng(1), row, 8)
    body = drawn.body
    masks = [body.compare("lt", x, 0.5) for x in drawn.floats[:4]]
    whole = [body.add(COUNT, n) for n in range(4)]

    def turn(n, carried):
        groups = carried[:4], carried[4:8], carried[8:]
        return [group[place] for group in groups for place in places]

    found = body.loop(0, COUNT, 1, [*drawn.floats[:4], *masks, *whole], turn)
    for x, mask, number in zip(found[:4], found[4:8], found[8:], strict=True):
        drawn.store(body.select(mask, x, body.convert(body.spread(number, 8), row)))

    for count in range(5):
        check(body, numbers(drawn.rng, row, 48), drawn.written * 64, row, count=count)


@pytest.mark.parametrize("lanes", [16, 32, 64])
def test_some_lanes(lanes):
    """Reading, choosing and writing some, where a mask is one for several registers."""
    row = dtype("float32")
    drawn = Drawn(np.random.default_rng(2), row, lanes)
    body = drawn.body
    mask = memory.all_or_first(body, COUNT, lanes)
    x = memory.load(body, row, IN, lanes, mask)
    (y,) = memory.replaced(body, [x], [body.mul(x, 2.0)], mask)
    z = body.select(body.and_(mask.lanes, body.compare("gt", y, 0.0)), y, -1.0)
    memory.store(body, z, row, OUT, mask)
    rare = body.rarely(body.compare("gt", x, 1.0), x, lambda: body.add(body.mul(x, x), drawn.floats[1]))
    drawn.written = 1
    drawn.store(rare)

    for count in (1, lanes // 2 + 1, lanes - 1, lanes, 3 * lanes):
        check(body, numbers(drawn.rng, row, 6 * lanes), 2 * 4 * lanes, row, count=count)


def test_a_mask_of_several_registers_is_carried():
    """It is packed to one where a loop begins."""
    row = dtype("float64")
    drawn = Drawn(np.random.default_rng(6), row, 32)
    body = drawn.body
    none = body.constant(dtype("bool"), 0, 32)

    def turn(n, carried):
        x = memory.load(body, row, memory.address(body, IN, body.mul(n, 256)), 32, None)
        return [body.or_(carried[0], body.compare("gt", x, 1.0))]

    (found,) = body.loop(0, COUNT, 1, [none], turn)
    drawn.store(body.select(found, drawn.floats[0], 0.0))

    for count in range(3):
        check(body, numbers(drawn.rng, row, 6 * 32), drawn.written * drawn.bytes, row, count=count)


def test_lanes_change_places():
    row = dtype("float32")
    for lanes in (4, 8, 16):
        drawn = Drawn(np.random.default_rng(lanes), row, lanes)
        body, type_ = drawn.body, f"<{lanes} x float>"
        for _ in range(6):
            x, y = drawn.any(drawn.floats), drawn.any(drawn.floats)
            listed = ", ".join(f"i32 {n}" for n in drawn.rng.integers(0, 2 * lanes, lanes))
            text = f"shufflevector {type_} {x.text}, {type_} {y.text}, <{lanes} x i32> <{listed}>"
            drawn.floats.append(Register(body.named(text), row, lanes))
        half = drawn.floats[-1]
        while half.lanes > 1:
            halves = []
            for begin in (0, half.lanes // 2):
                listed = ", ".join(f"i32 {begin + n}" for n in range(half.lanes // 2))
                text = f"shufflevector {half.type} {half.text}, {half.type} {half.text}, "
                text += f"<{half.lanes // 2} x i32> <{listed}>"
                halves.append(Register(body.named(text), row, half.lanes // 2))
            half = body.add(*halves)
        whole = Register(body.named(f"extractelement {half.type} {half.text}, i64 0"), row, 0)
        drawn.store(body.mul(drawn.floats[-2], body.spread(whole, lanes)))
        for x in drawn.floats[6:]:
            drawn.store(x)

        check(body, numbers(drawn.rng, row, 6 * lanes), drawn.written * drawn.bytes, row)


def test_counting_lanes_and_bytes():
    row = dtype("float64")
    drawn = Drawn(np.random.default_rng(5), row, 8)
    body = drawn.body
    counted = body.mul(memory.counting(8), body.spread(COUNT, 8))
    drawn.store(body.convert(counted, row))
    some = body.compare("lt", memory.counting(8), body.spread(COUNT, 8))
    drawn.store(body.select(some, *drawn.floats[:2]))

    for count in (0, 3, 8):
        check(body, numbers(drawn.rng, row, 48), 128, row, count=count)


@pytest.mark.parametrize(
    "line",
    [
        "fadd <3 x float> splat (float 0x3FF0000000000000), splat (float 0x3FF0000000000000)",
        "add <16 x i24> splat (i24 1), splat (i24 2)",
        "fcmp one float 0x3FF0000000000000, 0x0000000000000000",
        "icmp samesign ult i64 %count, 7",
        "load volatile i64, ptr %in, align 8",
        "load atomic float, ptr %in monotonic, align 8",
        "call i64 %in(i8 %count)",
        "call i64 @other.than.declared(i64 %count)",
        "frem float 0x3FF0000000000000, 0x3FF0000000000000",
        "call <16 x float> @llvm.canonicalize.v16f32(<16 x float> zeroinitializer)",
    ],
)
def test_a_line_that_is_not_known_leaves_its_function_to_llvm(line):
    row = dtype("float32")
    drawn = Drawn(np.random.default_rng(3), row, 16)
    drawn.body.named(line)
    drawn.store(drawn.body.add(*drawn.floats[:2]))
    _, text = module(drawn.body)

    assert assembled(text) is None
    assert assembled(text.replace(line, "sub i64 %count, 7")).is_whole


def test_of_two_functions_one_is_known():
    row = dtype("float32")
    texts = []
    for name in ("canonicalize", "fabs"):
        drawn = Drawn(np.random.default_rng(4), row, 16)
        drawn.store(drawn.body.intrinsic(name, drawn.floats[0]))
        texts.append(module(drawn.body))
    (other, first), (known, second) = texts
    whole = assembled(first + second.replace(second[second.index("attributes") :], ""))

    assert f"define void @{other}(" in whole.rest
    assert f"define void @{known}(" not in whole.rest
    assert [*whole.image.begins] == [known]
    assert not whole.is_whole


@pytest.mark.parametrize("count", (0, 1))
def test_an_address_that_one_branch_needs_first(count):
    """It is found anew on a way that does not lead through that branch."""
    body = Body()
    for line in (
        "%far = getelementptr i8, ptr %in, i64 64",
        "%is.asked = icmp ne i64 %count, 0",
        "br i1 %is.asked, label %asked, label %after",
    ):
        body.emit(line)
    body.begin("asked")
    body.emit("%number = ptrtoint ptr %far to i64")
    body.emit("%more = getelementptr i8, ptr %out, i64 8")
    body.emit("store i64 %number, ptr %more, align 8")
    body.emit("br label %after")
    body.begin("after")
    body.emit("%at = select i1 %is.asked, ptr %in, ptr %far")
    body.emit("%found = load i64, ptr %at, align 8")
    body.emit("store i64 %found, ptr %out, align 8")

    given = np.arange(20)
    for call in both(body):
        assert left(call, given, 16, count).view(np.int64)[0] == (0 if count else 8)
