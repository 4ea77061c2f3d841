"""Symbolic sizes: canonical form, arithmetic, text, what is known of them, and how a call binds them."""

import ast
import copy
import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from symgraph.errors import ShapeError
from symgraph.graph.binding import UnboundSize, bind, evaluate_dim, solve, substitute_dim
from symgraph.graph.dims import (
    DEEPEST,
    Dim,
    Size,
    broadcast,
    dim_max,
    dim_min,
    fresh,
    is_symbol,
    parse_dim,
    same,
    slice_size,
    symbol,
    symbols,
)
from tests.graph.operations import OPERATIONS

n, m, k = symbol("n"), symbol("m"), symbol("k")
SMALL = [{n: i, m: j} for i, j in product(range(6), repeat=2)]

COMMUTE = {"+", "*", "max", "min"}

leaves = st.sampled_from(["n", "m", "k"]) | st.integers(-9, 9)
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from([*OPERATIONS]), inner, inner), max_leaves=9
)
bindings = st.fixed_dictionaries({n: st.integers(0, 9), m: st.integers(0, 9), k: st.integers(0, 9)})
examples = settings(derandomize=True, deadline=None, max_examples=200, database=None)


def build(tree, *, mirrored=False) -> Dim:
    """The size that a drawn tree stands for; `mirrored` swaps the operands that may be swapped."""
    match tree:
        case str(name):
            return symbol(name)
        case int(value):
            return value
        case (name, a, b):
            a, b = build(a, mirrored=mirrored), build(b, mirrored=mirrored)
            if name in ("//", "%") and b == 0:
                raise ShapeError("division by zero")
            if mirrored and name == "-":
                return -b + a
            return OPERATIONS[name](b, a) if mirrored and name in COMMUTE else OPERATIONS[name](a, b)


def python(tree, sizes) -> int:
    """What the tree gives on Python's ints."""
    match tree:
        case str(name):
            return sizes[symbol(name)]
        case int(value):
            return value
        case (name, a, b):
            a, b = python(a, sizes), python(b, sizes)
            return {"max": max, "min": min}.get(name, OPERATIONS[name])(a, b)


def parse(text: str) -> Dim:
    return parse_dim(ast.parse(text, mode="eval").body)


def built(tree, **kwargs) -> Dim | None:
    """The size, or None where it divides by zero or is refused as too large."""
    try:
        return build(tree, **kwargs)
    except ShapeError:
        return None


@examples
@given(trees, bindings)
def test_a_size_evaluates_as_python_computes(tree, sizes):
    dim = built(tree)
    try:
        expected = python(tree, sizes)
    except ZeroDivisionError:
        return  # n*m//m is n, which is defined where m is 0
    if dim is not None:
        assert expected == evaluate_dim(dim, sizes)


@examples
@given(trees)
def test_the_order_of_operands_does_not_matter(tree):
    assert built(tree) is built(tree, mirrored=True) or isinstance(built(tree), int)


@examples
@given(trees)
def test_text_reads_back_as_the_same_size(tree):
    dim = built(tree)
    if dim is not None:
        assert dim is parse(str(dim)) or dim == parse(str(dim))


@examples
@given(trees, bindings)
def test_substituting_ints_evaluates(tree, sizes):
    dim = built(tree)
    if dim is None:
        return
    try:
        expected = evaluate_dim(dim, sizes)
    except ShapeError:
        return
    assert expected == substitute_dim(dim, sizes)


@examples
@given(trees, bindings)
def test_substitution_commutes_with_evaluation(tree, sizes):
    dim = built(tree)
    if dim is None:
        return
    try:
        expected = evaluate_dim(dim, {n: sizes[m] + 1, m: sizes[n] * sizes[k], k: sizes[k]})
        got = evaluate_dim(substitute_dim(dim, {n: m + 1, m: n * k}), sizes)
    except ShapeError:
        return
    assert expected == got


@examples
@given(trees, trees, bindings)
def test_same_claims_what_is_true(a, b, sizes):
    a, b = built(a), built(b)
    if a is None or b is None:
        return
    claim = same(a, b)
    try:
        equal = evaluate_dim(a, sizes) == evaluate_dim(b, sizes)
    except ShapeError:
        return
    assert claim in (None, equal)


@pytest.mark.parametrize("dims", [(n,), (n, m), (n, m, k), (n, 1, m), (n + 1, m), (n, 0), (n, 3, m)], ids=str)
def test_broadcasting_agrees_with_numpy(dims):
    dim = broadcast(*dims)
    for values in product(range(4), repeat=3):
        sizes = dict(zip((n, m, k), values, strict=True))
        shapes = [(evaluate_dim(dim, sizes),) for dim in dims]
        try:
            (expected,) = np.broadcast_shapes(*shapes)
        except ValueError:
            if isinstance(dim, Size):  # a known size says nothing of the others
                with pytest.raises(ShapeError, match="must agree or be 1"):
                    evaluate_dim(dim, sizes)
        else:
            assert expected == evaluate_dim(dim, sizes)


CANONICAL = """
n; n - 1; 1 - n; n - m + 1; -n; -n - 1; 2*n; -2*n; m*n; m*n + m - 1; n*n; -(n//2); -max(m, n)
n//2; (n + 1)//2; n + n//2; n - n//2; 1 - n//2; m*n//2; 2*(n//2); m*(n//2); 5//n; (-5)//n; (-n)//m
n//(2*m); n//(m + 1); (n//m)//k; n//(m//k); n//max(m, 1)
n % 2; n % 2 + 1; 2*(n % 2); (n + 1) % 2; (-n) % 8; n % (m//2); m*n % 7; (n % m) % k
max(n - 1, 0); min(n, 4); max(m, n - 1, 3); min(max(n - 1, 0), 3); 2*max(m, n); broadcast(m, n)
broadcast(n, m + 1) - 1
""".strip()


@pytest.mark.parametrize("text", CANONICAL.replace("\n", "; ").split("; "))
def test_text(text):
    assert text == str(parse(text))


@pytest.mark.parametrize(
    ("becomes", "dim"),
    [
        (n, n * 2 // 2),
        (n, n * m // m),
        (m, (n * m + m) // (n + 1)),
        (n + k // m, (n * m + k) // m),
        (n // m, (n * k) // (m * k)),
        (n // m, (2 * n) // (2 * m)),
        (n // 2, (2 * n + 1) // 4),
        (n // 2 - 1, (n - 2) // 2),
        ((n + 2) // 3, -(-n // 3)),
        (n // 6, n // 2 // 3),
        ((n + 3) // 4, ((n + 1) // 2 + 1) // 2),
        ((n + m) // (2 * m), (n // m + 1) // 2),
        (n // -2, -n // 2),
        (2 * (n % 2), 2 * n % 4),
        ((n + 1) % 2, (3 * n - 1) % 2),
        (m * (n % k), n * m % (k * m)),
        (k % m, (n * m + k) % m),
        (n, dim_max(n, 0)),
        (n, dim_min(n + 2, n)),
        (n + m, dim_max(n, n + m, m)),
        (dim_max(n - 2, 0), dim_max(dim_max(n - 1, 0) - 1, 0)),
        (dim_max(n, m, k), dim_max(k, dim_max(m, n))),
        (n, broadcast(1, n, n, 1)),
        (4, broadcast(n, 4, m)),
        (0, broadcast(1, n, 0)),
        (broadcast(m, n, k), broadcast(broadcast(k, m), n, broadcast(n, m))),
        (1, broadcast(1, 1)),
    ],
    ids=str,
)
def test_becomes(becomes, dim):
    assert becomes is dim


def test_a_size_that_cannot_vary_is_an_int():
    for expected, dim in [
        (0, n - n),
        (2, (n + 2) - n),
        (0, (2 * n) % 2),
        (0, 0 * n),
        (1, n // n),
        (7, dim_max(3, 7)),
    ]:
        assert type(dim) is int
        assert expected == dim


def test_any_integer_can_stand_on_either_side():
    assert n + 2 is n + np.int64(2) is np.int64(2) + n
    assert n * 3 is np.int32(3) * n
    assert n + 1 is n + True
    assert type((n + np.int64(2)) - n) is int
    with pytest.raises(TypeError):
        n + "1"


def test_a_size_and_a_float_are_a_node():
    half, share = n * 0.5, 1 / n

    assert (np.float64, ()) == (half.dtype, half.shape)
    assert half is sg.multiply(n, 0.5)
    assert share is sg.divide(1, n)


def test_other_operands_get_their_turn():
    class Other:
        def __radd__(self, size):
            return ("other", size)

    assert ("other", n) == n + Other()


def test_a_size_is_not_a_number_before_the_call():
    for use in (bool, int, float, lambda s: s < 3, lambda s: s >= 3, lambda s: m > s):
        with pytest.raises(TypeError):
            use(n + 1)
    assert n + 1 != n
    assert n != 3
    assert (n in (1, m)) is False


def test_a_size_cannot_be_changed():
    with pytest.raises(AttributeError):
        n.depth = 3


def test_the_source_is_set_once():
    size = fresh()
    assert size.source is None

    size.source = "nonzero"

    assert size.source == "nonzero"
    with pytest.raises(AttributeError):
        size.source = "unique"


def test_copies_and_pickles_are_the_same_object():
    for size in (n, n + 1, broadcast(n, m) // 2):
        assert size is copy.copy(size) is copy.deepcopy(size) is pickle.loads(pickle.dumps(size))


@pytest.mark.parametrize("name", ["", "1n", "a b", "if", "None", "max", "min", "broadcast", "n+1"])
def test_a_name_must_be_one(name):
    with pytest.raises(ShapeError):
        symbol(name)


def test_names_are_compared_as_python_compares_them():
    assert symbol("ﬁ") is symbol("fi")
    assert str(symbol("größe") + 1) == "größe + 1"


def test_fresh_names_were_never_used():
    taken = [fresh("never"), fresh("never")]
    symbol("never3")  # dies at once, and still counts
    assert [str(s) for s in [*taken, fresh("never")]] == ["never1", "never2", "never4"]
    assert is_symbol(taken[0])


def test_symbols():
    assert frozenset({n, m, k}) == symbols(dim_max(n // m, 3) * 2 + k % 5)
    assert frozenset() == symbols(3)
    assert not is_symbol(n + 1)
    assert not is_symbol(3)


@pytest.mark.parametrize(
    ("claim", "a", "b"),
    [
        (True, n + m, m + n),
        (True, 3, 3),
        (False, 3, 4),
        (False, n, n + 1),
        (False, n - 1, n + m),
        (False, 2 * n, 2 * m + 1),
        (False, dim_max(n - 1, 0), -1),
        (None, n, m),
        (None, n, 3),
        (None, n - n // 2, (n + 1) // 2),
    ],
    ids=str,
)
def test_same(claim, a, b):
    assert claim is same(a, b) is same(b, a)


def test_known_sizes_that_differ_do_not_broadcast():
    for dims in [(3, 4), (3, n, 4), (0, 2), (-1, n)]:
        with pytest.raises(ShapeError, match="must agree or be 1"):
            broadcast(*dims)
    with pytest.raises(ShapeError, match="must agree or be 1"):
        evaluate_dim(broadcast(n, m), {n: 3, m: 4})
    assert evaluate_dim(broadcast(n, m), {n: 0, m: 1}) == 0


def test_dominance_holds_for_every_small_size():
    atoms = [n, m, n - 1, n + 2, n * m, 2 * n, n // 2, n % 3, dim_max(n - 2, 0), -n, 0, 1, -3]
    for a, b in product(atoms, repeat=2):
        for sizes in SMALL:
            x, y = evaluate_dim(a, sizes), evaluate_dim(b, sizes)
            assert max(x, y) == evaluate_dim(dim_max(a, b), sizes)
            assert min(x, y) == evaluate_dim(dim_min(a, b), sizes)


def test_whole_expressions_can_have_values():
    assert evaluate_dim(n * m, {n * m: 6}) == 6
    assert evaluate_dim(n // 2 + m, {n // 2: 3, m: 1}) == 4
    with pytest.raises(UnboundSize, match="size n is not known") as error:
        evaluate_dim(n + 1, {m: 3})
    assert error.value.size is n


def test_division_by_zero_is_refused():
    for divide in (
        lambda: n // 0,
        lambda: n % 0,
        lambda: evaluate_dim(5 // n, {n: 0}),
        lambda: parse("1 % 0"),
    ):
        with pytest.raises(ShapeError, match="divided by zero"):
            divide()


def test_substitution():
    assert m + 1 is substitute_dim(n + 1, {n: m})
    assert m + n * 2 is substitute_dim(n + m * 2, {n: m, m: n})
    assert k + 1 is substitute_dim(n // 2 + 1, {n // 2: k})
    assert substitute_dim(broadcast(n, m), {n: 3}) == 3


def test_slices_read_well():
    sizes = {
        "max(n - 1, 0)": [(1, None, 1), (None, -1, 1)],
        "max(n - 2, 0)": [(1, -1, 1)],
        "min(n, 3)": [(None, 3, 1), (-3, None, 1)],
        "(n + 1)//2": [(None, None, 2), (None, None, -2)],
        "n//2": [(1, None, 2)],
        "n": [(None, None, 1), (None, None, -1), (0, None, 1)],
        "min(m, n)": [(None, m, 1)],
        "max(-m + n, 0)": [(m, None, 1)],
    }
    for expected, slices in sizes.items():
        for s in slices:
            assert str(parse(expected)) == str(slice_size(*s, n))
    with pytest.raises(ShapeError):
        slice_size(None, None, 0, n)


def test_slices_have_the_size_that_python_gives():
    bounds = [None, *range(-4, 5)]
    for start, stop, step in product(bounds, bounds, (-3, -2, -1, 1, 2, 3)):
        dim = slice_size(start, stop, step, n)
        for size in range(7):
            expected = len(range(size)[start:stop:step])

            assert expected == evaluate_dim(dim, {n: size}), (start, stop, step, size)
            assert expected == slice_size(start, stop, step, size)


def test_slices_with_symbolic_bounds_have_the_size_that_python_gives():
    bounds = [None, m, -m, m - 2, -m - 1, n - m, n - 1]
    for start, stop, step in product(bounds, bounds, (-2, -1, 1, 3)):
        dim = slice_size(start, stop, step, n)
        for sizes in SMALL:
            low, high = (None if b is None else evaluate_dim(b, sizes) for b in (start, stop))

            assert len(range(sizes[n])[low:high:step]) == evaluate_dim(dim, sizes), (start, stop, step)


def test_bind():
    sizes: dict[Size, int] = {}
    bind((n, 3, m + 1, n), (4, 3, 9, 4), sizes)
    assert {n: 4} == sizes

    with pytest.raises(ShapeError, match="axis 0 is 3 but n is 4 already"):
        bind((n,), (3,), sizes)
    with pytest.raises(ShapeError, match="axis 1 is 2, not 3"):
        bind((m, 3), (3, 2), sizes)
    with pytest.raises(ShapeError, match="1 axes are given, not 2"):
        bind((n, 3), (4,), sizes)


def test_solve():
    sizes = {n: 4}
    solve([(k * m * n + 1, 25), (2 * m + n, 10), (k - 2, 0), (n + 1, 5)], sizes)
    assert {n: 4, m: 3, k: 2} == sizes


def test_what_cannot_be_solved_is_bound_as_a_whole():
    sizes: dict[Size, int] = {}
    solve([(n * m, 6), (n * m, 6), (k // 2, 3), (n * n, 4)], sizes)
    assert {n * m: 6, k // 2: 3, n * n: 4} == sizes

    with pytest.raises(ShapeError, match=r"m\*n is 8 here but 6"):
        solve([(m * n, 8)], sizes)
    with pytest.raises(ShapeError, match=r"m\*n is 8 here but 9 already"):
        solve([(m * n, 9), (m * n, 8)], {})


@pytest.mark.parametrize(
    ("equation", "sizes"),
    [
        ((2 * n, 7), {}),
        ((n + 3, 1), {}),
        ((n * m + 1, 3), {m: 0}),
        ((n + 1, 3), {n: 1}),
        ((n // 2, 3), {n: 4}),
        ((broadcast(n, m), 4), {n: 4, m: 3}),
    ],
    ids=str,
)
def test_equations_that_do_not_hold(equation, sizes):
    with pytest.raises(ShapeError):
        solve([equation], sizes)


def test_an_equation_that_any_size_solves_leaves_it_open():
    sizes = {m: 0}
    solve([(n * m + 1, 1)], sizes)
    assert {m: 0, n * m + 1: 1} == sizes


@examples
@given(trees, bindings)
def test_solving_finds_the_values_that_made_the_equations(tree, sizes):
    dim = built(tree)
    if not isinstance(dim, Size):
        return
    try:
        value = evaluate_dim(dim, sizes)
    except ShapeError:
        return
    found = {m: sizes[m], k: sizes[k]}
    solve([(dim, value)], found)
    assert found.get(n, sizes[n]) == sizes[n] or value == evaluate_dim(dim, found)
    assert value == evaluate_dim(dim, found)


def test_parsing_renames():
    assert m + 1 is parse_dim(ast.parse("n + 1", mode="eval").body, {"n": m})


NO_SIZE = (
    "n.x; n**2; n / 2; 1.5; True; 'n'; f(n); max(); max(*n); max(n, key=m); n[0]; n < m; max; ~n; lambda: n"
)
TOO_LARGE = {
    "number": "9223372036854775808",
    "product": "4611686018427387904*4",
    "coefficient": "4611686018427387904*n*4",
    "minuses": "-" * 200 + "n",
    "nesting": "(n//" * 150 + "n" + ")" * 150,
    "expansion": "(a + b + c + d + e + f + g)" + "*(a + b + c + d + e + f + g)" * 40,
    "power": "n" + "*n" * 2000,
}


@pytest.mark.parametrize(
    "text", [*NO_SIZE.split("; "), *(pytest.param(t, id=i) for i, t in TOO_LARGE.items())]
)
def test_text_that_is_no_size(text):
    with pytest.raises(ShapeError):
        parse(text)


def test_the_deepest_and_the_longest_sizes_read_back():
    deepest = n
    for _ in range(DEEPEST):
        deepest = -2 - m * (k // (deepest + 1))
    longest = sum((symbol(f"a{i}") for i in range(300)), start=n)

    for size in (deepest, longest, parse("*".join(["n"] * 1000))):
        assert size is parse(str(size))
    with pytest.raises(ShapeError, match="too deeply nested"):
        k // deepest


def test_chains_of_slices_stay_small():
    size = n
    for _ in range(100):
        size = slice_size(1, None, 1, size)
    assert str(size) == "max(n - 100, 0)"
