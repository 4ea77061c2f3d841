"""Results that pass by the caches: who writes so, and that nobody sees a difference."""

import ctypes

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import itertools

import symgraph as sg
from symgraph.codegen.streams import SHARE
from symgraph.graph.evaluate import bind_sizes
from symgraph.optimizations.plan import plan
from symgraph.runtime import nests
from symgraph.runtime.memory import Memory
from symgraph.runtime.native import NativeKernel
from tests.codegen.test_llvm_bounds import Guarded

FAR = SHARE // 8 + 64  # float32, one read and one written


def kernel_of(program, *shapes, dtype="float32"):
    xs = [sg.placeholder(dtype, shape, name=name) for name, shape in zip("xyz", shapes, strict=False)]
    (step,) = plan(sg.function(xs, program(*xs))._program.stages[-1].graph, xs).kernels
    return xs, NativeKernel(step)


def text_for(program, *arrays):
    """What runs in the end for arrays; what it writes lies in order."""
    xs, made = kernel_of(program, *(tuple("nmk"[: x.ndim]) for x in arrays), dtype=str(arrays[0].dtype))
    given = dict(zip(xs, arrays, strict=True))
    sizes = bind_sizes(xs, arrays)
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    lying = [given[node] if node in given else np.empty(shape, node.dtype) for node in made.nodes]
    return made.printed_for(lying, sizes).fastest.text


def test_large_results_pass_by_the_caches_and_small_ones_do_not():
    small, large = np.empty(1000, "float32"), np.empty(FAR, "float32")

    assert "nontemporal" not in text_for(lambda x: 2.5 * x, small)
    assert "fence" not in text_for(lambda x: 2.5 * x, small)
    assert "!nontemporal" in text_for(lambda x: 2.5 * x, large)
    assert "fence seq_cst\n  ret void" in text_for(lambda x: 2.5 * x, large)


def test_who_waits_for_something_else_than_memory_writes_to_the_caches():
    large = np.empty(FAR, "float32")
    short = np.empty((FAR // 10, 10), "float32")[:, :9]

    assert "nontemporal" not in text_for(lambda x: sg.tanh(sg.exp(sg.sin(x))), large)
    assert "nontemporal" not in text_for(lambda x: 2.5 * x, short)
    assert "nontemporal" not in text_for(
        lambda x: x - sg.max(x, axis=-1, keepdims=True), large.reshape(2, -1)
    )


PROGRAMS = {
    "one": lambda x, y: 2.5 * x + y,
    "two": lambda x, y: (x * y, x - y),
    "two dtypes": lambda x, y: (x > y, (x - y).astype("float64"), sg.abs(x)),
}


@pytest.mark.parametrize("offset", [(0, 0, 0), (4, 4, 4), (4, 8, 60), (1, 1, 1), (16, 0, 16)])
@pytest.mark.parametrize("count", [0, 1, 5, 16, 33, 100, 1000])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits_wherever_results_lie(name, count, offset, monkeypatch):
    """Ranges of turns, as threads share them, among them."""
    outputs = PROGRAMS[name]
    xs, made = kernel_of(outputs, ("n",), ("n",))
    arrays = [np.random.default_rng(n).normal(size=count).astype("float32") for n in range(2)]
    expected = sg.function(xs, outputs(*xs), options=sg.Options(backend="numpy"))(*arrays)
    expected = expected if isinstance(expected, tuple | list) else [expected]
    monkeypatch.setattr(nests, "streams", lambda *_: True)
    given, sizes = dict(zip(xs, arrays, strict=True)), bind_sizes(xs, arrays)
    offsets, memory, lying = iter(offset), [], []
    for node in made.nodes:
        if node in given:
            lying.append(given[node])
            continue
        size = count * node.dtype.itemsize
        whole = np.full(size + 256, 0xA5, np.uint8)
        start = -whole.ctypes.data % 64 + next(offsets)
        memory.append((whole, start, size))
        lying.append(whole[start : start + size].view(node.dtype))
    for cuts in ([0, count], [0, count // 3, count // 2, count]):
        for x, node in zip(lying, made.nodes, strict=True):
            if node not in given:
                x[...] = 0
        ranges(made.call(lying, sizes, 0), lying, cuts)
        for node, found in zip(made.step.writes, lying[-len(made.step.writes) :], strict=True):
            (same,) = [x for x in expected if x.dtype == found.dtype and np.array_equal(x, found)][:1]
            assert same.tobytes() == found.tobytes(), node
        for whole, start, size in memory:
            assert (whole[:start] == 0xA5).all()
            assert (whole[start + size :] == 0xA5).all()


@pytest.mark.parametrize("count", [1, 17, 100, 1003])
def test_results_over_what_is_read(count, monkeypatch):
    """No element is computed twice."""
    monkeypatch.setattr(nests, "streams", lambda *_: True)
    for offset in (0, 4, 20, 60):
        xs, made = kernel_of(lambda x: 2 * x + 1, ("n",))
        whole = np.zeros(4 * count + 128, np.uint8)
        start = -whole.ctypes.data % 64 + offset
        x = whole[start : start + 4 * count].view("float32")
        x[...] = np.arange(count)
        ranges(made.call([x, x], bind_sizes(xs, [x]), 0), [x, x], [0, count // 2, count])

        np.testing.assert_array_equal(x, 2 * np.arange(count) + 1)


def ranges(call, arrays, cuts):
    """One range of turns after the other."""
    (table,) = call.tables([x.ctypes.data for x in arrays], Memory().arena(0), 0)
    words = (ctypes.c_int64 * len(table))(*table)
    f = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(call.function.address)
    for begin, end in itertools.pairwise(cuts):
        f(ctypes.addressof(words), begin, end)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("count", [1, 31, 1000, 5003])
def test_no_byte_beside(count, at_end, monkeypatch):
    monkeypatch.setattr(nests, "streams", lambda *_: True)
    xs, made = kernel_of(lambda x: 2.5 * x, ("n",))
    guarded = Guarded()
    _, x = guarded.array((count,), "float32", at_end)
    whole, out = guarded.array((count,), "float32", at_end)
    x[...] = np.arange(count)
    ranges(made.call([x, out], bind_sizes(xs, [x]), 0), [x, out], [0, count])
    beside = len(whole) - out.nbytes

    assert np.array_equal(out, x * np.float32(2.5))
    assert (whole[:beside] == 0xA5).all() if at_end else (whole[out.nbytes :] == 0xA5).all()
