"""How many kernels named programs become, and why there are not fewer."""

from pathlib import Path

import numpy as np
import pytest

import symgraph as sg

x = sg.placeholder("float32", ("n", "k"), name="x")
w = sg.placeholder("float32", ("k",), name="w")
b = sg.placeholder("float32", ("k",), name="b")
spot, strike, rate, volatility, time = (
    sg.placeholder("float64", ("n",), name=name) for name in ("spot", "strike", "rate", "volatility", "time")
)


def layer_norm(x, w, b):
    centred = x - sg.mean(x, axis=1, keepdims=True)
    return centred / sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5) * w + b


def black_scholes():
    root = volatility * sg.sqrt(time)
    first = (sg.log(spot / strike) + (rate + volatility * volatility / 2) * time) / root
    return spot * sg.ndtr(first) - strike * sg.exp(-rate * time) * sg.ndtr(first - root)


ONE_KERNEL = {
    "softmax": sg.softmax(x, axis=1),
    "log_softmax": sg.log_softmax(x, axis=1),
    "logsumexp": sg.logsumexp(x, axis=1),
    "var": sg.var(x, axis=1),
    "layer_norm": layer_norm(x, w, b),
    "rms_norm": x / sg.sqrt(sg.mean(x * x, axis=1, keepdims=True) + 1e-5) * w,
    "normalized": x / sg.norm(x, axis=1, keepdims=True),
    "gelu": sg.gelu(x),
    "mish": sg.mish(x),
    "black_scholes": black_scholes(),
    "cross_entropy": sg.cross_entropy(x, sg.placeholder("int64", ("n",), name="labels")),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_is_one_kernel(name):
    assert 1 == len(of(ONE_KERNEL[name]).plan.kernels)


def of(output):
    return sg.function([node for node in sg.toposort([output]) if node.op.name == "placeholder"], output)


def adam(parameter, gradient, mean, square):
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient * gradient
    return [parameter - 0.001 * (mean / 0.1) / (sg.sqrt(square / 0.001) + 1e-8), mean, square]


def adam_of_eight():
    shapes = [("a", "b"), ("b",), ("b", "c"), ("a", "b"), ("b",), ("b", "c"), ("a", "b"), ("b",)]
    given = [
        [sg.placeholder("float32", shape, name=f"{name}{i}") for name in "pgms"]
        for i, shape in enumerate(shapes)
    ]
    return sg.function([x for each in given for x in each], [x for each in given for x in adam(*each)])


def test_updates_of_parameters_of_one_shape_are_one_kernel():
    assert 3 == len(adam_of_eight().plan.kernels)


def perceptron():
    value = inputs = sg.placeholder("float32", ("n", "d0"), name="inputs")
    parameters = []
    for i in range(3):
        weight = sg.placeholder("float32", (f"d{i}", f"d{i + 1}"), name=f"weight{i}")
        bias = sg.placeholder("float32", (f"d{i + 1}",), name=f"bias{i}")
        parameters += [weight, bias]
        value = value @ weight + bias
        value = sg.tanh(value) if i < 2 else value
    target = sg.placeholder("float32", ("n", "d3"), name="target")
    loss = sg.mean((value - target) ** 2)
    return sg.function([inputs, *parameters, target], [loss, *sg.grad(loss, parameters)])


def test_the_gradient_of_three_layers_is_at_most_two_kernels_a_layer_and_two():
    assert len(perceptron().plan.kernels) <= 8


def classes():
    return sg.function([x], [sg.softmax(x, axis=1), sg.max(x, axis=1), sg.argmax(x, axis=1)])


def test_the_place_of_the_largest_is_found_where_it_is_computed():
    labels = sg.placeholder("int64", ("n",), name="labels")
    same = sg.argmax(sg.tanh(x), axis=-1) == labels

    assert 1 == len(classes().plan.steps)
    assert ["tanh", "argmax", "equal"] == [node.op.name for node in of(same).plan.kernels[0].nodes]


def test_an_index_in_row_major_order_counts_along_the_axes_as_they_are():
    powers = sg.exp(x)

    rows, columns = sg.argmax(powers), sg.argmax(sg.transpose(powers))

    assert 1 == len(sg.function([x], [powers, rows, sg.max(powers)]).plan.kernels)
    assert ["argmax counts along axes in another order"] == [
        cut.reason for cut in sg.function([x], [powers, rows, columns]).plan.cuts
    ]


def test_the_place_of_an_extremum_is_a_call_where_it_is_all_there_is():
    assert "call argmax(x)" in str(of(sg.argmax(x, axis=1)).plan)


def test_every_boundary_has_a_reason():
    plan = perceptron().plan
    where = {node: kernel for kernel in plan.kernels for node in kernel.nodes}
    passed = {
        (where[x], kernel)
        for kernel in plan.kernels
        for x in kernel.needs
        if x in where and where[x] is not kernel
    }

    assert passed == {(where[cut.source], where[cut.reader]) for cut in plan.cuts}
    assert all(cut.reason for cut in plan.cuts)


@pytest.mark.parametrize("name", [*ONE_KERNEL, "adam", "perceptron", "classes"])
def test_plans_by_their_text(name, update):
    made = {"adam": adam_of_eight, "perceptron": perceptron, "classes": classes}
    plan = (made[name]() if name in made else of(ONE_KERNEL[name])).plan
    reasons = [line.partition("   ")[0] for line in plan.explain().splitlines()]
    found = "\n".join([str(plan), *reasons]) + "\n"
    path = Path(__file__).parent / "plans" / f"{name}.txt"
    if update:
        path.write_text(found, encoding="utf-8")
    else:
        assert path.read_text(encoding="utf-8") == found


def test_a_kernel_whose_sweeps_all_move_to_their_reader_has_rows_alone():
    given = sg.placeholder("float64", ("n",), name="given")
    matrix = sg.placeholder("float64", ("n", "k"), name="matrix")
    slope = sg.tanh(given)
    added = matrix + sg.expand_dims(slope, 1)
    f = sg.function([given, matrix], [slope, sg.sum(added, axis=0)])

    assert [(1, 0), (1, 1)] == [(len(kernel.rows), len(kernel.columns)) for kernel in f.plan.kernels]
    np.testing.assert_allclose(np.full(3, 2 + 2 * np.tanh(1)), f(np.ones(2), np.ones((2, 3)))[1])


def test_a_value_that_only_others_compute_leaves_no_kernel_behind():
    p = sg.placeholder("float64", ("n",), name="p")
    total = p
    for factor in range(60):
        total = total * 0.5 + sg.sin(p * factor)

    plan = sg.function([p], [total, *sg.grad(total.sum(), [p])]).plan

    assert all(kernel.writes for kernel in plan.kernels)


def test_a_cheap_value_is_computed_where_it_is_read_and_nowhere_else():
    p = sg.placeholder("float64", ("n",), name="p")
    y = p
    for _ in range(100):
        y = sg.sin(y)

    plan = sg.function([p], [y.sum(), *sg.grad(y.sum(), [p])]).plan
    computed = [node for kernel in plan.kernels for node in kernel.nodes if node.op.name == "cos"]

    assert len(computed) == len(set(computed))
    assert not any(node.op.name == "cos" for kernel in plan.kernels for node in kernel.writes)
