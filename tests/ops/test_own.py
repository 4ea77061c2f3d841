import doctest

import numpy as np
import pytest

import symgraph as sg
from symgraph.api import composite, own_check
from symgraph.graph.op import OPS
from symgraph.ops import own, own_kernels, own_op, own_scalar, type_rules
from symgraph.ops.own_op import OwnOp
from symgraph.ops.type_rules import TypeRule

x = sg.placeholder("float32", ("n",), name="x")
a = sg.placeholder("float64", ("n",), name="a")
m = sg.placeholder("float64", ("n", "k"), name="m")


def line_of(error):
    return str(error.value).splitlines()[0]


@pytest.mark.parametrize("module", [composite, own, own_kernels, own_op, own_scalar, own_check])
def test_docstrings(module):
    names = {name: getattr(sg, name) for name in sg.__all__} | {"np": np, "__name__": module.__name__}

    assert 0 == doctest.testmod(module, extraglobs=names).failed


# Compositions


@sg.composite
def own_swish(x, beta):
    """x * sigmoid(beta * x)"""
    return x * sg.sigmoid(beta * x)


@sg.composite
def own_moments(x, *, axis=-1):
    mean = sg.mean(x, axis=axis)
    return mean, sg.mean((x - sg.expand_dims(mean, axis)) ** 2, axis=axis)


def test_a_composition_is_one_node_and_compiles_to_its_body():
    y = own_swish(x, 1.5)

    assert "own_swish(x, f32(1.5))" in sg.show(y)
    assert sg.parse(sg.show(y)).outputs[0] is y
    assert sg.function([x], y).plan.kernels
    assert "x * sigmoid(beta * x)" == own_swish.__doc__
    assert ("numpy", "gradient") == tuple(
        each for each in sg.check_op(own_swish, [-1.0, 0.5], 2.0) if each in ("numpy", "gradient")
    )


def test_python_numbers_take_the_dtype_of_the_nodes_beside_them():
    counts = sg.placeholder("int32", ("n",), name="counts")

    assert "float32" == own_swish(x, 2).row.name
    assert "float64" == own_swish(counts, 0.5).row.name


def test_a_body_is_as_stable_as_the_same_expression_outside():
    @sg.composite
    def own_naive(x):
        return sg.log(1 + sg.exp(x))

    f = sg.function([a], [own_naive(a), sg.grad(own_naive(a).sum(), a)])

    np.testing.assert_array_equal([[1000.0], [1.0]], f([1000.0]))
    assert 1000.0 == sg.evaluate(own_naive(1000.0))


def test_an_elementwise_body_leaves_no_nan_in_branches_that_are_not_taken():
    @sg.composite(elementwise=True)
    def own_root(x, scale):
        return sg.sqrt(x) * scale

    @own_root.vjp
    def _(g, x, scale, out):
        return g * scale**2 * 0.5 / out, g * sg.sqrt(x)

    y = sg.where(m > 0, own_root(m, a[:, None]), 0)
    f = sg.function([m, a], sg.grad(y.sum(), [m, a]))

    slopes = f([[0.0, 4.0], [-1.0, 16.0]], [1.0, 2.0])
    np.testing.assert_array_equal([[0.0, 0.25], [0.0, 0.25]], slopes[0])
    np.testing.assert_array_equal([2.0, 4.0], slopes[1])


@pytest.mark.parametrize(
    "body, message",
    [
        (lambda x: sg.cumsum(x), "should be elementwise, and its body has cumulative_sum"),
        (lambda x: x * sg.ones((2, 1)), r"should be elementwise, and gives f64\[2, n\]"),
    ],
)
def test_a_body_that_is_not_elementwise_is_refused(body, message):
    with pytest.raises(sg.GraphError, match=message):
        sg.composite(elementwise=True, name="own_axes")(body)(a)
    with pytest.raises(sg.GraphError, match="its attribute k needs a default"):
        sg.composite(elementwise=True, name="own_axes")(lambda x, *, k: x)


def test_results_of_a_composition_share_a_kernel():
    mean, variance = own_moments(m)
    f = sg.function([m], [mean, variance])

    assert sg.parse(sg.show([mean, variance])).outputs[1] is variance
    assert 1 == len(f.plan.kernels)
    np.testing.assert_allclose([[1.0, 4.0], [2 / 3, 2 / 3]], f(np.arange(6.0).reshape(2, 3)))


def test_a_derivative_of_several_results_is_given_all_cotangents():
    @sg.composite
    def own_pair(x):
        return sg.sin(x), x * x

    @own_pair.vjp
    def _(g, x, out):
        return g[0] * sg.cos(x) + g[1] * 2 * x

    first, second = own_pair(a)
    (found,) = sg.check_gradient((first * second).sum(), [a], {a: [0.5, 2.0]})

    assert found.error < 1e-9


def test_attributes_are_compared_with_their_types():
    @sg.composite
    def own_scaled(x, *, by=2, words=("a", 1.5), length=None):
        return x * by

    kinds = [own_scaled(x, by=by) for by in (1, 1.0, True)]
    whole = own_scaled(x, by=3, words=["b", (1,)], length=x.shape[0])

    assert 3 == len({id(node) for node in kinds})
    assert 'words=("b", (1,)), length=n' in sg.show(whole)
    assert all(
        b is c for b, c in zip([*kinds, whole], sg.parse(sg.show([*kinds, whole])).outputs, strict=True)
    )
    with pytest.raises(sg.ArgumentError, match="the attribute by of own_scaled is None, a bool"):
        own_scaled(x, by={})


def test_a_body_reads_nothing_from_outside():
    w = sg.variable(np.zeros(3), name="w")

    @sg.composite
    def own_leak(x):
        return x + w

    with pytest.raises(sg.GraphError, match=r"own_leak .* reads 'w' from outside: give it as an argument"):
        own_leak(a)


def test_a_body_has_no_sizes_that_data_decide():
    @sg.composite
    def own_picked(x):
        return sg.flatnonzero(x)

    with pytest.raises(sg.GraphError, match="whose sizes its data decide"):
        own_picked(a)


def test_a_derivative_that_does_not_fit_names_the_op():
    @sg.composite
    def own_slopes(x, y):
        return sg.sum(x * y, axis=-1)

    own_slopes.vjp(lambda g, x, y, out: g * y)
    with pytest.raises(sg.GradientError, match=r"own_slopes .* gives 1 slopes for 2 inputs"):
        sg.grad(own_slopes(a, a * 2), a)
    own_slopes.vjp(lambda g, x, y, out: (g, "no"))
    with pytest.raises(sg.GradientError, match=r"gives f64 for an input that is f64\[n\]"):
        sg.grad(own_slopes(a, a * 2), a)


# Names


def test_the_module_that_declared_an_op_may_declare_it_again():
    def cell(factor):
        @sg.composite
        def own_again(x):
            return x * factor

        return own_again

    before, after = cell(2.0), cell(3.0)
    f = sg.function([a], [before(a), after(a)])

    assert OPS["own_again"] is after.op
    assert sg.parse(sg.show(before(a))).outputs[0] is after(a)
    np.testing.assert_array_equal([[2.0], [3.0]], f([1.0]))


def test_another_module_may_not():
    def own_swish(x):
        return x

    own_swish.__module__ = "somewhere.else"

    with pytest.raises(sg.GraphError, match=r"an op called own_swish already, declared at test_own.py:\d+"):
        sg.composite(own_swish)


@pytest.mark.parametrize("name", ["exp", "f32", "mean", "no name", "class", "_hidden", "ü", ""])
def test_names_that_no_text_could_say_are_refused(name):
    with pytest.raises(sg.GraphError):
        sg.composite(name=name)(lambda x: x)


def test_what_is_not_declared_is_named_by_the_reader():
    text = sg.show(own_swish(x, 2.0)).replace("own_swish", "own_swash")

    with pytest.raises(sg.ParseError, match="no op called 'own_swash'; did you mean own_swish"):
        sg.parse(text)


# Python functions


@sg.python_op(result="f64[n], f64[m] -> f64[n + m - 1]")
def own_convolve(a, b):
    return np.convolve(a, b)


@own_convolve.vjp
def _(g, a, b, out):
    n, m = a.shape[0], b.shape[0]
    return own_convolve(g, b[::-1])[m - 1 :][:n], own_convolve(g, a[::-1])[n - 1 :][:m]


@sg.python_op(result="T[n] -> T[found], i64[found]")
def own_unique(x):
    return np.unique(x, return_counts=True)


@sg.python_op(result="-> f64[3]")
def own_three():
    return np.arange(3.0)


@sg.python_op(result="T[...], T[...] -> (T[...], T[...])")
def own_swap(x, y):
    return y, x[::-1]


def test_a_python_function_is_called_in_every_run():
    assert {"numpy", "gradient"} <= set(sg.check_op(own_convolve, [1.0, 2.0, 3.0], [1.0, -1.0]))
    assert {"numpy"} <= set(sg.check_op(own_unique, np.float32([2, 1, 2])))
    assert {"numpy"} <= set(sg.check_op(own_three))


def test_sizes_that_data_decide_are_bound_by_the_results():
    values, counts = own_unique(x)
    f = sg.function([x], [values * 2, counts + sg.sum(x).astype("int64")])

    assert "(f32[" in sg.show(values)
    for given in ([1, 2, 1], [5, 5, 5], []):
        found, counted = np.unique(np.float32(given), return_counts=True)
        results = f(np.float32(given))
        np.testing.assert_array_equal(found * 2, results[0])
        np.testing.assert_array_equal(counted + int(sum(given)), results[1])


def test_results_may_be_arguments():
    y, z = own_swap(a * 2, a)
    f = sg.function([a], [y + 1, z * 2, sg.exp(y) - z, y, z])

    given = np.arange(4.0)
    found = f(given)
    twice = given[::-1] * 2
    for expected, result in zip(
        (given + 1, twice * 2, np.exp(given) - twice, given, twice), found, strict=True
    ):
        np.testing.assert_allclose(expected, result)
    found[3][0] = 99.0

    assert 0.0 == given[0]


def test_equal_calls_are_one_and_unused_ones_are_left_out():
    calls = []

    @sg.python_op(result="f64[n] -> f64[n]")
    def own_counted(x):
        calls.append(len(x))
        return x + 1

    sg.function([a], [own_counted(a), own_counted(a) * 2, own_counted(a * 2).shape[0] * a])([1.0])

    assert [1] == calls


def test_arguments_cannot_be_written_to():
    @sg.python_op(result="f64[n] -> f64[n]")
    def own_writing(x):
        x += 1
        return x

    with pytest.raises(
        sg.RunError, match=r"own_writing \(test_own.py:\d+\) failed on \(float64\[2\]\)"
    ) as error:
        sg.function([a], own_writing(a))([1.0, 2.0])

    assert isinstance(error.value.__cause__, ValueError)


def test_what_a_function_raises_is_the_cause():
    @sg.python_op(result="f64[n] -> f64[n]")
    def own_raising(x):
        return {}["missing"]

    f = sg.function([a], own_raising(a) + 1)
    with pytest.raises(sg.RunError, match=r"own_raising .*: KeyError: 'missing'") as error:
        f([1.0])

    cause = error.value.__cause__
    assert isinstance(cause, KeyError)
    assert "own_raising" == cause.__traceback__.tb_next.tb_frame.f_code.co_name


@pytest.mark.parametrize(
    "result, gives, message",
    [
        (
            "f64[n] -> f64[n]",
            lambda x: x[1:],
            r"it gave float64\[1\], and its rule says f64\[n\] where n is 2",
        ),
        ("f64[n] -> f64[n]", lambda x: x.astype("f4"), r"it gave float32\[2\], and its rule says f64\[n\]"),
        ("f64[n] -> f64[n]", lambda x: [[1.0], [2.0, 3.0]], "it gave what is no array"),
        ("f64[n] -> f64, f64", lambda x: 1.0, "it gave one float, and its rule says 2 results"),
        ("f64[n] -> f64, f64", lambda x: (1.0,), "it gave 1 results, not 2"),
        ("f64[n] -> f64[k], f64[k]", lambda x: (x, x[1:]), "result 1 is"),
        ("f64[n] -> (f64[k, n],)", lambda x: (x,), "result 0 is"),
    ],
)
def test_a_result_that_is_not_what_the_rule_says(result, gives, message):
    made = sg.python_op(result=result, name="own_misfit")(gives)
    outputs = made(a)
    f = sg.function([a], outputs)

    with pytest.raises((sg.ShapeError, sg.DTypeError), match=message) as error:
        f([1.0, 2.0])
    assert "test_own.py" in line_of(error)


def test_sizes_that_are_not_known_before_are_compared_before_the_function_runs():
    b = sg.placeholder("float64", ("m",), name="b")

    @sg.python_op(result="f64[n], f64[n] -> f64")
    def own_dot(x, y):
        raise AssertionError("it is not called")

    f = sg.function([a, b], own_dot(a, b))
    with pytest.raises(sg.ShapeError, match=r"argument 1 is f64\[3\], not f64\[n\] where n is 2"):
        f([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(sg.ShapeError, match=r"argument 1 is f64\[3\], not f64\[n\] where n is 2"):
        own_dot([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(sg.DTypeError, match=r"argument 0 is f32\[n\], not f64\[n\]"):
        own_dot(x, a)


def test_ints_among_attributes_stand_in_sizes():
    @sg.python_op(result="T[n] -> T[n + 2*width]")
    def own_padded(x, *, width):
        return np.pad(x, width)

    y = own_padded(x, width=2)

    assert "f32[n + 4]" == str(y.type)
    assert sg.parse(sg.show(y)).outputs[0] is y
    np.testing.assert_array_equal([0, 0, 7, 0, 0], sg.function([x], y)(np.float32([7])))


def test_what_a_function_gives_can_be_differentiated_forwards():
    (slope,) = sg.jvp([own_convolve(a, [1.0, 2.0])], [a], [sg.ones_like(a)])

    np.testing.assert_allclose([1.0, 3.0, 2.0], sg.function([a], slope)([5.0, 6.0]))


def test_without_a_derivative_there_is_none():
    with pytest.raises(sg.GradientError, match=r"own_three|own_unique|own_swap"):
        sg.grad(own_swap(a, a)[0].sum(), a)


@pytest.mark.parametrize(
    "text, message",
    [
        ("f64[n]", "it has no arrow"),
        ("f64[n + 1] -> f64", "no argument has n for a size of its own"),
        ("f64[n] -> f64[2*z]", "nothing has z for a size of its own"),
        ("f64[n] -> Q[n]", "Q is no dtype, and no argument has it"),
        ("f64[n] -> f64[...]", "a result has ... and no argument has it"),
        ("f64[n] -> 3", "'3' is no type"),
        ("f64[n.real] -> f64", "no Attribute"),
        ("f64[n -> f64", "is no list of types"),
    ],
)
def test_texts_that_are_no_rules(text, message):
    with pytest.raises(sg.GraphError, match=message.replace(".", r"\.")):
        TypeRule(text)


def test_an_op_shows_where_it_is_from():
    assert isinstance(own_convolve, OwnOp)
    assert repr(own_convolve).startswith("<own op own_convolve(a, b) of test_own.py:")
    assert type_rules.TypeRule("f64 -> f64").is_single


# Checks


def test_a_gradient_that_is_no_slope_is_found():
    made = sg.composite(name="own_wrong", vjp=lambda g, x, out: g * 2)(lambda x: x * 3)

    with pytest.raises(sg.GradientError, match="the gradient with respect to x0"):
        sg.check_op(made, [1.0, 2.0])


def test_a_function_that_forgets_is_found():
    calls = iter(range(100))
    made = sg.python_op(result="f64 -> f64", name="own_impure")(lambda x: x + next(calls))

    with pytest.raises(sg.RunError, match=r"own_impure .* on numpy"):
        sg.check_op(made, 1.0)
