"""Gradients are the slopes that central differences see, and the gradients of gradients too; forward mode agrees."""

from functools import cached_property

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.walk import toposort
from tests.derived.declared import FUNCTIONS_BY_NAME, calls, failures

DIFFERENTIABLE = {name: f for name, f in FUNCTIONS_BY_NAME.items() if f.differentiable}
PRECISE = ("float64", "complex128")
STEP = 1e-4
TOLERANCE = 1e-6


@pytest.fixture(scope="module", params=DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def f(request):
    return Slopes(request.param)


def test_gradient_is_the_slope(f):
    assert not f.failures(wrong_slope, f.precise)


def test_second_gradient_is_the_slope_of_the_first(f):
    assert not f.failures(wrong_curvature, f.precise)


def test_forward_mode_is_the_slope_and_the_transpose_of_reverse_mode(f):
    assert not f.failures(wrong_push, f.precise)


def test_symbolic_forward_mode_is_the_transpose_too(f):
    assert not f.failures(wrong_transpose, f.symbolic)


def test_jacobian_holds_all_slopes_dense_or_sparse(f):
    assert not f.failures(wrong_jacobian, [call for call in f.precise if call.dtype == "float64"])


def test_symbolic_jacobian_holds_all_slopes(f):
    assert not f.failures(wrong_jacobian, [call for call in f.symbolic if call.dtype == "float64"])


def test_tangent_has_the_type_of_the_output(f):
    assert not failures(f.function, ((call, lambda call=call: wrong_tangent_type(call)) for call in f.calls))


def test_symbolic_gradient_is_the_same(f):
    fixed = {str(call) + call.dtype: call for call in f.precise}

    def check(symbolic):
        return changed(symbolic, f.slope(fixed[str(symbolic.call) + symbolic.call.dtype]))

    assert not f.failures(check, f.symbolic)


def test_gradient_has_the_type_of_the_input(f):
    assert not f.failures(wrong_type, f.calls)


class Slopes:
    """A function, its calls, and the gradient of each, which most of the tests ask for."""

    def __init__(self, function):
        self.function = function
        self.calls = list(calls(function))
        self.precise = [call for call in self.calls if call.dtype in PRECISE]
        self.symbolic = list(calls(function, PRECISE, symbolic=True))
        self._found = {}

    def slope(self, call):
        if id(call) not in self._found:  # the calls stay, and so do their numbers
            self._found[id(call)] = Slope(call)
        return self._found[id(call)]

    def failures(self, check, some):
        return failures(self.function, ((call, lambda call=call: check(self.slope(call))) for call in some))


class Slope:
    """The gradient of ``real(sum(conj(weights) * results))`` with random weights, as nodes and as numbers."""

    def __init__(self, call):
        self.call = call
        outputs = call.outputs()
        self.outputs = [node for node in outputs if node.row.is_inexact]
        self.wrt = [i for i, node in enumerate(call.nodes) if node.row.is_inexact]
        self.inputs = [call.nodes[i] for i in self.wrt]
        self.arrays = list(call.arrays)
        self.applies = bool(self.outputs and self.inputs)
        if not self.applies:
            return
        self.forward = schedule(self.outputs, call.nodes)
        rng = np.random.default_rng(7)
        self.weights = [weights_like(rng, x) for x in self.forward.run(self.arrays)]
        seeds = [sg.placeholder(node.dtype, node.shape, name=f"w{i}") for i, node in enumerate(self.outputs)]
        self.nodes = sg.vjp(self.outputs, self.inputs, seeds)
        self.given = (*call.nodes, *seeds)
        self.backward = schedule(self.nodes, self.given)
        self.values = self.backward.run([*self.arrays, *self.weights])

    @cached_property
    def exact(self):
        """Whether every step is in double precision, so that differences can be trusted."""
        rows = [x.row for node in toposort(self.outputs) for x in [node] if not hasattr(node.type, "items")]
        return self.applies and not any(row.is_inexact and row.name not in PRECISE for row in rows)

    def loss(self, arrays):
        return weighted(self.weights, self.forward.run(arrays))


def wrong_slope(slope):
    if not slope.exact:
        return None
    for i, value in zip(slope.wrt, slope.values, strict=True):
        if value.shape != slope.arrays[i].shape:
            return f"the gradient has shape {value.shape} where the input has {slope.arrays[i].shape}"
        differences = central_differences(slope.loss, slope.arrays, i)
        if (error := distance(value, differences)) > TOLERANCE:
            return f"x{i}: {error:.1e} apart: the gradient is\n{value}\nand differences are\n{differences}"
    return None


def wrong_curvature(first):
    if not first.exact or not any(x.size for x in first.values):
        return None
    rng = np.random.default_rng(11)
    weights = [weights_like(rng, x) for x in first.values]
    seeds = [sg.placeholder(x.dtype, x.shape, name=f"u{i}") for i, x in enumerate(first.nodes)]
    nodes = sg.vjp(first.nodes, first.inputs, seeds)
    values = schedule(nodes, (*first.given, *seeds)).run([*first.arrays, *first.weights, *weights])
    for _ in range(2):
        directions = [weights_like(rng, x) for x in values]

        def loss(t, directions=directions):
            moved = list(first.arrays)
            for i, direction in zip(first.wrt, directions, strict=True):
                moved[i] = moved[i] + t * direction
            return weighted(weights, first.backward.run([*moved, *first.weights]))

        difference = extrapolated(loss)
        slope = weighted(directions, values)
        if not abs(slope - difference) <= TOLERANCE * max(1.0, abs(difference)):
            return f"the slope of the gradient is {slope}, and differences give {difference}"
    return None


def changed(a, b):
    """What sizes that have names change."""
    if not a.applies:
        return None
    for i, x, y in zip(a.wrt, a.values, b.values, strict=True):
        if x.shape != y.shape:
            return f"x{i}: the gradient has shape {x.shape} where sizes are symbolic, else {y.shape}"
        if not distance(x, y) <= 1e-13:
            return f"x{i}: the gradient is\n{x}\nwhere sizes are symbolic, else\n{y}"
    return None


class Jacobian:
    """All slopes of the results in the inputs, row by row or column by column, and their sums with the weights."""

    def __init__(self, slope, mode):
        table = sg.jacobian(slope.outputs, slope.inputs, mode=mode)
        values = iter(schedule([node for row in table for node in row], slope.call.nodes).run(slope.arrays))
        self.rows = [[next(values) for _ in row] for row in table]
        self.weighted = [
            sum(np.tensordot(w, part, w.ndim) for w, part in zip(slope.weights, column, strict=True))
            for column in zip(*self.rows, strict=True)
        ]


def wrong_jacobian(slope):
    if not slope.exact or not all(x.row.is_float for x in (*slope.outputs, *slope.inputs)):
        return None
    for mode in ("reverse", "forward"):
        dense = Jacobian(slope, mode)
        for i, a, b in zip(slope.wrt, dense.weighted, slope.values, strict=True):
            if a.shape != b.shape or not distance(a, b) <= 1e-11:
                return f"x{i}, {mode}: the slopes sum up to\n{a}\nand the gradient is\n{b}"
    if not all(isinstance(size, int) for x in (*slope.outputs, *slope.inputs) for size in x.shape):
        return None
    sparse = [part for row in sg.sparse_jacobian(slope.outputs, slope.inputs) for part in row]
    values = schedule([part.values for part in sparse], slope.call.nodes).run(slope.arrays)
    wholes = [whole for row in dense.rows for whole in row]
    for part, array, whole in zip(sparse, values, wholes, strict=True):
        found = part.toarray(array).reshape(whole.shape)
        if not distance(found, whole) <= 1e-11:
            return f"the sparse Jacobian is\n{found}\nand the dense one is\n{whole}"
    return None


class Push:
    """The tangents of the results for random tangents of the inputs, as nodes and as numbers."""

    def __init__(self, slope):
        rng = np.random.default_rng(13)
        self.directions = [weights_like(rng, slope.arrays[i]) for i in slope.wrt]
        seeds = [sg.placeholder(x.dtype, x.shape, name=f"t{i}") for i, x in enumerate(slope.inputs)]
        self.nodes = sg.jvp(slope.outputs, slope.inputs, seeds)
        self.values = schedule(self.nodes, (*slope.call.nodes, *seeds)).run([*slope.arrays, *self.directions])


def wrong_transpose(slope):
    return wrong_push(slope, slopes=False)


def wrong_push(slope, slopes=True):
    if not slope.exact:
        return None
    push = Push(slope)
    results = slope.forward.run(slope.arrays)
    for value, out in zip(push.values, results, strict=True):
        if value.shape != out.shape:
            return f"the tangent has shape {value.shape} where the result has {out.shape}"
    if any(np.isnan(out).any() for out in results):
        return None  # of no elements
    forward, reverse = weighted(slope.weights, push.values), weighted(slope.values, push.directions)
    if not abs(forward - reverse) <= 1e-11 * max(1.0, abs(reverse)):
        return f"forward mode gives {forward}, and reverse mode {reverse}"
    if not slopes or any(np.isinf(out).any() for out in results):
        return None  # the logarithm of nothing is -inf, and no difference of two such is a number

    def loss(t):
        moved = list(slope.arrays)
        for i, direction in zip(slope.wrt, push.directions, strict=True):
            moved[i] = moved[i] + t * direction
        return slope.loss(moved)

    difference = extrapolated(loss)
    if not abs(forward - difference) <= TOLERANCE * max(1.0, abs(difference)):
        return f"forward mode gives {forward}, and differences give {difference}"
    return None


def wrong_tangent_type(call):
    outputs = [node for node in call.outputs() if node.row.is_inexact]
    inputs = [x for x in call.nodes if x.row.is_inexact]
    if not (outputs and inputs):
        return None
    for out, node in zip(outputs, sg.jvp(outputs, inputs, [1.0] * len(inputs)), strict=True):
        if node.type != out.type:
            return f"the tangent of {out.type} is {node.type}"
    return None


def wrong_type(slope):
    if not slope.applies:
        return None
    for x, node, value in zip(slope.inputs, slope.nodes, slope.values, strict=True):
        if node.type != x.type or value.dtype != x.dtype or value.shape != x.shape:
            return f"the gradient of {x.type} is {node.type}, and runs to {value.dtype}{list(value.shape)}"
    return None


def weights_like(rng, x):
    values = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    if x.dtype.kind == "c":
        values = values + 1j * rng.uniform(0.5, 1.5, x.shape)
    return np.asarray(values, x.dtype)


def weighted(weights, values):
    return sum(float(np.sum((np.conj(w) * x).real)) for w, x in zip(weights, values, strict=True))


def central_differences(loss, arrays, which):
    """The slope in each real coordinate of one array; for a complex one the pair as ``∂a + i ∂b``."""
    at = arrays[which]
    slopes = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        for direction in (1.0, 1j) if at.dtype.kind == "c" else (1.0,):

            def moved_loss(t, place=place, direction=direction):
                moved = at.copy()
                moved[place] += t * direction
                return loss([*arrays[:which], moved, *arrays[which + 1 :]])

            slopes[place] += direction * extrapolated(moved_loss)
    return slopes


def extrapolated(loss):
    """The slope at 0 from central differences with two steps (Richardson)."""
    wide = (loss(STEP) - loss(-STEP)) / (2 * STEP)
    narrow = (loss(STEP / 2) - loss(-STEP / 2)) / STEP
    return (4 * narrow - wide) / 3


def distance(a, b):
    """The largest difference, relative to the largest value or 1; NaN counts as infinite."""
    if not a.size:
        return 0.0
    apart = float(np.max(np.abs(a - b))) / max(1.0, float(np.max(np.abs(b))))
    return apart if apart == apart else np.inf
