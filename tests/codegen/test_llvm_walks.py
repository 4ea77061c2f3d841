"""Kernels that go once through arrays in order have a loop that comes with the package, and no others have."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_walks import MOST
from symgraph.runtime.code import code
from symgraph.runtime.cpu import host
from symgraph.runtime.native import NativeKernel

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")

SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 1000]


def printed(f):
    """What was printed first of all kernels."""
    codes = f._program.executor.compiled.codes.values()
    return [
        native.text for each in codes if isinstance(each, NativeKernel) for native in each._printed.values()
    ]


def mixed(nodes):
    """An expression of all of them."""
    found = sg.tanh(nodes[0]) * 3 - 0.5
    for n, x in enumerate(nodes):
        found = sg.where(x > found, sg.exp(-sg.abs(found)) / (n + 2), found * x)
    return found


def drawn(count, size, row):
    rng = np.random.default_rng(count)
    return [rng.normal(size=size).astype(row) for _ in range(count)]


@pytest.mark.parametrize("row", ["float32", "float64"])
@pytest.mark.parametrize("count", range(1, MOST + 2))
def test_first_and_better_code_agree(count, row):
    nodes = [sg.placeholder(row, ("n",), name=f"x{n}") for n in range(count)]
    f = sg.function(nodes, mixed(nodes))
    given = [drawn(count, size, row) for size in SIZES]

    first = [f(*arrays).tobytes() for arrays in given]
    functions = list(f._program.executor.compiled.functions())
    is_walk = ["_turn(" in text for text in printed(f)]
    code().improve(functions)
    code().settle()

    assert is_walk == [count <= MOST]
    assert [f(*arrays).tobytes() for arrays in given] == first
    expected = sg.evaluate(mixed(nodes), dict(zip(nodes, given[-1], strict=True)))
    np.testing.assert_allclose(f(*given[-1]), expected, rtol=1e-4)


def test_rows_that_lie_in_order_are_one():
    x, y = (sg.placeholder("float32", ("n", "m", 3), name=name) for name in "xy")
    f = sg.function([x, y], mixed([x, y]) * 0.12345)
    a, b = (each.reshape(5, 7, 3) for each in drawn(2, 105, "float32"))

    np.testing.assert_allclose(f(a, b), sg.evaluate(mixed([x, y]) * 0.12345, {x: a, y: b}), rtol=1e-4)
    assert ["_turn(" in text for text in printed(f)] == [True]


def test_nothing_beside_the_result_is_written():
    x = sg.placeholder("float32", ("n",), name="x")
    f = sg.function([x], mixed([x]) * 0.54321)
    (a,) = drawn(1, 37, "float32")
    out = np.full(64, 7, "float32")
    result = f(a)
    out[:37] = result

    assert result.flags.owndata or result.base is not None
    assert (out[37:] == 7).all()


N = 40
OTHERS = {
    "every second": (lambda x, y: x * 0.11 + y, lambda x: x[::2], lambda y: y[: N // 2]),
    "backwards": (lambda x, y: x * 0.12 + y, lambda x: x[::-1], lambda y: y),
    "broadcast": (lambda x, y: x + y[:, None], lambda x: x, lambda y: y),
    "a sum": (lambda x, y: sg.sum(x * 0.14 * y), lambda x: x, lambda y: y),
    "two results": (lambda x, y: [x * 0.15 + y, sg.exp(x * 0.15)], lambda x: x, lambda y: y),
    "integers": (lambda x, y: (x * 9).astype("int32") + y.astype("int32"), lambda x: x, lambda y: y),
    "two dtypes": (lambda x, y: x.astype("float64") * 0.16 + y, lambda x: x, lambda y: y),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_have_a_loop_of_their_own(name):
    program, of_x, of_y = OTHERS[name]
    x, y = (sg.placeholder("float32", ("n",), name=each) for each in "xy")
    found = program(x, y)
    f = sg.function([x, y], found)
    a, b = drawn(2, N, "float32")
    given = of_x(a), of_y(b)
    expected = sg.evaluate(found, dict(zip([x, y], given, strict=True)))

    pairs = zip(*(each if isinstance(each, list) else [each] for each in (f(*given), expected)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert not any("_turn(" in text for text in printed(f))


def test_denormals_that_count_as_0_need_a_loop_that_says_so():
    x = sg.placeholder("float32", ("n",), name="x")
    f = sg.function([x], x * 0.17 + x, options=sg.Options(flush_denormals=True))

    assert f(np.full(20, 1e-42, "float32")).tolist() == [0] * 20
    assert not any("_turn(" in text for text in printed(f))


def test_a_kernel_in_place_reads_before_it_writes():
    w = sg.variable(np.arange(50, dtype="float32"), name="w")
    f = sg.function([], w.sum(), updates={w: w * 0.5 + 0.18})

    f()

    np.testing.assert_allclose(w.value, np.arange(50, dtype="float32") * 0.5 + 0.18, rtol=1e-6)
