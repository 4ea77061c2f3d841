"""Loops and branches: what they give, what they keep, what they refuse."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.ops.control import BRANCH, LOOP

BACKENDS = [sg.Options(backend="numpy"), sg.Options(backend="llvm"), sg.Options(device="cuda-sim")]


def check(outputs, feed, expected):
    """The evaluator and every backend give what is expected, and go on giving it."""
    results = sg.evaluate(outputs, feed)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-12)
    for options in BACKENDS:
        f = sg.function(list(feed), outputs, options=options)
        for _ in range(4):
            for result, value in zip(f(*feed.values()), results, strict=True):
                assert result.dtype == value.dtype
                assert result.shape == value.shape
                np.testing.assert_allclose(result, value, rtol=1e-12)


def loops(f, stage="loops"):
    """The lines of a program that are loops or branches."""
    return [line for line in f.show(stage).splitlines() if " = loop(" in line or " = branch(" in line]


@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_any_length(length, reverse):
    xs = sg.placeholder("float64", ("n", 3), name="xs")
    rows = np.random.default_rng(0).normal(size=(length, 3))
    total, sums = sg.scan(lambda c, x: (c * 0.5 + x, c), sg.ones((3,)), xs, reverse=reverse)
    carry, kept = np.ones(3), np.zeros((length, 3))
    for n in reversed(range(length)) if reverse else range(length):
        kept[n] = carry
        carry = carry * 0.5 + rows[n]

    check([total, sums], {xs: rows}, [carry, kept])


def test_structures_of_carries_and_rows():
    a, b = sg.placeholder("float64", (4,), name="a"), sg.placeholder("int64", (4, 2), name="b")
    (total, (count, last)), stacked = sg.scan(
        lambda c, x: ((c[0] + x["a"], (c[1][0] + x["b"].sum(), x["b"])), {"twice": x["b"] * 2, "none": None}),
        (0.0, (0, sg.zeros((2,), "int64"))),
        {"a": a, "b": b},
    )
    left, right = np.arange(4.0), np.arange(8).reshape(4, 2)

    assert set(stacked) == {"twice", "none"}
    assert stacked["none"] is None
    check([total, count, last, stacked["twice"]], {a: left, b: right}, [6.0, 28, right[-1], right * 2])


def test_a_number_becomes_what_the_function_makes_of_it():
    xs = sg.placeholder("float32", ("n",), name="xs")
    total, _ = sg.scan(lambda c, x: (c + x, None), 0, xs)

    assert total.dtype == np.float32
    check([total], {xs: np.ones(3, np.float32)}, [3.0])


def test_swapped_carries_and_what_stays():
    x, y = sg.placeholder("float64", (2,), name="x"), sg.placeholder("float64", (2,), name="y")
    a, b, same = sg.fori_loop(0, 3, lambda i, c: (c[1], c[0] + c[2], c[2]), (x, y, x))

    check([a, b, same], {x: np.array([1.0, 2.0]), y: np.array([5.0, 6.0])}, [[6, 8], [3, 6], [1, 2]])


def test_one_value_as_several_results():
    x = sg.placeholder("float64", (2,), name="x")
    last, (a, b, c) = sg.scan(lambda c, _: (c, (c, c, c + 1)), x, length=2)
    rows = np.array([[1.0, 2.0]] * 2)

    check([last, a, b, c], {x: rows[0]}, [rows[0], rows, rows, rows + 1])


@pytest.mark.parametrize("count", [0, 1, 6])
def test_bounds_of_a_loop_may_be_nodes(count):
    n, x = sg.placeholder("int64", (), name="n"), sg.placeholder("float64", (), name="x")
    product = sg.fori_loop(1, n, lambda i, c: c * x * i, 1.0)
    expected = 1.0
    for i in range(1, count):
        expected *= 1.5 * i

    check([product], {n: count, x: 1.5}, [expected])


def test_while_loop_ends_by_its_condition_or_its_bound():
    x = sg.placeholder("float64", (3,), name="x")
    free = sg.while_loop(lambda c: c.sum() < 100, lambda c: c * 2, x)
    bounded = sg.while_loop(lambda c: c.sum() < 100, lambda c: c * 2, x, max_steps=2)

    check([free, bounded], {x: np.ones(3)}, [np.full(3, 64.0), np.full(3, 4.0)])
    check([free, bounded], {x: np.full(3, 99.0)}, [np.full(3, 99.0)] * 2)


def test_map_of_an_op_of_a_library():
    x = sg.placeholder("float64", ("n", 3), name="x")
    rows = np.random.default_rng(1).normal(size=(4, 3))

    check([sg.map(lambda row: sg.sort(row), x)], {x: rows}, [np.sort(rows)])


def test_rows_of_a_view():
    x = sg.placeholder("float64", (3, 5), name="x")
    rows = np.arange(15.0).reshape(3, 5)
    last, kept = sg.scan(lambda c, r: (c + r, r * 2), sg.zeros((3,)), x.T)
    backwards = sg.scan(lambda c, r: (c * 0.5 + r, None), sg.zeros((3,)), x.T[::-2])[0]

    check(
        [last, kept, backwards],
        {x: rows},
        [rows.sum(1), rows.T * 2, rows[:, 4] / 4 + rows[:, 2] / 2 + rows[:, 0]],
    )


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "float16", "bfloat16", "float32", "complex64"]
)
def test_every_kind_of_number_is_carried(dtype):
    x = sg.placeholder(dtype, (5, 3), name="x")
    values = np.arange(15).reshape(5, 3).astype(x.dtype)
    last, before = sg.scan(lambda c, r: (r, c), x[0], x)

    check(
        [last.astype("complex128"), before.astype("complex128")],
        {x: values},
        [values[-1], values[[0, 0, 1, 2, 3]]],
    )


@pytest.mark.parametrize("value", [4.0, -3.0])
def test_only_what_is_taken_is_computed(value):
    x = sg.placeholder("float64", (2,), name="x")
    i = sg.placeholder("int64", (), name="i")
    picked = sg.cond(x.sum() > 0, lambda: x[i], lambda: x.sum())

    check([picked], {x: np.array([value, 0.0]), i: 0 if value > 0 else 7}, [value])


def test_what_a_way_says_is_its_own_though_it_was_said_before():
    x = sg.placeholder("float64", (), name="x")
    before = sg.sqrt(x)
    inside = sg.cond(x > 0, lambda: sg.sqrt(x), lambda: sg.constant(0.0))
    outside = sg.cond(x > 0, lambda: before, lambda: sg.constant(0.0))

    assert "sqrt" in sg.show(inside).partition("def branch")[2]
    assert "sqrt" not in sg.show(outside).partition("def branch")[2]


def test_a_branch_with_operands_and_structures():
    x = sg.placeholder("float64", (2,), name="x")
    first = sg.cond(
        x[0] > x[1], lambda a, b: {"low": b, "high": a}, lambda a, b: {"low": a, "high": b}, x[0], x[1]
    )

    check([first["low"], first["high"]], {x: np.array([3.0, 1.0])}, [1.0, 3.0])
    check([first["low"], first["high"]], {x: np.array([1.0, 3.0])}, [1.0, 3.0])


@pytest.mark.parametrize("options", BACKENDS)
@pytest.mark.parametrize("number", [-1, 3])
def test_no_such_branch(options, number):
    i = sg.placeholder("int64", (), name="i")
    f = sg.function(
        [i], sg.switch(i, [lambda: sg.constant(1.0)] * 2 + [lambda: sg.constant(2.0)]), options=options
    )
    for _ in range(4):
        f(2)

    with pytest.raises(sg.OutOfBoundsError, match=f"there is no branch {number}.*(\n.*)*test_control.py"):
        f(number)
    assert f(1) == 1.0


@pytest.mark.parametrize("options", BACKENDS)
def test_an_index_out_of_bounds_inside_names_the_line(options):
    x, i = sg.placeholder("float64", (3,), name="x"), sg.placeholder("int64", ("n",), name="i")
    f = sg.function([x, i], sg.scan(lambda c, k: (c + x[k], None), 0.0, i)[0], options=options)
    for _ in range(4):
        assert f(np.arange(3.0), [0, 2]) == 2.0

    with pytest.raises(sg.OutOfBoundsError, match=r"test_control.py:\d+.*x\[k\]"):
        f(np.arange(3.0), [0, 5])
    assert f(np.arange(3.0), [1, 2]) == 3.0


# What the optimizer makes of them


def test_what_does_not_change_is_computed_before():
    x, w = sg.placeholder("float64", (3,), name="x"), sg.placeholder("float64", (3, 3), name="w")
    f = sg.function([x, w], sg.fori_loop(0, 5, lambda i, c: sg.tanh(c @ sg.exp(w)), x))
    lines = f.show("loops").splitlines()

    assert next(n for n, line in enumerate(lines) if "exp(w)" in line) < next(
        n for n, line in enumerate(lines) if "def body" in line
    )


def test_a_loop_and_that_of_its_gradient_are_one():
    x, a = sg.placeholder("float64", ("n", 3), name="x"), sg.placeholder("float64", (3,), name="a")
    loss = sg.scan(lambda c, r: (sg.tanh(a * c + r), None), sg.zeros((3,)), x)[0].sum()
    f = sg.function([x, a], [loss, *sg.grad(loss, [a])])

    assert len(loops(f)) == 2


def test_what_nobody_reads_is_not_stacked():
    x = sg.placeholder("float64", ("n", 3), name="x")
    last, (_, more) = sg.scan(lambda c, r: (c + r, (sg.exp(r), sg.sin(c))), sg.zeros((3,)), x)
    f = sg.function([x], [last, more])

    assert "exp" not in f.show("loops")
    assert "exp" not in str(f.plan)


def test_a_stable_form_inside_of_a_loop():
    x = sg.placeholder("float64", (2,), name="x")
    _, stacked = sg.scan(lambda c, r: (c, sg.log(1 + sg.exp(r))), 0.0, x)

    f = sg.function([x], [stacked, sg.grad(stacked.sum(), x)])

    for _ in range(4):
        values, slopes = f(np.array([800.0, -800.0]))
        np.testing.assert_array_equal(values, [800.0, 0.0])
        np.testing.assert_array_equal(slopes, [1.0, 0.0])


def test_loops_of_constants_are_left_to_the_call():
    f = sg.function([], sg.fori_loop(0, 1_000_000, lambda i, c: c + 1, 0))

    assert f() == 1_000_000


# As text


def test_text_reads_back():
    x = sg.placeholder("float64", ("n", 3), name="x")
    last, kept = sg.scan(lambda c, r: (sg.cond(r.sum() > 0, lambda: c + r, lambda: c), r), sg.zeros((3,)), x)
    program = sg.function([x], [last, kept, sg.grad(last.sum(), x)]).graph

    assert sg.parse(sg.show(program)) is program
    sg.verify(program)


# Many at once


def test_vmap_of_loops_and_branches():
    x = sg.placeholder("float64", ("n", 3), name="x")
    rows = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [20.0, 30.0, 1.0]])
    scanned = sg.vmap(lambda r: sg.scan(lambda c, y: (c * 0.5 + y, c), 0.0, r)[1])(x)
    ended = sg.vmap(lambda r: sg.while_loop(lambda c: c.sum() < 40, lambda c: c * 2 + 1, r))(x)
    chosen = sg.vmap(lambda r: sg.cond(r.sum() > 0, lambda: r * 2, lambda: -r))(x)
    one = [sg.scan(lambda c, y: (c * 0.5 + y, c), 0.0, r)[1] for r in rows]
    each = [sg.while_loop(lambda c: c.sum() < 40, lambda c: c * 2 + 1, sg.constant(r)) for r in rows]
    expected = [
        np.stack(sg.evaluate(one)),
        np.stack(sg.evaluate(each)),
        np.where(rows.sum(1)[:, None] > 0, rows * 2, -rows),
    ]

    check([scanned, ended, chosen], {x: rows}, expected)


def test_vmap_axes():
    x, y = sg.placeholder("float64", (2, 3), name="x"), sg.placeholder("float64", (2,), name="y")
    f = sg.vmap(lambda a, b: {"sum": a + b, "dot": (a * b).sum()}, in_axes=(1, None), out_axes=(1, 0))(x, y)
    a, b = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0])

    check([f["sum"], f["dot"]], {x: a, y: b}, [a + b[:, None], b @ a])


def test_vmap_refuses_what_has_no_many():
    x = sg.placeholder("float64", (2, 3), name="x")

    with pytest.raises(sg.ArgumentError, match="no argument has many"):
        sg.vmap(lambda a: a, in_axes=None)(x)
    with pytest.raises(sg.ShapeError, match="there are 2 of one argument and 3 of another"):
        sg.vmap(lambda a, b: a + b, in_axes=(0, 1))(x, x)


def test_nodes_are_of_two_ops():
    x = sg.placeholder("float64", (3,), name="x")

    assert sg.scan(lambda c, r: (c + r, None), 0.0, x)[0].inputs[0].op is LOOP
    assert sg.cond(x[0] > 0, lambda: x, lambda: -x).inputs[0].op is BRANCH
