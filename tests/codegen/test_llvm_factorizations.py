"""Factorisations and systems as machine code: sizes, strides, strange numbers, singular matrices, other machines."""

import ctypes
import itertools
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_factorizations import SINGULAR, print_factorization, room
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.op import ITEM
from symgraph.optimizations.plan import Call
from symgraph.optimizations.several import Several
from symgraph.runtime.cpu import Loader, compiled, host
from symgraph.runtime.native_backend import NativeProgram
from symgraph.runtime.native_linalg import LARGEST, NativeLinalg, factored

pytestmark = pytest.mark.cpu

CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
SIZES = (0, 1, 2, 3, 7, 8, 9, 16, 17, 33, 64)
BATCHES = ((), (0,), (1,), (5,), (2, 3))
WAYS = ("in order", "transposed", "apart", "backwards", "unaligned", "one for all")
GUARD = 256
LOADERS = []
"""Code stays where it is."""


@pytest.fixture(params=("float32", "float64"))
def row(request):
    return request.param


# Values


@pytest.mark.parametrize("n", SIZES)
def test_cholesky(row, n):
    for batch, upper in itertools.product(BATCHES, (False, True)):
        check_cholesky(positive(row, n, batch), upper)


@pytest.mark.parametrize("n", SIZES)
def test_solve(row, n):
    for batch, m in itertools.product(BATCHES, (0, 1, 3, 17)):
        check_solve(drawn(row, *batch, n, n), drawn(row, *batch, n, m))


@pytest.mark.parametrize("n", SIZES)
def test_triangular(row, n):
    for batch, m in itertools.product(BATCHES, (0, 1, 9)):
        a, b = drawn(row, *batch, n, n) + 3 * np.eye(n, dtype=row), drawn(row, *batch, n, m)
        for lower, trans, unit in itertools.product((False, True), (0, 1), (False, True)):
            check_triangular(a / 4 if unit else a, b, lower=lower, trans=trans, unit_diagonal=unit)


@pytest.mark.parametrize("n", SIZES)
def test_inverse(row, n):
    for batch in BATCHES:
        check_inverse(drawn(row, *batch, n, n))


@pytest.mark.parametrize("n", SIZES)
def test_determinant(row, n):
    """Of matrices that lose few digits; large ones would overflow."""
    for batch in BATCHES:
        a = drawn(row, *batch, n, n) / max(n, 1) + np.eye(n, dtype=row)
        found = run(sg.linalg.det, a)
        np.testing.assert_allclose(found, np.linalg.det(a.astype("float64")), rtol=4 * n * eps(row))


@pytest.mark.parametrize("n", SIZES)
def test_logarithm_of_a_determinant(row, n):
    """As near as products come: each rounding counts once, however large or small the determinant is."""
    for batch, scale in itertools.product(BATCHES, (1, 1e4, 1e-5)):
        a = ((drawn(row, *batch, n, n) / max(n, 1) + np.eye(n)) * scale).astype(row)
        sign, size = by_elimination(a)

        np.testing.assert_array_equal(run(sign_of, a), sign)
        assert (abs(run(log_of, a) - size) <= eps(row) * (4 * n + abs(size))).all()


def test_a_determinant_near_1_has_a_logarithm_near_0(row):
    """With all its digits, which a power of two beside it would take away."""
    for x in (1 - eps(row), 1 + eps(row), 0.999, 1.001, 0.75, 1.5, 0.1, 3):
        x = np.asarray(x, row)

        np.testing.assert_allclose(run(log_of, x.reshape(1, 1)), np.log(np.float64(x)), rtol=2 * eps(row))


def test_determinants_of_integers(row):
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 4, 5, 6, 7):
        for _ in range(20):
            a = rng.integers(-3, 4, (n, n))
            exact = determinant(a)
            bound = 64 * n * eps(row) * float(np.prod(np.linalg.norm(a, axis=1)))

            assert abs(float(run(sg.linalg.det, a.astype(row))) - exact) <= bound, a


@pytest.mark.parametrize("n", (129, 200))
def test_matrices_of_medium_size(row, n):
    a, p, b = drawn(row, n, n), positive(row, n, ()), drawn(row, n, 3)
    check_cholesky(p, False)
    check_solve(a, b)
    check_inverse(a)
    check_triangular(p, b, lower=True)


@pytest.mark.parametrize("how", WAYS)
def test_strides(row, how):
    for n, m, batch in itertools.product((1, 3, 8, 17), (1, 5, 16), ((), (3,))):
        a, p, b = drawn(row, *batch, n, n), positive(row, n, batch), drawn(row, *batch, n, m)
        check_cholesky(laid(p, how), False)
        check_cholesky(laid(p, how), True)
        check_solve(laid(a, how), b)
        check_solve(a, laid(b, how))
        check_inverse(laid(a, how))
        t = a + 3 * np.eye(n, dtype=row)
        for lower, trans in itertools.product((False, True), (0, 1)):
            check_triangular(laid(t, how), laid(b, how), lower=lower, trans=trans)
        same_bits(
            run(sg.linalg.det, laid(a, how)),
            run(sg.linalg.det, a if how != "one for all" else laid(a, how).copy()),
        )
        same_bits(run(log_of, laid(a, how)), run(log_of, a if how != "one for all" else laid(a, how).copy()))


def test_batches_are_broadcast(row):
    a, b = drawn(row, 2, 1, 4, 5, 5), drawn(row, 3, 1, 5, 2)
    found = run(sg.linalg.solve, a, b)

    assert found.shape == (2, 3, 4, 5, 2)
    for i, j, k in np.ndindex(2, 3, 4):
        same_bits(found[i, j, k], run(sg.linalg.solve, a[i, 0, k], b[j, 0]))


def test_what_is_not_read_does_not_matter(row):
    p, b = positive(row, 9, ()), drawn(row, 9, 2)
    for upper, strange in itertools.product((False, True), (np.nan, np.inf)):
        other = np.where(np.tri(9, k=-1) if upper else np.tri(9, k=-1).T, strange, p).astype(row)
        same_bits(run(sg.linalg.cholesky, other, upper=upper), run(sg.linalg.cholesky, p, upper=upper))
        same_bits(
            run(sg.linalg.solve_triangular, other, b, lower=not upper),
            run(sg.linalg.solve_triangular, p, b, lower=not upper),
        )


# Pivots


@pytest.mark.parametrize("n", (2, 3, 8, 17))
def test_zeros_on_the_diagonal(row, n):
    """A permutation is solved with exactly, and its determinant is its sign."""
    rng = np.random.default_rng(n)
    for _ in range(5):
        order = rng.permutation(n)
        a, b = np.eye(n, dtype=row)[order], drawn(row, n, 3)
        sign = round(np.linalg.det(a))

        assert run(sg.linalg.det, a) == sign
        np.testing.assert_array_equal(run(sg.linalg.solve, a, b), a.T @ b)
        np.testing.assert_array_equal(run(sg.linalg.inv, a), a.T)


def test_pivots_are_the_largest(row):
    """Without an exchange the small one would take all digits of the rest with it."""
    tiny = eps(row) ** 2
    found = run(sg.linalg.solve, np.array([[tiny, 1], [1, 1]], row), np.array([[1], [2]], row))

    np.testing.assert_allclose(found, [[1], [1]], rtol=4 * eps(row))


@pytest.mark.parametrize("n", (4, 8, 12))
def test_ill_conditioned(row, n):
    """Hilbert's matrix: the solution is far off, but what it solves is near."""
    i = np.arange(n)
    a = (1 / (i[:, None] + i + 1)).astype(row)
    check_solve(a, drawn(row, n, 2))
    check_cholesky(a + np.eye(n, dtype=row) * row_noise(row, n), False)


def test_determinants_neither_overflow_nor_underflow_on_the_way(row):
    large, tiny = np.finfo(row).max, np.finfo(row).smallest_subnormal
    for diagonal in ([large, large, 1 / large, 1 / large], [tiny, 1 / eps(row), large, eps(row)], [tiny, 3]):
        diagonal = np.array(diagonal, row)
        exact = float(np.prod([Fraction(float(x)) for x in diagonal], initial=Fraction(1)))
        found = run(sg.linalg.det, np.diag(diagonal))

        assert abs(float(found) - exact) <= 4 * eps(row) * exact

    assert run(sg.linalg.det, np.eye(3, dtype=row) * large) == np.inf
    assert run(sg.linalg.det, -np.eye(3, dtype=row) * large) == -np.inf
    assert run(sg.linalg.det, np.eye(3, dtype=row) * tiny) == 0
    for n, x in ((3, large), (40, -large), (3, tiny), (40, tiny)):
        np.testing.assert_allclose(
            run(log_of, np.eye(n, dtype=row) * x), n * np.log(abs(np.float64(x))), rtol=4 * eps(row)
        )
        assert run(sign_of, np.eye(n, dtype=row) * x) == 1
    assert run(sign_of, -np.eye(3, dtype=row) * large) == -1


# Strange numbers, and matrices without a result


def test_a_nan_comes_out(row):
    for n in (1, 2, 5, 9, 20):
        for place in ((0, 0), (n - 1, n - 1), (n - 1, 0)):
            p = positive(row, n, ())
            p[place] = np.nan

            assert np.isnan(run(sg.linalg.cholesky, p)).any()
            assert np.isnan(run(sg.linalg.cholesky, p)[n - 1, n - 1])
            assert np.isnan(run(sg.linalg.solve, p, np.ones((n, 1), row))).any()
            assert np.isnan(run(sg.linalg.inv, p)).any()
            assert np.isnan(run(sg.linalg.det, p))
            assert np.isnan(run(log_of, p))
            assert abs(run(sign_of, p)) == 1


def test_a_nan_beside_zeros_is_no_zero(row):
    a = np.array([[0, 1], [np.nan, 2]], row)

    assert np.isnan(run(sg.linalg.solve, a, np.ones((2, 1), row))).all()
    assert np.isnan(run(sg.linalg.det, a))


def test_infinity(row):
    a = np.diag(np.array([np.inf, 1], row))

    np.testing.assert_array_equal(run(sg.linalg.cholesky, a), a)
    np.testing.assert_array_equal(run(sg.linalg.solve, a, np.ones((2, 1), row)), [[0], [1]])
    assert run(sg.linalg.det, a) == np.inf
    assert run(log_of, -a) == np.inf
    assert run(sign_of, -a) == 1


def with_sides(a):
    return a, np.ones((*a.shape[:-1], 2), a.dtype)


def squared(a):
    """Positive definite matrices, but for those that are 0."""
    return (a @ np.swapaxes(a, -1, -2),)


BAD = {
    sg.linalg.cholesky: squared,
    sg.linalg.solve: with_sides,
    sg.linalg.solve_triangular: with_sides,
    sg.linalg.inv: lambda a: (a,),
}


@pytest.mark.parametrize("function", BAD, ids=lambda function: function.__name__)
def test_a_matrix_without_a_result(row, function):
    """It makes trouble; or is NaN, and all others have what they would have alone."""
    for n in (1, 2, 8, 9, 17):
        a = drawn(row, 4, n, n) + np.eye(n, dtype=row) * 3
        a[2] = 0
        arrays = BAD[function](a)

        with pytest.raises(Trouble):
            run(function, *arrays)

        found = run(function, *arrays, singular="nan")
        assert np.isnan(found[2]).all()
        for other in (0, 1, 3):
            same_bits(found[other], run(function, *(x[other] for x in arrays)))


def test_only_a_zero_is_singular(row):
    tiny = np.full((1, 1), np.finfo(row).smallest_subnormal, row)

    assert run(sg.linalg.solve, tiny, tiny) == 1
    assert run(sg.linalg.cholesky, tiny) > 0
    with pytest.raises(Trouble):
        run(sg.linalg.solve, -0.0 * tiny, tiny)


def test_the_determinant_of_a_singular_matrix_is_0(row):
    for n in (1, 2, 9):
        a = drawn(row, n, n)
        a[:, n // 2] = 0

        assert run(sg.linalg.det, a) == 0
        assert run(sign_of, a) == 0
        assert run(log_of, a) == -np.inf


def test_nothing_is_singular_where_nothing_is_asked(row):
    zero = np.zeros((3, 3), row)

    assert run(sg.linalg.solve_triangular, zero, np.ones((3, 0), row)).shape == (3, 0)
    np.testing.assert_array_equal(
        run(sg.linalg.solve_triangular, zero, np.ones((3, 2), row), unit_diagonal=True), np.ones((3, 2))
    )
    with pytest.raises(Trouble):
        run(sg.linalg.solve, zero, np.ones((3, 0), row))


# Machines


def test_parts_of_the_range_have_the_same_bits(row):
    a, b = drawn(row, 3, 5, 7, 7), drawn(row, 5, 7, 2)
    whole = run(sg.linalg.solve, a, b)
    for step in (1, 4, 7):
        same_bits(run(sg.linalg.solve, a, b, step=step), whole)


def test_levels_have_the_same_bits(row):
    for n in (2, 9, 33):
        p, b = positive(row, n, ()), drawn(row, n, 3)
        for function, arrays in every(p, b):
            same_bits(run(function, *arrays, level=0), run(function, *arrays, level=2))


@pytest.mark.parametrize("machine", ("avx2", "sse2"))
def test_machines_with_narrower_vectors(row, machine):
    if not host().triple.startswith("x86_64"):
        pytest.skip("machines of another family")
    if machine == "avx2" and (host().bytes < 32 or not host().fma):
        pytest.skip("no AVX2 here")
    made = Machine(host().triple, "haswell", "+avx2,+fma", 32, True, False)
    if machine == "sse2":
        made = Machine(host().triple, "x86-64", "+sse2", 16, False, False)
    for n, m in itertools.product((1, 2, 3, 9, 17), (1, 3)):
        p, b = positive(row, n, (2,)), drawn(row, 2, n, m)
        for function, arrays in every(p, b):
            found = run(function, *arrays, machine=made)
            np.testing.assert_allclose(
                found, run(function, *arrays), rtol=200 * n * eps(row), atol=40 * n * eps(row)
            )


def test_the_name_follows_from_the_text(row):
    forms = [
        form_of(function, arrays)[0] for function, arrays in every(positive(row, 3, ()), drawn(row, 3, 1))
    ]
    names = [print_factorization(form, host()).name for form in forms]

    assert len(set(names)) == len(names)
    assert names == [print_factorization(form, host()).name for form in forms]


# Functions


def test_every_call_tells_of_the_line(row):
    a, b = sg.placeholder(row, ("n", "n"), name="a"), sg.placeholder(row, ("n",), name="b")
    for f, bad in (
        (sg.function([a], sg.linalg.cholesky(a)), (-np.eye(3, dtype=row),)),
        (sg.function([a, b], sg.linalg.solve(a, b)), (np.zeros((3, 3), row), np.ones(3, row))),
        (sg.function([a, b], sg.linalg.solve_triangular(a, b)), (np.zeros((3, 3), row), np.ones(3, row))),
        (sg.function([a], sg.linalg.inv(a)), (np.zeros((3, 3), row),)),
    ):
        good = (np.eye(3, dtype=row), np.ones(3, row))[: len(bad)]
        first = f(*good)
        for _ in range(5):
            with pytest.raises(
                sg.LinAlgError, match=r"the matrix is (singular|not positive)[\s\S]*test_llvm_fact"
            ):
                f(*bad)
            same_bits(f(*good), first)


@pytest.mark.parametrize("asked", ([0], [1], [0, 1], [1, 0], [0, 1, 0]))
def test_what_is_asked_of_a_determinant(row, asked):
    """One step writes it all."""
    a = sg.placeholder(row, ("k", "n", "n"), name="a")
    parts = sg.linalg.slogdet(a)
    f = sg.function([a], [parts[n] for n in asked])
    program = NativeProgram(f.plan)
    assert [NativeLinalg] == [type(program.codes.get(step)) for step in program.plan.steps]
    for n, k in ((4, 3), (2, 0), (0, 2), (LARGEST, 1), (LARGEST + 1, 1)):
        given = drawn(row, k, n, n)
        expected = np.linalg.slogdet(given)
        for _ in range(4):
            for part, found in zip(asked, f(given), strict=True):
                assert found.dtype == row
                np.testing.assert_allclose(found, expected[part], rtol=2e-4 if row == "float32" else 1e-10)


def test_a_tuple_that_is_a_result_is_numpys():
    a = sg.placeholder("float64", (3, 3), name="a")
    sign, size = sg.linalg.slogdet(a)
    f = sg.function([a], [sign.inputs[0], size])
    given = drawn("float64", 3, 3)
    for _ in range(4):
        pair, found = f(given)
        assert (*pair, found) == (*np.linalg.slogdet(given), pair[1])


def test_determinants_in_turns_of_a_loop():
    x, c = sg.placeholder("float64", ("t", "n", "n"), name="x"), sg.placeholder("float64", (), name="c")
    f = sg.function([x, c], sg.scan(lambda c, a: sg.linalg.slogdet(a * c), c, x)[0])
    given = drawn("float64", 3, 2, 2)
    expected = 1.5
    for each in given:
        expected = np.linalg.slogdet(each * expected)[0]
    for _ in range(4):
        assert f(given, 1.5) == expected


def test_a_turn_of_a_loop_tells_of_the_line():
    x = sg.placeholder("float64", ("t", "n", "n"), name="x")
    f = sg.function([x], sg.scan(lambda c, a: (c + sg.linalg.det(a), sg.linalg.inv(a)), 0 * x[0, 0, 0], x)[1])
    good = drawn("float64", 4, 3, 3)
    bad = good.copy()
    bad[2] = 0
    for _ in range(4):
        np.testing.assert_allclose(f(good), np.linalg.inv(good), rtol=1e-9)
        with pytest.raises(sg.LinAlgError, match=r"the matrix is singular[\s\S]*test_llvm_fact"):
            f(bad)


def test_what_rounding_decides_is_an_error_of_the_line_too(monkeypatch):
    """As if NumPy had found the last pivot to be a little more than 0."""
    a = sg.placeholder("float64", (2, 2), name="a")
    f = sg.function([a], sg.linalg.cholesky(a))
    monkeypatch.setattr(np.linalg, "cholesky", lambda x, upper=False: x)

    with pytest.raises(sg.LinAlgError, match=r"a matrix is not positive definite[\s\S]*test_llvm_fact"):
        f(np.ones((2, 2)))


def test_sizes_that_do_not_fit():
    a, b = sg.placeholder("float64", ("n", "k"), name="a"), sg.placeholder("float64", ("m", 2), name="b")
    f, g = sg.function([a], sg.linalg.inv(a)), sg.function([a, b], sg.linalg.solve(a, b))
    for _ in range(3):
        with pytest.raises(sg.ShapeError, match=r"square"):
            f(np.ones((2, 3)))
        with pytest.raises(sg.SymgraphError):
            g(np.eye(2), np.ones((3, 2)))
        np.testing.assert_array_equal(g(np.eye(2), np.ones((2, 2))), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("op", "dtype", "n", "m", "is_own"),
    [
        (sg.linalg.solve, "float64", 128, 500, True),
        (sg.linalg.solve, "float64", 300, LARGEST - 300, True),
        (sg.linalg.solve, "float64", 300, LARGEST - 299, False),
        (sg.linalg.solve, "float32", 128, 500, True),
        (sg.linalg.solve, "float32", 129, 1, False),
        (sg.linalg.solve_triangular, "float64", 128, 500, True),
        (sg.linalg.solve_triangular, "float64", 129, 1, False),
    ],
)
def test_which_systems_are_lapacks(op, dtype, n, m, is_own):
    a, b = sg.placeholder(dtype, ("n", "n"), name="a"), sg.placeholder(dtype, ("n", "m"), name="b")
    (made,) = NativeProgram(sg.function([a, b], op(a, b)).plan).codes.values()
    arrays = [np.empty(shape, dtype) for shape in ((n, n), (n, m), (n, m))]

    assert is_own == (made.printed_for(arrays, {}) is not None)


def test_large_matrices_are_lapacks():
    n = LARGEST + 1
    a, b = sg.placeholder("float64", ("n", "n"), name="a"), sg.placeholder("float64", ("n", "m"), name="b")
    f = sg.function([a, b], sg.linalg.solve(a, b))
    given = drawn("float64", n, n), drawn("float64", n, 2)
    for _ in range(3):
        same_bits(f(*given), np.linalg.solve(*given))
        with pytest.raises(sg.LinAlgError, match=r"test_llvm_fact"):
            f(np.zeros((n, n)), given[1])


def test_a_kalman_filter():
    rng = np.random.default_rng(5)
    n, m, turns = 4, 2, 50
    move, see = rng.normal(size=(n, n)) / 3, rng.normal(size=(m, n))
    noise, blur = 0.1 * np.eye(n), 0.5 * np.eye(m)

    def turn(solve, x, p, z):
        x, p = move @ x, move @ p @ move.T + noise
        gain = solve(see @ p @ see.T + blur, see @ p).T
        return x + gain @ (z - see @ x), p - gain @ see @ p

    z = sg.placeholder("float64", ("t", m), name="z")
    start = sg.zeros(n, dtype="float64"), sg.eye(n)

    def inside(carry, row):
        x, p = turn(sg.linalg.solve, *carry, row)
        return (x, p), x

    f = sg.function([z], sg.scan(inside, start, z)[1])
    seen = rng.normal(size=(turns, m))
    x, p, expected = np.zeros(n), np.eye(n), []
    for row in seen:
        x, p = turn(np.linalg.solve, x, p, row)
        expected.append(x)

    for _ in range(3):
        np.testing.assert_allclose(f(seen), expected, rtol=1e-9, atol=1e-12)


# How they are run


class Trouble(Exception):
    """The word for trouble says so."""


def run(function, *arrays, machine=None, level=2, step=None, **how):
    """The result, computed between bytes that nobody writes; in garbage, which nobody reads."""
    form, node, tail, turns = form_of(function, arrays, **how)
    out, memory = guarded(node, arrays)
    size = room(form, tail[0], tail[1], machine or host())
    work, surroundings = filled(size)
    trouble = ctypes.c_int64()
    words = [x.ctypes.data for x in (*arrays, out)] + [work.ctypes.data, *tail]
    words += [ctypes.addressof(trouble)] if form.checks else []
    table = (ctypes.c_int64 * len(words))(*words)
    address = of_machine(form, machine or host(), level)
    for begin in range(0, turns, step or max(turns, 1)):
        CALL(address)(ctypes.addressof(table), begin, min(turns, begin + (step or turns)))
    for around, count in ((memory, out.nbytes), (surroundings, size)):
        assert (around[:GUARD] == 0xFF).all() and (around[GUARD + count :] == 0xFF).all()
    if trouble.value:
        assert trouble.value == SINGULAR
        raise Trouble
    return out.copy()


def form_of(function, arrays, **how):
    """What `factored` makes of a call on such arrays."""
    given = [sg.placeholder(x.dtype.name, x.shape) for x in arrays]
    node = function(*given, **how)
    step = Several(node.inputs[0], (node,)) if node.op is ITEM else Call(node)
    form, tail, turns = factored(step, [*arrays, np.empty(tuple(map(int, node.shape)), arrays[0].dtype)])
    return form, node, tail, turns


def guarded(node, arrays):
    shape = tuple(int(size) for size in node.shape)
    size = int(np.prod(shape)) * arrays[0].dtype.itemsize
    inside, memory = filled(size)
    return inside.view(arrays[0].dtype).reshape(shape), memory


def filled(size):
    """So many bytes that are NaN, with bytes before and after them."""
    memory = np.full(size + 2 * GUARD, 0xFF, np.uint8)
    return memory[GUARD : GUARD + size], memory


@cache
def of_machine(form, machine, level):
    """The address of a function compiled by itself."""
    native = print_factorization(form, machine)
    name = f"{native.name}_{machine.cpu}_{level}".replace("-", "_")
    text = module([native], machine).replace(native.name, name)
    LOADERS.append(Loader())
    LOADERS[-1].load(compiled(text, level))
    return LOADERS[-1].address(name)


def every(p, b):
    """Each function with operands."""
    return (
        (sg.linalg.cholesky, (p,)),
        (sg.linalg.solve, (p, b)),
        (sg.linalg.solve_triangular, (p, b)),
        (sg.linalg.inv, (p,)),
        (sg.linalg.det, (p,)),
        (sign_of, (p,)),
        (log_of, (p,)),
    )


def sign_of(a):
    return sg.linalg.slogdet(a).sign


def log_of(a):
    return sg.linalg.slogdet(a).logabsdet


# What is true of results


def check_cholesky(a, upper):
    """Higham, "Accuracy and Stability of Numerical Algorithms", theorem 10.3."""
    found = np.longdouble(run(sg.linalg.cholesky, a, upper=upper))
    n = a.shape[-1]
    assert not np.tril(found, -1).any() if upper else not np.triu(found, 1).any()
    lower = np.swapaxes(found, -1, -2) if upper else found
    near = abs(lower) @ np.swapaxes(abs(lower), -1, -2)
    error = abs(lower @ np.swapaxes(lower, -1, -2) - a)
    read = np.tri(n).T if upper else np.tri(n)
    assert (error * read <= (n + 2) * eps(a.dtype) * near).all(), (a.shape, a.strides)


def check_solve(a, b):
    found = run(sg.linalg.solve, a, b)
    check_residual(a, found, b, 2 * (a.shape[-1] + 1))


def check_inverse(a):
    n = a.shape[-1]
    check_residual(a, run(sg.linalg.inv, a), np.eye(n), 2 * (n + 1))


def check_triangular(a, b, *, lower, trans=0, unit_diagonal=False):
    """Higham, theorem 8.5: element by element."""
    found = np.longdouble(
        run(sg.linalg.solve_triangular, a, b, lower=lower, trans=trans, unit_diagonal=unit_diagonal)
    )
    n = a.shape[-1]
    triangle = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        triangle = triangle * (1 - np.eye(n)) + np.eye(n)
    triangle = np.longdouble(np.swapaxes(triangle, -1, -2) if trans else triangle)
    error, most = abs(triangle @ found - b), abs(triangle) @ abs(found)
    assert (error <= (n + 1) * eps(a.dtype) * most + np.finfo(a.dtype).tiny).all(), (a.shape, a.strides)


def check_residual(a, x, b, times):
    """In norms of rows and columns."""
    x = np.longdouble(x)
    error = abs(np.longdouble(a) @ x - b).max(axis=-2, initial=0)
    most = abs(np.longdouble(a)).sum(-1).max(-1, initial=0)[..., None] * abs(x).max(axis=-2, initial=0)
    assert (error <= times * eps(a.dtype) * most).all(), (a.shape, a.strides, float((error / most).max()))


def same_bits(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


# What is drawn


def eps(row):
    return float(np.finfo(row).eps)


def row_noise(row, n):
    """What makes Hilbert's matrix positive definite after it was rounded."""
    return 4 * n * eps(row)


def drawn(row, *shape):
    return np.random.default_rng(abs(hash(shape)) % 1000).standard_normal(shape).astype(row)


def positive(row, n, batch):
    a = drawn("float64", *batch, n, n)
    return (a @ np.swapaxes(a, -1, -2) + np.eye(n)).astype(row)


def laid(x, how):
    """An equal array in another order in memory, or one where all matrices are the first."""
    match how:
        case "transposed":
            return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -1, -2)), -1, -2)
        case "apart":
            found = np.full((*x.shape[:-2], 2 * x.shape[-2], 3 * x.shape[-1]), np.nan, x.dtype)[..., ::2, ::3]
        case "backwards":
            return np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1]
        case "unaligned":
            memory = np.zeros(x.nbytes + 1, np.uint8)
            found = memory[1:].view(x.dtype).reshape(x.shape)
        case "one for all":
            return np.broadcast_to(x[(0,) * (x.ndim - 2)], x.shape)
        case _:
            return x
    found[...] = x
    return found


def determinant(a):
    """Of integers, exactly, by its first row."""
    if len(a) == 0:
        return 1
    return sum(
        (-1) ** j * int(a[0, j]) * determinant(np.delete(a[1:], j, axis=1)) for j in range(len(a)) if a[0, j]
    )


def by_elimination(a):
    """The sign and the logarithm of a determinant, in long doubles."""
    a, (*batch, n, _) = np.longdouble(a), a.shape
    signs, sizes = np.ones(batch), np.zeros(batch, np.longdouble)
    for place in np.ndindex(*batch):
        x = a[place].copy()
        for k in range(n):
            pivot = k + abs(x[k:, k]).argmax()
            signs[place] *= (1 if pivot == k else -1) * np.sign(x[pivot, k])
            sizes[place] += np.log(abs(x[pivot, k]))
            x[[k, pivot]] = x[[pivot, k]]
            x[k + 1 :] -= x[k + 1 :, k : k + 1] / x[k, k] * x[k]
    return signs, sizes
