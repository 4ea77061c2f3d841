"""Plans that run as Python functions of NumPy calls."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.graph.op import as_node
from symgraph.optimizations.plan import plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram
from tests.concurrency import together

x = sg.placeholder("float64", ("n", "k"), name="x")


def run(outputs, arrays, block):
    return NumpyProgram(plan(graph([x], outputs)), Target(block=block)).run(arrays)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (5, 7), (2, 1000)])
@pytest.mark.parametrize("block", [1, 10, 1 << 15])
def test_rows_longer_than_a_block_are_summed_in_parts(shape, block):
    array = np.random.default_rng(0).normal(size=shape)
    outputs = [
        sg.sum(x * x, axis=1),
        sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True),
        sg.sum(x),
        sg.sum(x, axis=0),
    ]

    squares, shares, total, columns = run(outputs, [array], block)

    powers = np.exp(array)
    np.testing.assert_allclose((array * array).sum(1), squares, rtol=1e-12)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), shares, rtol=1e-12)
    np.testing.assert_allclose(array.sum(), total, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(array.sum(0), columns, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "lay", [np.asfortranarray, lambda a: a[::-1, ::-1], lambda a: np.broadcast_to(a[:1], a.shape)]
)
def test_arrays_lie_in_memory_as_they_like(lay):
    array = lay(np.random.default_rng(0).normal(size=(6, 5)))

    (result,) = run([sg.tanh(x) + sg.transpose(sg.transpose(x) * 2)], [array], 7)

    np.testing.assert_allclose(np.tanh(array) + array * 2, result, rtol=1e-15)


def test_a_kernel_over_the_first_axis_writes_every_element():
    array = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    given = sg.placeholder("float32", ("n", "k"), name="given")
    made = sg.tanh(given)
    outputs = [made, sg.negative(made), sg.isfinite(made), sg.sum(made, axis=0)]

    results = NumpyProgram(plan(graph([given], outputs)), Target(block=1)).run([array])

    np.testing.assert_array_equal(-results[0], results[1])
    assert results[2].all()


def test_the_largest_of_nothing_names_the_users_line():
    f = sg.function([x], sg.max(x * 2, axis=1))

    with pytest.raises(sg.ShapeError, match=r"test_numpy_backend\.py"):
        f(np.zeros((3, 0)))


def test_the_source_reads_as_numpy():
    f = sg.function([x], sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True) * 2)

    assert "def kernel_0(once, rows, columns):" in f.source("numpy")
    assert "exp(" in f.source("numpy")
    with pytest.raises(sg.ArgumentError, match="there is no target 'cobol'"):
        f.source("cobol")


def test_threads_share_a_function():
    array = np.random.default_rng(0).normal(size=(50, 40))
    f = sg.function([x], sg.softmax(x, axis=1))
    expected, wrong = f(array), []

    def work():
        for _ in range(50):
            if not np.array_equal(expected, f(array)):
                wrong.append(1)

    together(*[work] * 4)

    assert not wrong


def test_what_sizes_decide_is_the_callers_own():
    f = sg.function([x], [as_node(x.shape[0]), sg.mean(x, axis=0), as_node(x.shape[0])])
    count, _, again = f(np.ones((3, 2)))
    count[...] = again[...] = 7

    assert [3, 3] == [int(f(np.ones((3, 2)))[n]) for n in (0, 2)]
    assert 5 == f(np.ones((5, 2)))[0]


def test_views_and_what_they_are_of_share_nothing():
    y = sg.exp(x)
    results = sg.function(
        [x], [y, sg.reshape(y, (-1,)), sg.expand_dims(y, 0), y, x, sg.squeeze(y[:, :1], 1)]
    )(np.ones((3, 2)))

    assert [(3, 2), (6,), (1, 3, 2), (3, 2), (3, 2), (3,)] == [each.shape for each in results]
    for n, each in enumerate(results):
        assert not any(np.shares_memory(each, other) for other in results[:n])


def test_numpys_settings_for_errors_stay_as_they_are():
    f = sg.function([x], sg.log(x) + sg.sum(sg.exp(x)))
    with np.errstate(all="raise"):
        found = f(np.array([[0.0, 1000.0]]))

        assert not np.isfinite(found).any()
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


def test_arguments_of_known_shapes_are_still_looked_at():
    f = sg.function([x], x * 2)
    f(np.ones((2, 2)))

    np.testing.assert_array_equal([[2, 4], [6, 8]], f([[1, 2], [3, 4]]))
    np.testing.assert_array_equal([[2, 4], [6, 8]], f(np.array([[1, 2], [3, 4]], np.int16)))
    with pytest.raises(sg.DTypeError):
        f(np.ones((2, 2), complex))
    with pytest.raises(sg.ShapeError):
        f(np.ones((2, 2, 1)))
