"""Walks, substitution, and data-dependent sizes carried through both."""

import numpy as np

import symgraph as sg
from symgraph.graph.walk import leaves, substitute, toposort, users


def test_order_has_every_node_once_after_what_it_needs():
    x = sg.placeholder("float64", ("n",), name="x")
    y = sg.exp(x) * sg.sin(x) + sg.exp(x)
    order = toposort([y, x])

    place = {node: i for i, node in enumerate(order)}

    assert len(order) == len(place)
    assert all(place[dep] < place[node] for node in order for dep in node.deps)


def test_stopped_nodes_are_entered_and_not_passed():
    x = sg.placeholder("float64", ("n",), name="x")
    y = sg.exp(x)

    assert ids([y, sg.sin(y)]) == ids(toposort([sg.sin(y)], stop={y}))


def ids(nodes):
    """Nodes to be compared by identity, since ``==`` builds a comparison."""
    return list(map(id, nodes))


def test_users_are_the_inverse_of_deps():
    x = sg.placeholder("float64", ("n",), name="x")
    a, b = sg.exp(x), sg.sin(x)

    assert ids([a, b]) == ids(users(toposort([a + b]))[x])


def test_leaves():
    x = sg.placeholder("float64", ("n",), name="x")

    assert {"placeholder", "constant"} == {leaf.op.name for leaf in leaves([x * 2 + 1])}


def test_substitution_replaces_all_at_once():
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")

    assert (y - x) is substitute([x - y], {x: y, y: x})[0]


def test_substitution_shares_what_did_not_change():
    x, y, z = (sg.placeholder("float64", ("n",), name=name) for name in "xyz")
    kept = sg.exp(z)

    assert kept is substitute([x * kept], {x: y})[0].inputs[1]


def test_a_size_that_data_decide_runs_before_what_needs_it():
    x = sg.placeholder("float64", ("n",), name="x")
    (where,) = sg.nonzero(x)
    count = where.shape[0]

    assert 2 == sg.evaluate(sg.constant(0) + count, {x: [1.0, 0.0, 3.0]})
    assert [1.0, 1.0] == sg.evaluate(sg.ones((count,)), {x: [1.0, 0.0, 3.0]}).tolist()


def test_gradient_of_a_masked_sum_needs_the_mask_alone():
    x = sg.placeholder("float64", ("n",), name="x")
    g = sg.grad(x[x > 0].sum(), x)

    assert [1.0, 0.0, 1.0] == sg.evaluate(g, {x: [2.0, -1.0, 3.0]}).tolist()


def test_substitution_renames_sizes_that_data_decide():
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    total = sg.ones((sg.nonzero(x)[0].shape[0],)).sum()
    (moved,) = substitute([total], {x: y})

    assert 1 == sg.evaluate(moved, {y: np.array([0.0, 5.0])})
