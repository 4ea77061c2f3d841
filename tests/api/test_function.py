"""function(): the contract of a call."""

import gc
import weakref
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import symgraph as sg
from tests.concurrency import together


def vector(name="x", dtype="float64", size="n"):
    return sg.placeholder(dtype, (size,), name=name)


def test_outputs_keep_their_structure():
    class Pair(NamedTuple):
        twice: object
        nothing: object

    x = vector()
    f = sg.function([x], {"a": [x + 1, (x * 2,)], "b": None, "pair": Pair(x * 2, None)})
    result = f([1.0])

    assert ["a", "b", "pair"] == list(result)
    assert [2.0] == result["a"][0]
    assert isinstance(result["a"][1], tuple)
    assert result["b"] is None
    assert [2.0] == result["pair"].twice


def test_no_output_is_none():
    w = sg.variable(1.0, name="w")
    f = sg.function([], None, updates={w: w * 2})

    assert f() is None
    assert 2.0 == w.value


def test_arguments_by_position_and_by_name():
    x, y = vector("x"), vector("y")
    f = sg.function([x, y], x - y)

    assert [-1.0] == f([1.0], [2.0])
    assert [-1.0] == f(y=[2.0], x=[1.0])
    assert [-1.0] == f([1.0], y=[2.0])


def test_safe_casts_and_python_numbers_are_taken():
    x = sg.placeholder("float64", (), name="x")
    f = sg.function([x], x * 2)

    assert 3.0 == f(1.5)
    assert 4.0 == f(2)
    assert 4.0 == f(np.int32(2))
    assert 3.0 == f(np.float32(1.5))
    assert np.float64 == f(True).dtype


@pytest.mark.parametrize(
    "value", [np.zeros(2), np.zeros(2, "int64"), np.zeros(2, "complex64"), ["a", "b"], [1j]]
)
def test_unsafe_casts_are_refused(value):
    x = vector(dtype="float32")
    f = sg.function([x], x * 2)

    with pytest.raises(sg.DTypeError, match="x is f32"):
        f(value)


def test_an_empty_list_is_an_empty_array():
    x = vector(dtype="float32")

    assert (0,) == sg.function([x], x * 2)([]).shape


def test_all_updates_see_the_values_from_before():
    a, b = sg.variable(1.0, name="a"), sg.variable(2.0, name="b")
    swap = sg.function([], [a, b, a + b], updates={a: b, b: a})

    assert [1.0, 2.0, 3.0] == swap()
    assert (2.0, 1.0) == (a.value, b.value)


def test_a_failing_call_changes_nothing():
    i = sg.placeholder("int64", (), name="i")
    a, b = sg.variable(np.zeros(3), name="a"), sg.variable(0.0, name="b")
    f = sg.function([i], a[i], updates={b: b + 1, a: a + 1})

    with pytest.raises(IndexError):
        f(7)
    assert 0.0 == b.value
    assert [0.0, 0.0, 0.0] == a.value.tolist()


def test_a_failing_update_changes_nothing():
    x = vector()
    a, b = sg.variable(np.zeros(3), name="a"), sg.variable(0.0, name="b")
    f = sg.function([x], None, updates={b: b + 1, a: a[:0] if False else x * 1})

    with pytest.raises(sg.ShapeError, match="update"):
        f([1.0])
    assert 0.0 == b.value


def test_results_are_the_callers_own():
    x = vector()
    w = sg.variable(np.zeros(2), name="w")
    f = sg.function([x], [x, x.reshape(-1, 1), w, x, x[::-1]])
    given = np.array([1.0, 2.0])
    results = f(given)

    for i, result in enumerate(results):
        assert result.flags.writeable
        assert not np.shares_memory(result, given)
        assert not any(np.shares_memory(result, other) for other in results[i + 1 :])
        result[...] = 99
    assert [0.0, 0.0] == w.value.tolist()
    assert [1.0, 2.0] == f(given)[0].tolist()


def test_constants_cannot_be_changed_through_results():
    f = sg.function([], sg.constant([1.0, 2.0]))
    f()[...] = 5

    assert [1.0, 2.0] == f().tolist()


def test_an_update_by_an_argument_keeps_a_copy():
    x = sg.placeholder("float64", (2,), name="x")
    w = sg.variable(np.zeros(2), name="w")
    keep = sg.function([x], None, updates={w: x})
    given = np.array([1.0, 2.0])
    keep(given)
    given[0] = 99

    assert [1.0, 2.0] == w.value.tolist()


def test_variables_share_nothing_with_their_callers():
    first = np.zeros(2)
    w = sg.variable(first, name="w")
    first[0] = 1
    w.value[0] = 2

    assert [0.0, 0.0] == w.value.tolist()
    second = np.ones(2)
    w.value = second
    second[0] = 5
    assert [1.0, 1.0] == w.value.tolist()


def test_givens_replace_intermediate_nodes_and_reach_updates():
    x, y = vector("x"), vector("y")
    w = sg.variable(0.0, name="w")
    hidden = sg.exp(x)
    total = (hidden * 2).sum()
    f = sg.function([y], total, updates={w: w + total}, givens={hidden: y + 1})

    assert 8.0 == f([1.0, 1.0])
    assert 8.0 == w.value


def test_givens_are_replaced_all_at_once():
    x, y = vector("x"), vector("y")
    f = sg.function([x, y], x - y, givens={x: y, y: x})

    assert [1.0] == f([1.0], [2.0])


def test_defaults_are_copied_and_not_sticky():
    x, y = sg.placeholder("float64", (), name="x"), vector("y")
    default = np.array([1.0, 2.0])
    f = sg.function([x, y], x * y, defaults={y: default})
    default[0] = 50

    assert [2.0, 4.0] == f(2.0).tolist()
    assert [6.0] == f(2.0, [3.0]).tolist()
    assert [2.0, 4.0] == f(2.0).tolist()


def test_any_node_can_be_an_input():
    x = vector()
    hidden = sg.exp(x)
    f = sg.function([hidden], sg.log(hidden) * 2)

    assert [0.0] == f([1.0])


def test_a_size_alone_makes_an_input_needed():
    x = vector()
    f = sg.function([x], sg.constant(1) + x.shape[0])

    assert 4 == f([0.0] * 3)


def test_one_program_serves_every_size():
    x = sg.placeholder("float32", ("n", "m"), name="x")
    f = sg.function([x], sg.softmax(x).sum(axis=0) / x.shape[0])

    for shape in [(1, 1), (3, 5), (7, 1), (0, 4), (100, 2)]:
        assert shape[1:] == f(np.zeros(shape, "float32")).shape


def test_sizes_that_meet_broadcast_at_the_call():
    x, y = vector("x", size="n"), vector("y", size="m")
    f = sg.function([x, y], sg.grad((x * y).sum(), [x, y]))

    gx, gy = f([1.0, 2.0, 3.0], [10.0])
    assert ([10.0] * 3, [6.0]) == (gx.tolist(), gy.tolist())
    gx, gy = f([2.0], [1.0, 10.0])
    assert ([11.0], [2.0, 2.0]) == (gx.tolist(), gy.tolist())


def test_concurrent_updates_are_not_lost():
    w, v = sg.variable(0, name="w"), sg.variable(0, name="v")
    one = sg.function([], None, updates={w: w + 1, v: v + 1})
    two = sg.function([], None, updates={v: v + 1, w: w + 1})

    def work(f):
        for _ in range(300):
            f()

    together(*(partial(work, f) for f in (one, two, one, two)))

    assert (1200, 1200) == (w.value, v.value)


def test_watch_names_the_first_nan():
    x = vector()
    f = sg.function([x], sg.sqrt(x) + sg.exp(x), options=sg.Options(watch=True))

    assert np.isfinite(f([1.0])).all()
    with pytest.raises(sg.RunError, match="sqrt made the first NaN"):
        f([-1.0])


def test_numpy_functions_build_nodes():
    x = vector()
    array = np.array([1.0, 2.0])

    assert np.exp(x) is sg.exp(x)
    assert array + x is sg.add(array, x)
    assert np.sum(x, axis=0) is sg.sum(x, axis=0)
    assert (array @ x) is sg.matmul(array, x)
    assert (np.float64(2) * x) is sg.multiply(np.float64(2), x)
    assert np.clip(x, a_min=0, a_max=1) is sg.clip(x, 0, 1)
    assert np.transpose(sg.outer(x, x), (1, 0)) is sg.transpose(sg.outer(x, x), (1, 0))


def test_python_integers_that_fit_no_element_compare_as_in_numpy():
    x = vector(dtype="uint8")
    f = sg.function([x], [x > -1, x == 300, x < 256])

    assert [[True], [False], [True]] == [result.tolist() for result in f(np.array([255], "uint8"))]


def test_a_masked_array_is_refused():
    x = vector()

    with pytest.raises(sg.ArgumentError, match="mask would be lost"):
        sg.function([x], x * 2)(np.ma.masked_array([1.0, 2.0], mask=[True, False]))


def test_results_are_freed_when_they_are_dropped():
    x = vector()
    f = sg.function([x], {"a": sg.softmax(x), "b": [x[1:] * 2]})
    gc.disable()
    try:
        result = f(np.ones(5))
        results = [weakref.ref(result["a"]), weakref.ref(result["b"][0])]
        del result
        alive = [each() is not None for each in results]
    finally:
        gc.enable()

    assert [False, False] == alive
