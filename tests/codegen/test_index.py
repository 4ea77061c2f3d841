"""Index arithmetic: equal to what was given wherever the loops go, and free of what they decide."""

import ast
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symgraph.codegen.index import affine, bounds, flatten, merge, reshaped, simplify, unflatten
from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import dim_max, dim_min, parse_dim, symbol
from tests.graph.operations import OPERATIONS

i, j, k, n, m, p = map(symbol, "ijknmp")
LOOPS = (i, j, k)
SIZES = [{n: a, m: b} for a, b in product((1, 2, 5), (1, 3))]
EXTENTS = [n, m, 2 * n, n * m, n - 1, n // 2, n + 1, (n + 1) // 2, dim_min(n, m), dim_max(n - m, 1), n - m]

examples = settings(derandomize=True, deadline=None, max_examples=300, database=None)
fewer = settings(examples, max_examples=80)
known = st.tuples(*3 * [st.integers(1, 5)])
symbolic = st.tuples(*3 * [st.sampled_from([1, 2, 3, *EXTENTS])])


def trees(*leaves):
    leaf = st.sampled_from(leaves) | st.integers(-4, 6)
    return st.recursive(
        leaf, lambda inner: st.tuples(st.sampled_from([*OPERATIONS]), inner, inner), max_leaves=8
    )


def dim(text):
    return parse_dim(ast.parse(text, mode="eval").body)


def build(tree):
    match tree:
        case (name, a, b):
            return OPERATIONS[name](build(a), build(b))
        case _:
            return tree


def built(tree):
    try:
        return build(tree)
    except (ShapeError, ZeroDivisionError):
        assume(False)


def evaluator(index):
    """Its value where symbols have theirs, or None where it divides by zero."""
    code = compile(str(index), "index", "eval")

    def value(point):
        try:
            return eval(code, {}, point)
        except ZeroDivisionError:
            return None

    return value


def steps(ranges, sizes):
    """Every value of the loop variables, outer to inner, with the sizes, by name."""
    extents = [evaluate_dim(extent, sizes) for extent in ranges.values()]
    names = [*map(str, ranges)]
    fixed = {str(size): value for size, value in sizes.items()}
    for point in product(*map(range, extents)):
        yield fixed | dict(zip(names, point, strict=True))


def check(index, ranges, bindings):
    simpler = simplify(index, ranges)
    expected, found = evaluator(index), evaluator(simpler)

    assert simpler == simplify(simpler, ranges)
    for sizes in bindings:
        for point in steps(ranges, sizes):
            value = expected(point)
            assert value is None or value == found(point), (index, simpler, point)


@examples
@given(trees(i, j, k), known)
def test_a_simplified_index_is_equal_in_known_ranges(tree, extents):
    check(built(tree), dict(zip(LOOPS, extents, strict=True)), [{}])


@examples
@given(trees(i, j, k, n, m), symbolic)
def test_a_simplified_index_is_equal_in_symbolic_ranges(tree, extents):
    check(built(tree), dict(zip(LOOPS, extents, strict=True)), SIZES)


@fewer
@given(
    st.permutations([i, j, k]),
    symbolic,
    st.lists(st.sampled_from([2, 3, 4, 6, n, m, n * m, 2 * n, n - 1, n + 1]), min_size=1, max_size=3),
    st.integers(-3, 3),
    st.lists(st.sampled_from(["//", "%"]), min_size=3, max_size=3),
)
def test_a_divided_position_is_equal(order, extents, divisors, offset, names):
    ranges = dict(zip(LOOPS, extents, strict=True))
    index = flatten(order, [ranges[variable] for variable in order]) + offset
    for name, divisor in zip(names, divisors, strict=False):
        index = OPERATIONS[name](index, divisor)

    check(index, ranges, SIZES)


@examples
@given(trees(i, j, n, m), symbolic)
def test_an_index_lies_within_its_bounds(tree, extents):
    index = built(tree)
    ranges = dict(zip((i, j), extents, strict=False))
    low, high = bounds(index, ranges)
    value, least, largest = map(evaluator, (index, low, high))
    for sizes in SIZES:
        for point in steps(ranges, sizes):
            if value(point) is not None:
                assert low is None or least(point) <= value(point)
                assert high is None or value(point) <= largest(point)


@pytest.mark.parametrize(
    "given, ranges, expected",
    [
        ("(i*k + j)//k", "i: n, j: k", "i"),
        ("(i*k + j) % k", "i: n, j: k", "j"),
        ("(i*7 + j)//7", "i: n, j: 7", "i"),
        ("(i*7 + j) % 7", "i: n, j: 5", "j"),
        ("(i*k*m + j*m + p)//m", "i: n, j: k, p: m", "i*k + j"),
        ("(i*k*m + j*m + p)//(k*m)", "i: n, j: k, p: m", "i"),
        ("(i*k*m + j*m + p)//m % k", "i: n, j: k, p: m", "j"),
        ("(i*k*m + j*m + p) % (k*m)", "i: n, j: k, p: m", "j*m + p"),
        ("(i*6 + j)//3", "i: n, j: 6", "i*2 + j//3"),
        ("(i*6 + j)//3 % 2", "i: n, j: 6", "j//3"),
        ("(i*6 + j)//12", "i: n, j: 6", "i//2"),
        ("(i*6 + j) % 12", "i: n, j: 6", "6*(i % 2) + j"),
        ("(i*m + j)//(k*m)", "i: n, j: m", "i//k"),
        ("(i*m + j) % (k*m)", "i: n, j: m", "i % k*m + j"),
        ("(i*(n + 1) + j)//(n + 1)", "i: m, j: n + 1", "i"),
        ("(i*(n - 1) + j) % (n - 1)", "i: m, j: n - 1", "j"),
        ("(i*(n//2) + j)//(n//2)", "i: m, j: n//2", "i"),
        ("i % k", "i: k", "i"),
        ("i//k", "i: k", "0"),
        ("i % n", "i: min(n, m)", "i"),
        ("i % n", "i: n//3", "i"),
        ("i//(n*m)", "i: m", "0"),
        ("5*i % 8", "i: 2", "5*i"),
        ("(n - 1 - i) % n", "i: n", "n - 1 - i"),
        ("(n - 1 - i)//n", "i: n", "0"),
        ("(i*n + n - 1 - j)//n", "i: m, j: n", "i"),
        ("(i + m) % n", "i: n - m", "i + m"),
        ("(i + j)//n", "i: n - m, j: m", "0"),
        ("i//3//n", "i: m", "i//(3*n)"),
        ("i % (n*m)//m", "i: p", "i//m % n"),
        ("i % (n*m) % m", "i: p", "i % m"),
        ("i//3*3 + i % 3", "i: n", "i"),
        ("i//m*m*4 + i % m*4", "i: n", "4*i"),
        ("i//(n*m)*n*m + i//m % n*m + i % m", "i: p", "i"),
        ("min(i, n - 1)", "i: n", "i"),
        ("min(i + 1, n)", "i: n", "i + 1"),
        ("max(i, n)", "i: n", "n"),
        ("max(min(i, n), 0)", "i: n", "i"),
        ("max(n, 1)", "i: n", "n"),
        ("max(n, m, 1)", "i: n*m", "max(n, m)"),
        ("max(n, 2)", "i: n//2", "n"),
        ("i + j", "i: 1, j: n", "j"),
        ("i//m", "i: n", "i//m"),
        ("max(i - 1, 0)", "i: n", "max(i - 1, 0)"),
    ],
)
def test_what_ranges_decide_vanishes(given, ranges, expected):
    pairs = [pair.split(":") for pair in ranges.split(", ")] if "(" not in ranges else [ranges.split(":")]
    extents = {symbol(name): dim(extent.strip()) for name, extent in pairs}

    assert dim(expected) == simplify(dim(given), extents)


def test_an_extent_tells_of_its_sizes_only_inside_its_loop():
    assert 0 == simplify(dim_min(n - 1, 0), {i: n})
    assert dim_min(n - 1, 0) is simplify(dim_min(n - 1, 0), {i: m})


def test_a_quotient_that_grows_too_large_stays():
    index = i // 2**62 // (4 * n)

    assert index is simplify(index, {i: m})


def test_reshapes_that_undo_one_another_are_the_identity():
    shapes = [(n, 6), (2 * n, 3), (n, 2, 3), (n, 6)]
    ranges = {i: n, j: 6}
    indices = (i, j)
    for old, new in zip(shapes[-2::-1], shapes[:0:-1], strict=True):
        indices = reshaped(indices, old, new, ranges)

    assert (i, j) == indices


def test_reshapes_around_a_transpose_are_not_the_identity():
    ranges = {i: n, j: 6}
    a, b = reshaped((i, j), (2 * n, 3), (n, 6), ranges)
    a, b = reshaped((b, a), (n, 6), (3, 2 * n), ranges)

    assert (i, j) != (a, b)
    row, column = evaluator(a), evaluator(b)
    for size in (1, 2, 5):
        x = np.arange(6 * size).reshape(size, 6)
        y = x.reshape(3, 2 * size).T.reshape(size, 6)
        for point in steps(ranges, {n: size}):
            assert y[point["i"], point["j"]] == x[row(point), column(point)]


def test_axes_that_a_reshape_keeps_need_no_range():
    assert (p, k // 3, k % 3) == reshaped((p, k), (n, 2, 3), (n, 6), {})
    assert (i, 0, j) == reshaped((i, j), (n, 1, m), (n, m), {})
    assert (0, i) == reshaped((i,), (1, n), (n,), {})
    assert (i, j) == reshaped((0, i, 0, j, 0), (n, m), (1, n, 1, m, 1), {})
    assert () == reshaped((0, 0), (), (1, 1), {})


def test_a_reshape_that_regroups_symbolic_sizes_is_equal():
    ranges = {i: m, j: n}
    a, b = reshaped((i, j), (n, m), (m, n), ranges)

    assert (dim("(i*n + j)//m"), dim("(i*n + j) % m")) == (a, b)
    assert (i, j) == reshaped((a, b), (m, n), (n, m), ranges)


SHAPES = [(n, 6), (2 * n, 3), (6 * n,), (n, 2, 3), (3, n, 2), (2, 1, 3 * n), (1, n, 6, 1), (6, n)]


@pytest.mark.parametrize("old", SHAPES, ids=str)
@pytest.mark.parametrize("new", SHAPES, ids=str)
def test_a_reshaped_index_finds_the_element(old, new):
    variables = [symbol(f"i{axis}") for axis in range(len(new))]
    ranges = dict(zip(variables, new, strict=True))
    indices = reshaped(variables, old, new, ranges)
    back = reshaped(indices, new, old, ranges)

    assert tuple(0 if size == 1 else v for v, size in zip(variables, new, strict=True)) == back
    for size in (1, 2, 3):
        x = np.arange(6 * size).reshape([evaluate_dim(d, {n: size}) for d in old])
        at = [*map(evaluator, indices)]
        found = [x[tuple(index(point) for index in at)] for point in steps(ranges, {n: size})]
        assert list(range(6 * size)) == found


def test_unflatten_inverts_flatten():
    ranges = {i: n, j: m, k: 4}
    shape = (n, m, 4)

    assert (i, j, k) == unflatten(flatten((i, j, k), shape), shape, ranges)
    assert p == simplify(flatten(unflatten(p, shape, {}), shape), {})


@pytest.mark.parametrize(
    "given, low, high",
    [
        ("i", "0", "n - 1"),
        ("n - 1 - i", "0", "n - 1"),
        ("2*i + 3*j + 1", "1", "2*n + 3*m - 4"),
        ("i*m + j", "0", "n*m - 1"),
        ("i//2", "0", "(n - 1)//2"),
        ("i % 7", "0", "6"),
        ("max(i, j)", "0", "max(n - 1, m - 1)"),
        ("p", "p", "p"),
        ("7", "7", "7"),
    ],
)
def test_bounds(given, low, high):
    assert (dim(low), dim(high)) == bounds(dim(given), {i: n, j: m})


def test_bounds_of_unknown_direction_are_unknown():
    assert (None, None) == bounds(i * (n - m), {i: p})


def test_affine():
    assert ({i: n + 2, j: 0}, k + 1) == affine(i * n + 2 * i + k + 1, (i, j))
    assert ({i: 1}, j // 2) == affine(i + j // 2, (i,))
    assert ({i: 0}, 5) == affine(5, (i,))


@pytest.mark.parametrize("given", ["i*j", "i*i", "i//2", "i + j % 3", "min(i, n)", "i*(j//2)"])
def test_not_affine(given):
    assert affine(dim(given), (i, j)) is None


@pytest.mark.parametrize(
    "axes, accesses, merged",
    [
        ("i: n, j: m", ["i*m + j"], "j: n*m"),
        ("i: n, j: m", ["i*m + j", "3*(i*m + j)"], "j: n*m"),
        ("i: n, j: m", ["i*m + j", "j"], "i: n, j: m"),
        ("i: n, j: m", ["j*n + i"], "i: n, j: m"),
        ("i: n, j: m", ["0"], "j: n*m"),
        ("i: n, j: m, k: p", ["i*m*p + j*p + k", "0"], "k: n*m*p"),
        ("i: n, j: m, k: p", ["i*m*p + j*p + k", "j*p + k"], "i: n, k: m*p"),
        ("i: n, j: m, k: p", ["i*m*p + j*p + k", "i*m + j"], "j: n*m, k: p"),
        ("i: n, j: 1, k: p", ["i*p + 9*j + k"], "k: n*p"),
        ("i: 2, j: 3", ["(i*3 + j)//2"], "i: 2, j: 3"),
        ("i: n, j: m, k: 4", ["i*m + j + k//2"], "j: n*m, k: 4"),
        ("i: 1", ["i + n"], ""),
    ],
)
def test_merge(axes, accesses, merged):
    axes = tuple((symbol(pair[0]), dim(pair[3:])) for pair in axes.split(", "))
    accesses = [dim(access) for access in accesses]
    found = merge(axes, accesses)

    assert tuple((symbol(pair[0]), dim(pair[3:])) for pair in merged.split(", ") if pair) == found.axes
    assert found.axes == merge(found.axes, found.accesses).axes
    check_merged(axes, accesses, found)


@fewer
@given(symbolic, st.lists(st.permutations([i, j, k]) | st.just(()), min_size=1, max_size=3), st.booleans())
def test_merged_loops_reach_the_same_offsets_in_the_same_order(extents, orders, whole):
    ranges = dict(zip(LOOPS, extents, strict=True))
    accesses = [flatten(order, [ranges[v] for v in order]) for order in [LOOPS, *orders]]
    found = merge([*ranges.items()], accesses[:1] if whole else accesses)

    assert not whole or len(found.axes) <= 1
    check_merged(ranges.items(), accesses[:1] if whole else accesses, found)


def check_merged(axes, accesses, found):
    variables = [variable for variable, _ in axes]
    before = [*map(evaluator, [*accesses, *variables])]
    after = [*map(evaluator, [*found.accesses, *(found.values[variable] for variable in variables)])]
    for sizes in SIZES:
        old = [[value(point) for value in before] for point in steps(dict(axes), {p: 2} | sizes)]
        new = [[value(point) for value in after] for point in steps(dict(found.axes), {p: 2} | sizes)]
        assert not old or old == new
