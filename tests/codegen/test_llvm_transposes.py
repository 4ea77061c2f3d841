"""Arrays that are read across their rows: turned in squares, whose edges are not whole."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.graph.evaluate import bind_sizes
from symgraph.runtime import nests
from symgraph.runtime.cpu import host
from tests.codegen.test_llvm_bounds import Guarded
from tests.codegen.test_llvm_streams import kernel_of, ranges, text_for

OPTIONS = sg.Options(backend="llvm")


def drawn(shape, dtype):
    numbers = np.random.default_rng(0).integers(-100, 100, size=shape)
    return numbers > 0 if dtype == "bool" else numbers.astype(dtype)


@pytest.fixture(params=[False, True], ids=["near", "far"])
def is_far(request, monkeypatch):
    """Whether arrays count as too large for the caches."""
    if request.param:
        monkeypatch.setattr(nests, "SHARE", -1)
    return request.param


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "int16", "bool"])
@pytest.mark.parametrize("shape", [(16, 16), (300, 40), (40, 300), (1, 70), (70, 1), (0, 5), (33, 513)])
def test_transposes(shape, dtype, is_far):
    x, z = sg.placeholder(dtype, ("n", "m"), name="x"), sg.placeholder(dtype, ("m", "n"), name="z")
    a, b = drawn(shape, dtype), drawn(shape[::-1], dtype)
    f = sg.function([x, z], sg.where(x.T == z, z, x.T), options=OPTIONS)

    np.testing.assert_array_equal(f(a, b), np.where(a.T == b, b, a.T))


AXES = [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


@pytest.mark.parametrize("axes", AXES)
def test_three_axes(axes, is_far):
    """A row, a column, and numbers that follow one loop each are among what is read."""
    x = sg.placeholder("float32", ("n", "m", "k"), name="x")
    a = drawn((5, 37, 23), "float32")
    shape = a.transpose(axes).shape
    rows = [
        drawn(tuple(size if n == axis else 1 for n, size in enumerate(shape)), "float32") for axis in range(3)
    ]
    ys = [sg.placeholder("float32", row.shape, name=name) for name, row in zip("pqr", rows, strict=True)]
    f = sg.function([x, *ys], x.transpose(axes) * ys[0] + ys[1] * ys[2] + x.transpose(axes), options=OPTIONS)

    np.testing.assert_array_equal(
        f(a, *rows), a.transpose(axes) * rows[0] + rows[1] * rows[2] + a.transpose(axes)
    )


def test_five_arrays(is_far):
    """One more than there is room for."""
    shapes = [(41, 77)] * 5 + [(77, 41)]
    xs = [
        sg.placeholder("float32", ("n", "m") if n < 5 else ("m", "n"), name=name)
        for n, name in enumerate("abcdez")
    ]
    arrays = [drawn(shape, "float32") + n for n, shape in enumerate(shapes)]
    f = sg.function(xs, xs[0].T * xs[1].T + xs[2].T * xs[3].T + xs[4].T * xs[5], options=OPTIONS)
    a, b, c, d, e, z = arrays

    np.testing.assert_array_equal(f(*arrays), a.T * b.T + c.T * d.T + e.T * z)


def test_lines_are_fetched_ahead_where_no_cache_holds_them(monkeypatch):
    x = np.zeros((40, 50), "float32")

    assert "prefetch" not in text_for(lambda x: 2 * x, x.T)

    monkeypatch.setattr(nests, "SHARE", -1)

    assert "prefetch" in text_for(lambda x: 2 * x, x.T)
    assert "prefetch" not in text_for(lambda x: 2 * x, x)


def test_squares_are_turned_and_not_gathered():
    x = np.zeros((40, 50), "float32")
    text = text_for(lambda x: 2 * x, x.T)

    assert f"shufflevector <{host().bytes // 4} x i32>" in text
    assert "gather" not in text
    assert "alloca" not in text_for(lambda x: 2 * x, x)
    assert "gather" in text_for(lambda x: 2 * x, x[:, ::2]), "there no loop goes along neighbours"


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("shape", [(48, 64), (50, 70), (3, 7), (17, 270)])
def test_no_byte_beside(shape, at_end, is_far):
    """In one range of turns, and in several."""
    for dtype in ("float32", "float64"):
        xs, made = kernel_of(lambda x, y: x.T + y, ("n", "m"), ("m", "n"), dtype=dtype)
        guarded = Guarded()
        given = {xs[0]: guarded.array(shape, dtype, at_end), xs[1]: guarded.array(shape[::-1], dtype, at_end)}
        for _, x in given.values():
            x[...] = drawn(x.shape, dtype)
        whole, out = guarded.array(shape[::-1], dtype, at_end)
        lying = [given[node][1] if node in given else out for node in made.nodes]
        x, y = (given[node][1] for node in xs)
        for cuts in ([0, shape[1]], [0, shape[1] // 3, shape[1] - 1, shape[1]]):
            out[...] = 0
            ranges(made.call(lying, bind_sizes(xs, [x, y]), 0), lying, cuts)
            beside = len(whole) - out.nbytes

            assert np.array_equal(out, x.T + y)
            assert (whole[:beside] == 0xA5).all() if at_end else (whole[out.nbytes :] == 0xA5).all()
