"""Where values live once sizes are known: which share memory, which must not, and in what order steps run."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.optimizations.plan import View, plan
from symgraph.options import Target
from symgraph.runtime.numpy_backend import NumpyProgram
from tests.fuzz.test_storage import Poisoned

x = sg.placeholder("float64", ("n", "k"), name="x")
square = sg.placeholder("float64", ("n", "n"), name="square")
row = sg.placeholder("float64", ("n",), name="row")


def program_of(given, outputs, block=1 << 15, donated=()):
    return NumpyProgram(plan(graph(given, outputs)), Target(block=block), Poisoned(), donated=donated)


def storage_of(outputs, n=100, k=70, given=(x,), donated=()):
    sizes = {size: {"n": n, "k": k}[str(size)] for node in given for size in node.shape}
    return program_of(given, outputs, donated=donated).storage(sizes)


def assert_means(given, outputs, arrays, donated=()):
    expected = schedule(outputs, given).run([array.copy() for array in arrays])
    for block in (1, 5, 1 << 15):
        results = program_of(given, outputs, block, donated).run([array.copy() for array in arrays])
        for a, b in zip(expected, results, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12)


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape)


# In place


def test_a_kernel_writes_over_what_dies_in_it():
    storage = storage_of([sg.cumsum(sg.tanh(sg.cumsum(x, axis=0)), axis=0)])

    assert storage.arena.shared == ((0, 1),)
    assert storage.peak == storage.lower_bound == 100 * 70 * 8


def test_what_is_read_again_is_not_written_over():
    y = sg.cumsum(x, axis=0)
    storage = storage_of([sg.cumsum(sg.tanh(y), axis=0), sg.sort(y, axis=0)])

    assert not storage.arena.shared
    assert storage.peak == 2 * 100 * 70 * 8


def test_what_is_seen_twice_in_a_kernel_is_not_written_over():
    y = sg.cumsum(square, axis=0)
    for made in (y * 3 + sg.transpose(y), y + sg.flip(y, 0), sg.transpose(y) * 2 + y, y * 2 + y[::-1]):
        assert_means([square], [sg.cumsum(made, axis=0)], [drawn(7, 7)])


def test_what_is_read_in_another_order_is_not_written_over():
    y = sg.cumsum(square, axis=0)

    assert_means([square], [sg.cumsum(sg.tanh(sg.transpose(y)), axis=0)], [drawn(7, 7)])


def test_what_a_later_sweep_reads_is_not_written_over():
    y = sg.cumsum(x, axis=0)
    shares = sg.exp(y) / sg.sum(sg.exp(y), axis=1, keepdims=True)

    assert_means([x], [sg.cumsum(shares + y, axis=0), sg.cumsum(sg.exp(y), axis=1)], [drawn(4, 13)])


def test_an_update_writes_over_what_dies_in_it():
    y = sg.cumsum(x, axis=0)
    storage = storage_of([sg.cumsum(y.at[1:].add(2.0), axis=0)])

    assert len(storage.arena.shared) == 1
    assert storage.peak == 100 * 70 * 8


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.at[::-1].set(y),
        lambda y: y.at[1:].add(y[:-1]),
        lambda y: y.at[:-1].set(y[1:]),
        lambda y: y.at[np.array([1, 1, 0])].add(y[:3]),
        lambda y: y.at[np.array([2, 0])].set(y[np.array([0, 2])]),
        lambda y: y.at[:, 0].max(y[:, 1]),
    ],
)
def test_an_update_by_parts_of_itself(change):
    y = sg.cumsum(x, axis=0)

    assert_means([x], [sg.cumsum(change(y), axis=0)], [drawn(5, 4)])


def test_a_chain_of_updates_lies_in_one_place():
    y = sg.cumsum(x, axis=0)
    for i in range(5):
        y = y.at[i].add(float(i))
    storage = storage_of([sg.cumsum(y, axis=1)])

    assert storage.peak == 100 * 70 * 8
    assert_means([x], [sg.cumsum(y, axis=1)], [drawn(6, 4)])


# Views


def test_a_view_keeps_what_it_is_taken_of():
    y = sg.cumsum(x, axis=0)
    turned = sg.transpose(y)[::-1]
    later = sg.cumsum(sg.cumsum(sg.tanh(sg.cumsum(x, axis=1)), axis=0), axis=1)

    assert_means([x], [sg.cumsum(later, axis=0), sg.sort(turned, axis=0) + 1, turned], [drawn(6, 6)])


def test_views_of_results_are_copies():
    y = sg.tanh(x)
    outputs = [y, y[::-1], sg.transpose(y), sg.reshape(y, (-1,))]
    results = program_of([x], outputs).run([drawn(3, 4)])

    assert not any(np.shares_memory(a, b) for i, a in enumerate(results) for b in results[:i])
    assert_means([x], outputs, [drawn(3, 4)])


# What was seen: the result was NaN, the garbage of an arena that had been given back. einsum answered with a view of
# its argument, and what a library answers is taken for memory of its own.
@pytest.mark.parametrize("spec", ["ii->i", "ij->ji"])
def test_what_a_library_sees_of_its_argument_is_copied(spec):
    assert_means([square], [sg.einsum(spec, sg.tanh(square))], [drawn(4, 4)])


# What was seen: wrong numbers on every call, from one thread. The update's memory is free once einsum has run, and the
# cumulative sums, which einsum's view is read after, are written over it.
def test_what_a_library_sees_of_its_argument_is_not_overwritten():
    y = sg.sort(sg.tanh(square), axis=0).at[1:].add(1.0)
    turned = sg.einsum("ij->ji", y)
    long = sg.cumsum(sg.cumsum(sg.tanh(square), axis=0), axis=1)

    assert_means([square], [long @ sg.cumsum(turned, axis=1), turned @ turned], [drawn(3, 3)])


# What was seen: NaN for one row. Float16 has no writer, and NumPy's reshape of a transposed row is a view of the arena.
def test_a_reshape_of_one_turned_row_of_short_floats():
    h = sg.placeholder("float16", ("n", "k"), name="h")
    y = sg.reshape(sg.transpose(sg.tanh(h)), (-1,))
    for shape in ((1, 5), (5, 1), (2, 3)):
        assert_means([h], [y], [np.ones(shape, "float16")])


# Order


# What was seen: KeyError. `_order` asks for what a view is taken of, and not for the step that decides its size.
@pytest.mark.parametrize(
    "cut", [lambda y, count: y[count:], lambda y, count: y[:count], lambda y, count: y[-count:]]
)
def test_what_decides_the_size_of_a_view_runs_before_it(cut):
    other = sg.placeholder("float64", ("m",), name="other")
    count = row[row > 0].shape[0]
    y = sg.sort(other)
    arrays = [np.array([1.0, -1.0, 2.0]), np.arange(90.0)]
    for outputs in (
        [sg.max(cut(y, count))],
        [sg.sum(cut(y, count)), sg.max(y)],
        [sg.sum(cut(sg.cumsum(y), count))],
    ):
        assert_means([row, other], outputs, arrays)


def test_the_order_keeps_the_memory_low():
    parts = [sg.sort(x.at[i].set(0.0), axis=0) for i in range(5)]
    rows = sg.concat([sg.take(part, [3], axis=0) for part in parts], axis=0)
    storage = storage_of([sg.cumsum(rows, axis=0)])

    assert storage.peak < 3 * 100 * 70 * 8
    assert_means([x], [sg.cumsum(rows, axis=0)], [drawn(5, 4)])


def test_every_step_runs_once():
    y = sg.cumsum(x, axis=0)
    storage = storage_of([sg.cumsum(sg.tanh(y), axis=1), sg.sum(y[1:]), sg.transpose(y)])
    steps = [turn.step for turn in storage.turns if not isinstance(turn.step, View)]

    assert len(steps) == len(set(steps)) == 4


# What was seen: tanh of the first row. `seen_through` takes the axis for one of size 1, and nothing looks at the call.
def test_an_axis_that_is_squeezed_is_of_size_1():
    f = sg.function([x], sg.tanh(sg.squeeze(x, 0)) * 2)

    np.testing.assert_allclose(f(np.ones((1, 3))), np.tanh(np.ones(3)) * 2)
    with pytest.raises(sg.ShapeError, match="squeeze"):
        f(np.ones((2, 3)))


# Sizes


def test_nothing_needs_no_memory():
    y = sg.cumsum(sg.tanh(sg.cumsum(x, axis=0)), axis=0)

    assert storage_of([y], n=0).peak == 0
    assert_means([x], [y], [np.zeros((0, 3))])
    assert_means([x], [y], [np.zeros((3, 0))])


def test_each_binding_of_sizes_has_its_storage():
    program = program_of([x], [sg.cumsum(sg.tanh(sg.cumsum(x, axis=0)), axis=0)])
    n, k = x.shape
    first, second = program.storage({n: 3, k: 4}), program.storage({n: 30, k: 4})

    assert program.storage({k: 4, n: 3}) is first
    assert first.peak == 128 and second.peak == 960


# What was seen: 0 bytes. A result that is a view is copied into memory of its own, which the bytes of the results leave
# out; and a result named twice counts once, although function() gives two arrays.
@pytest.mark.parametrize(
    "outputs", [[sg.tanh(x)[::-1]], [sg.transpose(sg.tanh(x)), sg.tanh(x)], [sg.cumsum(x, axis=0)[1:]]]
)
def test_the_bytes_of_results_count_views(outputs):
    results = program_of([x], outputs).run([drawn(100, 70)])

    assert storage_of(outputs).results == sum(each.nbytes for each in results)


# What is given up


def test_a_result_takes_over_what_is_given_up():
    array = drawn(5, 4)
    expected = np.tanh(array)
    (result,) = program_of([x], [sg.tanh(x)], donated=[x]).run([array])

    assert np.shares_memory(result, array)
    np.testing.assert_allclose(result, expected)


def test_what_is_given_up_and_read_later_is_kept():
    for outputs in (
        [sg.tanh(x), sg.cumsum(x, axis=0)],
        [sg.tanh(x), x],
        [sg.tanh(x), x[::-1]],
        [x * 2, sg.sort(x)],
    ):
        array = drawn(5, 4)
        assert_means([x], outputs, [array], donated=[x])


def test_two_results_do_not_take_over_the_same():
    array = drawn(5, 4)
    first, second = program_of([x], [sg.tanh(x), x * 2], donated=[x]).run([array])

    assert not np.shares_memory(first, second)


@pytest.mark.parametrize(
    "dtypes", [("float64", "float32"), ("float32", "int32"), ("int64", "float64"), ("uint8", "bool")]
)
@pytest.mark.parametrize("block", [1, 5, 1 << 15])
def test_a_result_of_another_dtype(dtypes, block):
    given, made = dtypes
    a = sg.placeholder(given, ("n", "k"), name="a")
    for make in (
        lambda a: sg.astype(a * 2, made),
        lambda a: sg.astype(a, made),
        lambda a: sg.where(a > 1, 1, 0),
    ):
        array = np.arange(12).reshape(3, 4).astype(given)
        (expected,) = schedule([make(a)], [a]).run([array.copy()])
        (result,) = program_of([a], [make(a)], block, donated=[a]).run([array])

        np.testing.assert_array_equal(expected, result)
        assert result.dtype == expected.dtype
