"""Arrays put together by machine code: parts of any size, seen in any way, of any dtype, and what NumPy refuses."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime.native_backend import NativeProgram
from symgraph.runtime.native_joins import NativeJoin

LLVM = sg.Options(backend="llvm")


def check(nodes, output, arrays):
    """What comes out by machine code, as the evaluator has it, bit by bit; the step is no call of Python's."""
    f = sg.function(nodes, output, options=LLVM)
    program = NativeProgram(f.plan)
    assert any(isinstance(code, NativeJoin) for code in program.codes.values()), f.plan
    expected = sg.evaluate(output, dict(zip(nodes, arrays, strict=True)))
    for _ in range(4):  # by Python, and without it
        found = f(*arrays)
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


def draw(shape, dtype="float64"):
    return (np.random.default_rng(len(shape)).normal(size=shape) * 9).astype(sg.placeholder(dtype, ()).dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sizes", [(1, 1), (0, 3), (2, 0, 5), (0, 0), (31, 1, 33)])
def test_parts_of_any_size(axis, sizes):
    shapes = [tuple(size if n == axis else 4 for n in range(3)) for size in sizes]
    names = [tuple(f"a{k}" if n == axis else f"n{n}" for n in range(3)) for k in range(len(sizes))]
    nodes = [sg.placeholder("float64", each, name=f"x{k}") for k, each in enumerate(names)]

    check(nodes, sg.concat(nodes, axis), [draw(shape) for shape in shapes])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "bfloat16", "float32", "complex128"])
def test_every_dtype(dtype):
    x, y = sg.placeholder(dtype, ("n", 3), name="x"), sg.placeholder(dtype, ("m", 3), name="y")

    check([x, y], sg.concat([x, y], 0), [draw((5, 3), dtype), draw((2, 3), dtype)])


def test_parts_that_are_views():
    x, y = sg.placeholder("float64", (4, "n"), name="x"), sg.placeholder("float64", ("n",), name="y")
    whole = sg.concat([x.T, x.T[::-1, ::-1], sg.broadcast_to(y[:, None], (y.shape[0], 4))], axis=1)

    check([x, y], whole, [draw((4, 7)), draw((7,))])


@pytest.mark.parametrize("widths", [((0, 0), (0, 0)), ((1, 2), (0, 3)), ((0, 5), (4, 0))])
def test_margins(widths):
    x = sg.placeholder("float32", ("n", "m"), name="x")

    check([x], sg.pad(x, widths, constant_values=-1.5), [draw((3, 5), "float32")])
    check([x], sg.pad(x.T, widths, constant_values=-1.5), [draw((3, 5), "float32")])


def test_a_reshape_of_what_does_not_lie_in_order():
    x = sg.placeholder("float64", ("n", 4), name="x")

    check([x], sg.sort(x.T.reshape((-1,))), [draw((3, 4))])


def test_large_parts():
    x = sg.placeholder("float32", ("n", 64), name="x")

    check([x], sg.concat([x, x * 2, x], axis=1), [draw((5000, 64), "float32")])


def test_sizes_that_do_not_fit_name_the_line():
    x, y = sg.placeholder("float64", ("n", "k"), name="x"), sg.placeholder("float64", ("m", "l"), name="y")
    f = sg.function([x, y], sg.concat([x, y], 0), options=LLVM)
    for _ in range(3):
        assert f(np.ones((2, 3)), np.ones((1, 3))).shape == (3, 3)

    with pytest.raises(sg.ShapeError, match=r"test_native_joins\.py"):
        f(np.ones((2, 3)), np.ones((2, 4)))
    assert f(np.ones((2, 3)), np.ones((1, 3))).shape == (3, 3)


def test_in_a_loop():
    x = sg.placeholder("float64", (3,), name="x")
    turned = sg.fori_loop(0, 7, lambda i, c: sg.roll(c, 1) + sg.stack([c[2], c[1], c[0]]) * 0.1, x)
    f = sg.function([x], turned, options=LLVM)
    c = given = np.array([1.0, 2.0, 3.0])
    for _ in range(7):
        c = np.roll(c, 1) + c[::-1] * 0.1

    for _ in range(4):
        np.testing.assert_allclose(f(given), c, rtol=1e-15)
