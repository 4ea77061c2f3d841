"""What a call allocates: its outputs, and after the first calls nothing else but small Python objects."""

import contextlib
import importlib
import itertools
import tracemalloc

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.optimizations.plan import plan
from symgraph.options import DEFAULT
from symgraph.runtime.memory import Memory
from symgraph.runtime.numpy_backend import NumpyProgram

SMALL = 200_000
"""Bytes for views, dicts and the like; every array below has at least 4 MB."""
SHAPE = (1000, 512)
BLOCK = {"gelu": 8 * DEFAULT.block}
"""What NumPy has no function for, as erf, cannot be told where to write: it allocates a block."""

x = sg.placeholder("float64", ("n", "k"), name="x")


def above_outputs(f, *arrays):
    """The bytes of NumPy and Python that a call takes at its peak, without its outputs; after some calls."""
    held = [f(*arrays) for _ in range(3)]  # else the memory of these would be used again
    with contextlib.suppress(ImportError):  # llvmlite may be absent
        importlib.import_module("symgraph.runtime.code").code().settle()  # nobody compiles meanwhile
    tracemalloc.start()
    try:
        held.append(f(*arrays))  # what tracemalloc itself makes ready
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        results = f(*arrays)
        _, peak = tracemalloc.get_traced_memory()
        domains = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        kept = tracemalloc.take_snapshot().filter_traces([domains])
        assert kept.traces, "NumPy traces what it allocates"
    finally:
        tracemalloc.stop()
    results = results if isinstance(results, list) else [results]
    return peak - before - sum(each.nbytes for each in results)


def gelu(x):
    return 0.5 * x * (1 + sg.erf(x / np.sqrt(2)))


def layer_norm(x, axis=1):
    centred = x - sg.mean(x, axis=axis, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=axis, keepdims=True) + 1e-5)


def chain(x):
    for number in range(10):
        x = sg.tanh(x) * (number + 1.5)
    return x


PROGRAMS = {
    "softmax along rows": lambda x: sg.softmax(x, axis=1),
    "softmax along columns": lambda x: sg.softmax(x, axis=0),
    "log_softmax along rows": lambda x: sg.log_softmax(x, axis=1),
    "log_softmax along columns": lambda x: sg.log_softmax(x, axis=0),
    "layer norm along rows": layer_norm,
    "layer norm along columns": lambda x: layer_norm(x, axis=0),
    "var along rows": lambda x: [sg.var(x, axis=1), x * 2],
    "var along columns": lambda x: [sg.var(x, axis=0), x * 2],
    "gelu": gelu,
    "a chain": chain,
    "all sums": lambda x: [sg.sum(x), sg.sum(x, axis=0), sg.sum(x, axis=1)],
    "concat": lambda x: sg.concat([sg.tanh(x), x, sg.exp(x)], axis=1),
    "pad": lambda x: sg.pad(sg.tanh(x), ((2, 1), (0, 3))),
    "pad and go on": lambda x: sg.tanh(sg.pad(sg.tanh(x), ((2, 1), (0, 3)))),
    "take": lambda x: sg.take(sg.tanh(x), np.arange(100)[::-1] * 3, axis=0),
    "take along columns": lambda x: sg.take(sg.tanh(x), np.arange(100)[::-1] * 3, axis=1),
    "update of a slice": lambda x: sg.tanh(x).at[1:-1, ::2].add(1.5),
    "update of a row": lambda x: sg.exp(sg.tanh(x).at[3].set(x[4])),
    "cumulative_sum along rows": lambda x: sg.cumulative_sum(sg.tanh(x), axis=1),
    "cumulative_sum along columns": lambda x: sg.tanh(sg.cumulative_sum(sg.tanh(x), axis=0)),
    "negative": lambda x: -x,
    "isfinite": lambda x: sg.isfinite(x),
    "a transposed result": lambda x: sg.transpose(sg.tanh(x)),
    "two kinds of where": lambda x: sg.where(x > 0, sg.where(x > 1, x, sg.tanh(x)), -x),
    "casts": lambda x: sg.astype(sg.astype(x * 2, "float32"), "float64") + 1,
    "a product": lambda x: sg.tanh(sg.matmul(x, sg.transpose(x))),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("lay", ["in order", "strided", "columns first"])
def test_a_call_allocates_its_outputs_and_nothing_else(name, lay):
    array = np.random.default_rng(0).normal(size=SHAPE)
    if lay == "strided":
        array = np.random.default_rng(0).normal(size=(SHAPE[0], 2 * SHAPE[1]))[:, ::2]
    if lay == "columns first":
        array = np.asfortranarray(array)
    f = sg.function([x], PROGRAMS[name](x))

    assert above_outputs(f, array) < SMALL + BLOCK.get(name, 0)


def test_the_gradient_of_a_network_allocates_its_outputs_and_nothing_else():
    sizes = [512, 700, 300, 10]
    weights = [sg.placeholder("float64", (a, b), name=f"w{a}") for a, b in itertools.pairwise(sizes)]
    y = x = sg.placeholder("float64", ("n", sizes[0]), name="x")
    for w in weights:
        y = sg.tanh(sg.matmul(y, w))
    f = sg.function([x, *weights], sg.grad(sg.sum(y * y), weights))
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(1000, sizes[0])), *(rng.normal(size=w.shape) for w in weights)]

    assert above_outputs(f, *arrays) < SMALL


def test_an_update_of_a_variable_allocates_its_new_value_and_nothing_else():
    w = sg.variable(np.ones(SHAPE), name="w")
    f = sg.function([], sg.sum(w), updates={w: w * 0.5 + sg.tanh(w)})
    size = w.value.nbytes

    assert above_outputs(f) < size + SMALL


# The statement


class Counted(Memory):
    """Which arenas are asked for, and the bytes that are newly allocated."""

    def __init__(self):
        super().__init__()
        self.asked, self.made = [], []

    def take(self, size):
        self.asked.append(size)
        return super().take(size)

    def arena(self, size):
        self.made.append(size)
        return super().arena(size)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_peak_that_is_stated_is_what_a_call_takes(name):
    memory = Counted()
    made = PROGRAMS[name](x)
    outputs = made if isinstance(made, list) else [made]
    program = NumpyProgram(plan(graph([x], outputs)), memory=memory)
    for shape in ((0, 3), (1, 1), (3, 0), (40, 50), (5, 400)):
        if name.startswith(("take", "update")):
            shape = (shape[0] + 300, shape[1] + 300)
        if 0 in shape and ("softmax" in name or name.startswith("var")):
            continue
        array = np.ones(shape)
        memory.asked.clear(), memory.made.clear()
        program.run([array])
        stated = program.storage(dict(zip(x.shape, shape, strict=True)))

        assert memory.asked == [stated.arena.size]
        assert sum(memory.made) <= stated.peak
        assert stated.lower_bound <= stated.peak
        assert stated.results == sum(each.nbytes for each in program.run([array]))


def test_the_arena_of_one_call_serves_the_next():
    memory = Counted()
    program = NumpyProgram(plan(graph([x], [sg.tanh(sg.cumsum(sg.tanh(x), axis=0))])), memory=memory)
    for size in (50, 50, 20, 50, 1):
        program.run([np.ones((size, 40))])

    assert len([size for size in memory.made if size]) == 1
    program.run([np.ones((60, 40))])
    program.run([np.ones((60, 40))])
    assert len([size for size in memory.made if size]) == 2


def test_a_call_that_fails_gives_its_arena_back():
    memory = Counted()
    at = sg.placeholder("int64", ("m",), name="at")
    outputs = [sg.take(sg.cumsum(x, axis=0), at, axis=0)]
    program = NumpyProgram(plan(graph([x, at], outputs)), memory=memory)
    for _ in range(3):
        with pytest.raises(sg.OutOfBoundsError):
            program.run([np.ones((5, 4)), np.array([7])])

    assert len([size for size in memory.made if size]) == 1


def test_arenas_begin_where_a_vector_does():
    memory = Memory()
    for size in (1, 63, 64, 1000):
        arena = memory.take(size).memory

        assert arena.nbytes >= size and arena.ctypes.data % 64 == 0


def test_large_results_lie_where_dropped_ones_lay():
    f = sg.function([x], [sg.tanh(x), x * 2])
    array = np.ones(SHAPE)
    first, second = f(array)
    place, view = first.ctypes.data, second[1:]
    del first, second
    third, fourth = f(array)

    assert place in (third.ctypes.data, fourth.ctypes.data)
    assert not np.shares_memory(view, third) and not np.shares_memory(view, fourth)
    np.testing.assert_array_equal(np.full((999, 512), 2.0), view)
    assert type(third) is np.ndarray and third.flags.writeable
