"""Nodes: interned, immutable, without a value, and knowing their line."""

import gc
import inspect
import weakref

import numpy as np
import pytest

import symgraph as sg
from tests.concurrency import together


def line():
    return inspect.currentframe().f_back.f_lineno


def test_equal_expressions_are_one_node():
    x = sg.placeholder("float32", ("n",), name="x")

    assert sg.exp(x) + 1 is sg.exp(x) + 1
    assert sg.placeholder("float32", ("n",), name="x") is x
    assert x.sum(axis=0) is x.sum(axis=-1)


def test_constants_are_compared_by_bytes():
    assert sg.constant(0.0) is not sg.constant(-0.0)
    assert sg.constant(float("nan")) is sg.constant(float("nan"))
    assert sg.constant(1) is not sg.constant(1.0)
    assert sg.constant(True) is not sg.constant(1)
    assert sg.constant(np.arange(1000)) is sg.constant(np.arange(1000))


def test_a_constant_is_a_copy():
    array = np.zeros(3)
    node = sg.constant(array)
    array[0] = 7

    assert 0 == sg.evaluate(node)[0]


def test_unnamed_placeholders_and_sizes_are_all_different():
    a, b = sg.placeholder("float32", (None,)), sg.placeholder("float32", (None,))

    assert a is not b
    assert a.shape[0] is not b.shape[0]


def test_types_that_depend_on_data_keep_no_data():
    x = sg.placeholder("float64", ("n",), name="x")
    data = sg.exp(x) * 7.75
    gone = weakref.ref(data)
    sg.mean(sg.nonzero(data)[0] * 2.0)
    del data
    gc.collect()
    assert gone() is None


def test_a_node_that_nobody_holds_is_forgotten():
    x = sg.placeholder("float32", ("n",), name="x")
    gone = weakref.ref(sg.exp(x) * 3.25)
    gc.collect()

    assert gone() is None


def test_a_long_chain_is_freed_without_recursion():
    node = x = sg.placeholder("float32", (), name="x")
    for _ in range(50_000):
        node = node + x
    top = weakref.ref(node)
    del node
    gc.collect()

    assert top() is None


def test_nodes_cannot_be_changed():
    x = sg.placeholder("float32", (), name="x")

    with pytest.raises(AttributeError):
        x.type = None


def test_nodes_are_keys_although_they_compare_elementwise():
    x, y = sg.placeholder("float32", (), name="x"), sg.placeholder("float32", (), name="y")

    assert {x: 1, y: 2} == {y: 2, x: 1}
    assert (x == y) is sg.equal(x, y)
    assert (x != 0) is sg.not_equal(x, 0)


def test_origin_is_the_line_of_the_user():
    x = sg.placeholder("float32", ("n",), name="x")
    y = sg.softmax(x * 2)
    made = line() - 1

    assert ("test_node.py", made) == (y.origin.place.split(":")[0], y.origin.line)


def test_gradients_carry_the_line_of_what_they_differentiate():
    x = sg.placeholder("float32", ("n",), name="x")
    y = sg.sin(x)
    made = line() - 1
    loss = y.sum()
    (g,) = sg.grad(loss, [x])

    assert made in {node.origin.line for node in sg.toposort([g]) if node.op.name == "cos"}


def test_threads_make_one_node():
    x = sg.placeholder("float32", ("n",), name="x")
    made = []

    def build():
        node = x
        for i in range(200):
            node = sg.tanh(node * (i + 0.125))
        made.append(node)

    together(*[build] * 8)

    assert 1 == len(set(map(id, made)))


def test_len_and_iteration_need_a_known_size():
    x = sg.placeholder("float32", (3, "n"), name="x")

    assert 3 == len(x)
    assert [(x.shape[1],)] * 3 == [row.shape for row in x]
    with pytest.raises(TypeError, match="axis 0 is n"):
        len(x[0])


def test_shared_sums_stay_small():
    y = x = sg.placeholder("float64", (), name="x")
    for _ in range(60):
        y = y + y

    assert 61 == len(sg.toposort([y]))
    assert 2.0**60 == sg.evaluate(sg.grad(y, x), {x: 1.0})
