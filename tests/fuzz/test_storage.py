"""Drawn programs in memory that is full of garbage: every element is written before it is read, and kept till then."""

from dataclasses import dataclass, field

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.graph.op import CONSTANT
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import View, plan
from symgraph.options import Target
from symgraph.runtime.memory import Memory
from symgraph.runtime.numpy_backend import NumpyProgram
from tests.fuzz.drawing import draw_group, loss_and_gradients
from tests.fuzz.test_fuzz import described, first_seed, tolerance  # noqa: F401

GROUPS, OWN, DONATED, OF_ANY_KIND, SMOOTH = 10, 150, 35, 10, 5  # 10 groups of 200 programs: 2,000
BLOCKS = (1, 5, 1 << 15)
GARBAGE = 0x7FFC
"""Two bytes of which every float is NaN, every integer large, and no bool is one."""


class Poisoned(Memory):
    """Memory that is full of garbage whenever it is taken, and again when it is given back."""

    def take(self, size):
        arena = super().take(size)
        spoilt(arena.memory)
        return arena

    def give(self, arena):
        spoilt(arena.memory)
        super().give(arena)

    def arena(self, size):
        arena = super().arena(size)
        spoilt(arena.memory)
        return arena

    def result(self, shape, dtype):
        return spoilt(super().result(shape, dtype))


def spoilt(array):
    data = array.reshape(-1).view(np.uint8)
    data[0::2], data[1::2] = GARBAGE & 255, GARBAGE >> 8
    return array


# Programs for every binding of their sizes


@dataclass(eq=False)
class Drawn:
    """Values by the shape and dtype that other values of a step must have."""

    rng: np.random.Generator
    inputs: list
    empty: bool
    """Whether sizes may be 0: then nothing is a largest element or an index of one."""
    values: list = field(default_factory=list)
    exact: set = field(default_factory=set)
    """What no rounding has reached: only that is compared, put in order or selected by."""

    def add(self, node, exact):
        if isinstance(node, sg.Node) and node.ndim <= 3:
            self.values.append(node)
            if exact:
                self.exact.add(node)

    def pick(self, want=lambda node: True):
        fit = [node for node in self.values if want(node)]
        return fit[len(fit) - 1 - min(int(self.rng.exponential(5)), len(fit) - 1)] if fit else None

    def like(self, node):
        """Another value of the same shape and dtype, or the same."""
        return self.pick(lambda other: other.row is node.row and other.shape == node.shape)

    def one_of(self, choices):
        return choices[self.rng.integers(len(choices))]


DTYPES = ("float64", "float64", "float64", "float32", "float32", "int64", "int32", "bool", "float16")


def draw(seed):
    """A program of 3 to 16 steps over the sizes n and m, with places along both and a few data-dependent sizes."""
    rng = np.random.default_rng(seed)
    shapes = [("n", "m"), ("n", "m"), ("m", "n"), ("m",), ("n", 1), (), ("n", 2, "m"), ("n", "n"), ("n", "n")]
    inputs = [
        sg.placeholder(DTYPES[rng.integers(len(DTYPES))], shapes[rng.integers(len(shapes))], name=f"x{i}")
        for i in range(rng.integers(1, 4))
    ]
    places = [sg.placeholder(rng.choice(["int64", "int32"]), ("k",), name=f"{size}_places") for size in "nm"]
    drawn = Drawn(rng, [*inputs, *places], bool(rng.integers(2)))
    for node in inputs:
        drawn.add(node, exact=True)
    for _ in range(rng.integers(3, 17)):
        drawn.one_of(STEPS)(drawn)
    last = drawn.values[len(inputs) :][-6:] or drawn.values
    outputs = [last[i] for i in rng.permutation(len(last))[: rng.integers(1, 5)]]
    return drawn, outputs


def arrays_for(drawn, turn):
    """Values for the inputs, at other sizes each time."""
    rng = drawn.rng
    n, m = (int(size) for size in rng.choice([1, 2, 3, 7] if not (drawn.empty and turn) else [0, 0, 1, 2], 2))
    if turn == 2:
        n, m = drawn.one_of([(4, 5), (11, 5), (5, 11), (19, 2), (2, 19)])
    k = 0 if n * m == 0 else int(rng.integers(0, 6))
    bound = {"n": n, "m": m, "k": k}
    arrays = []
    for node in drawn.inputs:
        shape = [bound.get(str(dim), dim) for dim in node.shape]
        if node.name.endswith("places"):
            limit = max(1, bound[node.name[0]])
            array = rng.integers(-limit, limit, shape)
        elif node.row.is_float:
            array = rng.integers(-8, 9, shape) / 4
        else:
            array = rng.integers(-3, 4, shape) if node.row.kind != "bool" else rng.integers(0, 2, shape)
        arrays.append(np.asarray(array).astype(node.dtype))
    return arrays


def is_float(node):
    return node.row.is_float


def is_number(node):
    return node.row.kind != "bool"


def has_axes(node):
    return node.ndim > 0


def has_elements(node):
    """Where no size is 0."""
    return all(str(dim) in ("n", "m", "1", "2") for dim in node.shape)


def calm(node):
    """Nothing grows without bound: floats stay near 1, and integers within a few digits."""
    if node.row.is_float:
        return sg.tanh(node)
    return node % 7 if node.row.kind != "bool" else node


def one(make, want=is_float, exact=False):
    def step(drawn):
        x = drawn.pick(want)
        if x is not None:
            drawn.add(make(x), exact and x in drawn.exact)

    return step


def two(make, want=is_number, exact=False):
    def step(drawn):
        x = drawn.pick(want)
        if x is None:
            return
        y = drawn.like(x)
        if drawn.rng.integers(3) == 0 and x.ndim == 2:  # a row, a column or a number instead
            small = ((), (x.shape[0], 1), x.shape[1:])
            other = drawn.pick(lambda y: y.row is x.row and y.shape in small)
            y = y if other is None else other
        drawn.add(make(x, y), exact and {x, y} <= drawn.exact)

    return step


def compared(make):
    def step(drawn):
        x = drawn.pick(lambda x: x in drawn.exact)
        if x is not None:
            y = drawn.pick(lambda y: y in drawn.exact and y.row is x.row and y.shape == x.shape)
            drawn.add(make(x, y), True)

    return step


def along(make, want=is_number, exact=False, empty=True):
    def step(drawn):
        x = drawn.pick(lambda x: has_axes(x) and want(x) and (empty or has_elements(x)))
        if x is not None and (empty or not drawn.empty):
            axis = int(drawn.rng.integers(x.ndim))
            drawn.add(make(x, axis), exact and x in drawn.exact and not x.row.is_float)

    return step


def moved(drawn):
    x = drawn.pick(has_axes)
    if x is None:
        return
    keys = [
        slice(1, None),
        slice(None, -1),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(0, 3),
        slice(-2, 9),
    ]
    key = [slice(None)] * x.ndim
    key[drawn.rng.integers(x.ndim)] = drawn.one_of(keys)
    made = [x[tuple(key)], sg.reshape(x, (x.size,)), sg.expand_dims(x, int(drawn.rng.integers(x.ndim + 1)))]
    made.append(sg.transpose(x, tuple(int(i) for i in drawn.rng.permutation(x.ndim))))
    if x.ndim == 2:
        made.append(sg.reshape(sg.transpose(x), (x.size,)))
        made.append(sg.reshape(sg.reshape(x, (x.size,)), (x.shape[1], x.shape[0])))
    drawn.add(drawn.one_of(made), x in drawn.exact)


def diagonal(drawn):
    x = drawn.pick(lambda x: x.ndim == 2 and x.shape[0] == x.shape[1] and is_number(x))
    if x is not None:
        drawn.add(sg.einsum(drawn.one_of(["ii->i", "ij->ji"]), x), x in drawn.exact)


def joined(drawn):
    x = drawn.pick(has_axes)
    if x is not None:
        y, axis = drawn.like(x), int(drawn.rng.integers(x.ndim))
        join = drawn.one_of([sg.concat, sg.concat, sg.stack])
        drawn.add(join([x, y] if drawn.rng.integers(2) else [x, y, x], axis=axis), {x, y} <= drawn.exact)


def padded(drawn):
    x = drawn.pick(lambda x: has_axes(x) and is_number(x))
    if x is not None:
        widths = [tuple(int(i) for i in drawn.rng.integers(0, 3, 2)) for _ in x.shape]
        drawn.add(sg.pad(x, widths, constant_values=2), x in drawn.exact)


def place_of(drawn, axis, x):
    return {"n": drawn.inputs[-2], "m": drawn.inputs[-1]}.get(str(x.shape[axis]))


def taken(drawn):
    x = drawn.pick(lambda x: any(str(dim) in "nm" for dim in x.shape))
    if x is None:
        return
    axis = next(i for i, dim in enumerate(x.shape) if str(dim) in "nm")
    drawn.add(sg.take(x, place_of(drawn, axis, x), axis=axis), x in drawn.exact)


def updated(drawn):
    x = drawn.pick(lambda x: has_axes(x) and is_number(x))
    if x is None:
        return
    axis = int(drawn.rng.integers(x.ndim))
    key = [slice(None)] * x.ndim
    key[axis] = drawn.one_of([slice(1, None), slice(None, None, 2), slice(None, None, -1), slice(0, 0)])
    places = place_of(drawn, axis, x)
    if places is not None and drawn.rng.integers(2):
        key[axis] = places
    y = drawn.like(x)
    value = drawn.one_of([1, 2, y[tuple(key)], y[tuple(key)], x[tuple(key)]])
    mode = drawn.one_of(["set", "set", "add", "add", "max", "min", "multiply"])
    if mode == "multiply":
        value = 2
    drawn.add(calm(getattr(x.at[tuple(key)], mode)(value)), False)


def chained(drawn):
    """Values that nothing else reads: each may take over the memory of the one before, or must not."""
    x = drawn.pick(lambda x: has_axes(x) and is_number(x))
    if x is None:
        return
    for _ in range(drawn.rng.integers(2, 6)):
        axis = int(drawn.rng.integers(x.ndim))
        x = calm(drawn.one_of(LINKS)(x, axis))
    drawn.add(x, False)


def put(mode, read, written):
    def link(x, axis):
        before = (slice(None),) * axis
        return getattr(x.at[(*before, written)], mode)(x[(*before, read)])

    return link


def turned(x, axis):
    return sg.transpose(x) * 2 + 1 if x.ndim == 2 and x.shape[0] is x.shape[1] else x + sg.flip(x)


def added_to_turned(x, axis):
    return x * 3 + sg.transpose(x) if x.shape == x.shape[::-1] else x + turned(x, axis)


LATER, EARLIER, BACK, EVEN = slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, None, 2)
LINKS = [
    lambda x, axis: sg.cumulative_sum(x, axis=axis),
    lambda x, axis: sg.cumulative_sum(x, axis=axis),
    lambda x, axis: sg.sort(x, axis=axis),
    lambda x, axis: x + sg.flip(x, axis),
    lambda x, axis: x * 2 + sg.flip(x * 2, axis),
    lambda x, axis: sg.maximum(x, x[(slice(None),) * axis + (slice(0, 1),)]) if axis else x + sg.flip(x),
    lambda x, axis: x - sg.sum(x, axis=axis, keepdims=True),
    lambda x, axis: sg.reshape(sg.reshape(x, (x.size,)) + sg.flip(sg.reshape(x, (x.size,))), x.shape),
    lambda x, axis: sg.maximum(x, sg.flip(x, axis)) + 1,
    lambda x, axis: sg.abs(x) * 2 + sg.sum(sg.pad(x, ((1, 1),) * x.ndim)),
    lambda x, axis: x - sg.cumulative_sum(x, axis=axis),
    turned,
    added_to_turned,
    put("set", LATER, EARLIER),
    put("set", BACK, slice(None)),
    put("set", BACK, BACK),
    put("add", EARLIER, LATER),
    put("add", BACK, slice(None)),
    put("max", LATER, EARLIER),
    put("set", EVEN, EVEN),
    lambda x, axis: x.at[:1].set(3),
]


def product(drawn):
    x = drawn.pick(lambda x: x.ndim == 2 and is_number(x))
    if x is None:
        return
    y = drawn.pick(lambda y: y.row is x.row and 0 < y.ndim < 3 and y.shape[0] is x.shape[1])
    if y is not None:
        made = sg.matmul(x, y) if drawn.rng.integers(2) else sg.tensordot(y, x, ((0,), (1,)))
        drawn.add(calm(made), False)


def chosen(drawn):
    where = drawn.pick(lambda x: x.row.kind == "bool")
    if where is not None:
        x = drawn.pick(lambda x: x.shape == where.shape)
        y = drawn.like(x)
        drawn.add(sg.where(where, x, y), {x, y, where} <= drawn.exact)


def masked(drawn):
    x = drawn.pick(lambda x: x in drawn.exact and has_axes(x) and is_number(x))
    if x is not None:
        drawn.add(x[x > 0], True)


def cut_by_data(drawn):
    """Slices whose ends the data decide."""
    x = drawn.pick(lambda x: x in drawn.exact and x.ndim == 1 and is_number(x))
    y = drawn.pick(has_axes)
    if x is not None and y is not None:
        count = x[x > 0].shape[0]
        drawn.add(drawn.one_of([y[:count], y[count:]]), y in drawn.exact)
        if is_number(y):
            drawn.add(calm(sg.sum(sg.sort(y, axis=0)[count:], axis=0)), False)


def most(drawn):
    x = drawn.pick(lambda x: has_axes(x) and has_elements(x) and is_number(x))
    if x is not None and not drawn.empty:
        axis = drawn.one_of([None, 0, -1])
        largest = drawn.one_of([sg.max, sg.min])
        drawn.add(largest(x, axis=axis, keepdims=bool(drawn.rng.integers(2))), x in drawn.exact)


def place_of_most(drawn):
    """Beside the extremum itself, which is of the same row."""
    x = drawn.pick(lambda x: x in drawn.exact and has_axes(x) and has_elements(x) and is_number(x))
    if x is not None and not drawn.empty:
        axis = drawn.one_of([None, 0, -1])
        most, place = drawn.one_of([(sg.max, sg.argmax), (sg.min, sg.argmin)])
        drawn.add(place(x, axis=axis, keepdims=bool(drawn.rng.integers(2))), True)
        drawn.add(most(x, axis=axis), True)


def row(drawn):
    x = drawn.pick(lambda x: has_axes(x) and has_elements(x))
    if x is not None and not drawn.empty:
        drawn.add(x[drawn.one_of([0, -1])], x in drawn.exact)


def softmax(x, axis):
    powers = sg.exp(sg.tanh(x))
    return powers / sg.sum(powers, axis=axis, keepdims=True)


def norm(x, axis):
    centred = x - sg.mean(x, axis=axis, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=axis, keepdims=True) + 1)


STEPS = [
    one(sg.tanh),
    one(lambda x: x * 0.5 + 1),
    one(lambda x: sg.sin(x) * sg.exp(-x * x)),
    one(lambda x: -x, is_number, exact=True),
    one(lambda x: sg.abs(x), is_number, exact=True),
    one(sg.isfinite, is_number, exact=True),
    one(lambda x: x + sg.sum(x) * 0.125 if is_float(x) else x % 5, is_number),
    one(lambda x: sg.astype(x, "float64"), lambda x: True, exact=True),
    one(lambda x: sg.astype(x, "int64"), lambda x: not is_float(x), exact=True),
    one(sg.logical_not, lambda x: x.row.kind == "bool", exact=True),
    two(lambda x, y: calm(x + y)),
    two(lambda x, y: calm(x - y)),
    two(lambda x, y: calm(x * y)),
    two(lambda x, y: x / (y * y + 1), is_float),
    two(sg.maximum, is_number, exact=True),
    compared(sg.less),
    compared(sg.equal),
    along(lambda x, axis: calm(sg.sum(x, axis=axis))),
    along(lambda x, axis: calm(sg.sum(x, axis=axis, keepdims=True) + x)),
    along(lambda x, axis: calm(sg.cumulative_sum(x, axis=axis)), exact=True),
    along(lambda x, axis: calm(sg.flip(sg.cumulative_sum(sg.flip(x, axis), axis=axis), axis)), exact=True),
    along(lambda x, axis: sg.any(x, axis=axis), lambda x: x.row.kind == "bool", exact=True),
    along(lambda x, axis: sg.sort(x, axis=axis)),
    along(lambda x, axis: calm(sg.cumulative_prod(calm(x), axis=axis)), is_float),
    along(softmax, is_float, empty=False),
    along(norm, is_float),
    along(lambda x, axis: sg.var(x, axis=axis), is_float),
    moved, moved, moved, diagonal, joined, joined, padded, taken, taken, updated, updated,
    chained, chained, chained, chained, product, product, chosen, masked, cut_by_data, cut_by_data, most, place_of_most,
    row,
]  # fmt: skip


# What must hold


@pytest.mark.parametrize("group", range(GROUPS))
def test_programs_read_only_what_was_written(group, first_seed):  # noqa: F811
    for seed in range(first_seed + group * OWN, first_seed + (group + 1) * OWN):
        drawn, outputs = draw(seed)
        where = f"seed {seed}:\n{sg.show(outputs)}"
        built = planned(drawn.inputs, outputs, optimized=seed % 2 == 0)
        program = NumpyProgram(built, Target(block=BLOCKS[seed % len(BLOCKS)]), Poisoned())
        for turn in range(3):
            assert_right(program, built, arrays_for(drawn, turn), limit_of(outputs), where)


@pytest.mark.parametrize("group", range(GROUPS))
def test_results_may_take_over_what_is_donated(group, first_seed):  # noqa: F811
    for seed in range(first_seed + group * DONATED, first_seed + (group + 1) * DONATED):
        drawn, outputs = draw(seed)
        donated = {node for node in drawn.inputs if drawn.rng.integers(3)}
        where = f"seed {seed}, donated {donated}:\n{sg.show(outputs)}"
        built = planned(drawn.inputs, outputs, optimized=seed % 2 == 0)
        program = NumpyProgram(built, Target(block=BLOCKS[seed % len(BLOCKS)]), Poisoned(), donated=donated)
        for turn in range(3):
            assert_right(program, built, arrays_for(drawn, turn), limit_of(outputs), where, donated)


@pytest.mark.parametrize("group", range(GROUPS))
def test_programs_of_any_kind_read_only_what_was_written(group, first_seed):  # noqa: F811
    programs = [
        *((seed, each, None) for seed, each in draw_group(group, OF_ANY_KIND, first_seed)),
        *((seed, each, True) for seed, each in draw_group(group, SMOOTH, first_seed, smooth=True)),
    ]
    for seed, each, smooth in programs:
        outputs = loss_and_gradients(each) if smooth else [node for node, _ in each.values]
        given, arrays = zip(*each.inputs, strict=True)
        built = planned(given, outputs, optimized=True)
        for block in BLOCKS:
            program = NumpyProgram(built, Target(block=block), Poisoned())
            assert_right(program, built, arrays, tolerance(each), described(seed, each))


def limit_of(outputs):
    nodes = [*outputs, *sg.graph.walk.toposort(outputs)]
    bits = min(
        (x.row.bits for x in nodes if isinstance(x.type, sg.TensorType) and x.row.is_float), default=64
    )
    return {16: 2e-2, 32: 5e-4, 64: 1e-9}[bits]


def planned(given, outputs, *, optimized):
    built = graph(given, outputs)
    return plan(optimize(built, sg.Options())[-1].graph if optimized else built, given)


def assert_right(program, built, arrays, limit, where, donated=frozenset()):
    """The evaluator's results, arguments as they were, and storage in which nothing is lost."""
    where = f"{where}\nshapes {[array.shape for array in arrays]}"
    before = [array.copy() for array in arrays]
    expected = schedule(built.results, built.given).run([array.copy() for array in arrays])
    try:
        results = program.run(arrays)
    except Exception as error:
        raise AssertionError(f"{error!r} in {where}") from error
    for a, b in zip(expected, results, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype, where
        if a.dtype == bool:
            a, b = a.view(np.uint8), b.view(np.uint8)
        np.testing.assert_allclose(b, a, rtol=limit, atol=limit if a.dtype.kind in "fc" else 0, err_msg=where)
    kept = [array for node, array in zip(built.given, arrays, strict=True) if node not in donated]
    old = [array for node, array in zip(built.given, before, strict=True) if node not in donated]
    assert all(
        np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in zip(kept, old, strict=True)
    ), where
    assert_apart(built, arrays, results, donated, where)
    sizes = sg.graph.evaluate.bind_sizes(built.given, arrays)
    assert_nothing_is_lost(program, built, program.storage(sizes), sizes, donated, where)


def assert_apart(built, arrays, results, donated, where):
    """Computed results share memory with each other never, and with arguments only where those are donated."""
    computed = {
        id(array): array
        for node, array in zip(built.results, results, strict=True)
        if node not in set(built.given) and node.op is not CONSTANT
    }
    own = list(computed.values())
    kept = [array for node, array in zip(built.given, arrays, strict=True) if node not in donated]
    for i, a in enumerate(own):
        assert not any(np.may_share_memory(a, b) for b in [*own[:i], *kept]), where


def assert_nothing_is_lost(program, built, storage, sizes, donated, where):
    """Replays the turns: each reading finds what was written, and no two values that are still needed overlap."""
    number = dict.fromkeys(built.given, -1)
    needed = {}
    known = set(built.given)
    for n, turn in enumerate(storage.turns):
        for x in turn.step.needs:
            assert x in known or x.op is CONSTANT, f"turn {n} reads {x!r}, which is not there, in {where}"
            while x in number and number[x] is None:  # a view: what it is taken of
                needed[x] = n
                x = x.inputs[0]
            needed[x] = n
        known |= set(turn.step.writes)
        for x in turn.step.writes:
            number[x] = None if isinstance(turn.step, View) else n
        for x in turn.dead:
            assert x in known and x not in set(built.results), f"turn {n} forgets {x!r} in {where}"
            known.discard(x)
    for x in built.results:
        assert x in known or x.op is CONSTANT, f"no turn writes the result {x!r} in {where}"
        while x in number and number[x] is None:
            x = x.inputs[0]
        needed[x] = len(storage.turns)

    places = []  # node, first, last, start, end; memory that is not the arena's has a name in place of a start
    for n, turn in enumerate(storage.turns):
        needs = None if isinstance(turn.step, View) else program._needs(turn.step, sizes)
        for x, home in zip(turn.step.writes, turn.homes, strict=False):
            last = max(n, needed.get(x, n))
            if home.over is not None:
                assert home.over in donated and needed[home.over] <= n, where
                assert (home.over, x) in set(needs.in_place) and sum(
                    home.over is y for y in turn.step.needs
                ) == 1, where
            if home.offset is not None:
                assert x not in set(built.results), where
                places.append(
                    (x, n, last, home.offset, home.offset + x.dtype.itemsize * int(np.prod(home.shape)))
                )
        if needs is not None and turn.room is not None:
            places.append((None, n, n, turn.room, turn.room + needs.room))
        if needs is not None and needs.room:
            assert turn.room is not None, where
    taken = [
        turn_home.over for turn in storage.turns for turn_home in turn.homes if turn_home.over is not None
    ]
    assert len(taken) == len(set(taken)), where
    for i, (x, first, last, start, end) in enumerate(places):
        assert start % 64 == 0 and end <= storage.arena.size, where
        for y, begins, ends, bottom, top in places[:i]:
            if last < begins or ends < first or end <= bottom or top <= start:
                continue
            step = storage.turns[first].step
            took_over = (
                x is not None
                and (y, x) in set(program._needs(step, sizes).in_place)
                and (ends, bottom, top) == (first, start, end)
            )
            assert took_over, f"{y!r} and {x!r} of turn {first} overlap in {where}"
