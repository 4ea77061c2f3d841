"""Jacobians, dense and sparse: sizes, modes, structures, patterns and colours."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.autodiff.coloring import Coloring, coloring
from symgraph.autodiff.jacobian import cheaper_mode
from symgraph.autodiff.sparsity import pattern, sparsity
from symgraph.graph.walk import toposort


def vector(size, name="x", dtype="float64"):
    return sg.placeholder(dtype, (size,), name=name)


def drawn(*shape):
    return np.random.default_rng(5).normal(size=shape)


@pytest.mark.parametrize("mode", ["reverse", "forward", None])
def test_sizes_are_the_outputs_and_then_the_inputs(mode):
    x, w = sg.placeholder("float64", (2, 3), name="x"), sg.placeholder("float64", (3, 4), name="w")
    at = {x: drawn(2, 3), w: drawn(3, 4)}
    of_x, of_w = sg.jacobian(x @ w, [x, w], mode=mode)

    np.testing.assert_allclose(np.einsum("ik,lj->ijkl", np.eye(2), at[w]), sg.evaluate(of_x, at))
    np.testing.assert_allclose(np.einsum("il,jk->ijlk", at[x], np.eye(4)), sg.evaluate(of_w, at))


def test_structures_follow_what_was_given():
    x, y = vector(2, "x"), vector(3, "y")
    out = x * y.sum()

    assert (2, 2) == sg.jacobian(out, x).shape
    assert [(2, 2), (2, 3)] == [j.shape for j in sg.jacobian(out, [x, y])]
    assert [[(2, 2), (2, 3)], [(3, 2), (3, 3)]] == [
        [j.shape for j in row] for row in sg.jacobian([out, y], [x, y])
    ]
    assert [[(2, 2), (2, 3)], [(3, 2), (3, 3)]] == [
        [h.shape for h in row] for row in sg.hessian(out.sum(), [x, y])
    ]


def test_the_mode_takes_fewer_passes():
    x, y, n = vector(3), vector(2, "y"), vector("n", "z")

    assert "reverse" == cheaper_mode([y], [x])
    assert "forward" == cheaper_mode([x], [y])
    assert "forward" == cheaper_mode([x, y], [x])
    assert "reverse" == cheaper_mode([x], [n])
    assert "forward" == cheaper_mode([n], [x])


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_sizes_may_be_symbolic_and_rows_are_one_graph(mode):
    x, small, large = vector("n"), vector(3, "s"), vector(300, "l")

    def f(x):
        return sg.cumsum(sg.softmax(x) * x)[1:] - x.mean()

    at = drawn(5)
    whole = sg.jacobian(f(x), x, mode=mode)
    rows = [sg.evaluate(sg.grad(f(x)[i], x), {x: at}) for i in range(4)]
    sizes = {len(toposort([sg.jacobian(f(x), x, mode=mode)])) for x in (small, large)}

    np.testing.assert_allclose(rows, sg.evaluate(whole, {x: at}), atol=1e-12)
    assert 1 == len(sizes)


def test_a_compiled_jacobian():
    x = vector(6)
    at = drawn(6)
    f = sg.function([x], sg.jacobian(sg.tanh(x) * x.sum(), x))

    np.testing.assert_allclose(
        np.diag((1 - np.tanh(at) ** 2) * at.sum()) + np.tanh(at)[:, None], f(at), atol=1e-12
    )


def test_hessian_of_a_quadratic_form():
    x, a = vector("n"), sg.placeholder("float64", ("n", "n"), name="a")
    at = {x: drawn(3), a: drawn(3, 3)}

    np.testing.assert_allclose(at[a] + at[a].T, sg.evaluate(sg.hessian(x @ a @ x, x), at))


def test_an_input_without_slopes_gives_zeros():
    x, y = vector(2, "x"), vector("n", "y")

    assert (2, 3) == sg.evaluate(sg.jacobian(x, y), {y: np.ones(3)}).shape


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_complex_jacobians_are_of_holomorphic_functions(mode):
    z, x = vector(2, "z", "complex128"), vector(2)
    at = np.array([1 + 2j, -1j])

    np.testing.assert_allclose(
        np.diag(np.exp(at)), sg.evaluate(sg.jacobian(sg.exp(z), z, holomorphic=True, mode=mode), {z: at})
    )
    with pytest.raises(
        sg.GradientError, match=r"complex, and its slopes form no matrix(.|\n)*test_jacobian\.py"
    ):
        sg.jacobian(sg.exp(z), z, mode=mode)
    with pytest.raises(sg.GradientError, match="takes and gives complex values"):
        sg.jacobian(x * 2, x, holomorphic=True, mode=mode)


def test_real_inputs_have_complex_outputs_in_forward_mode():
    x = vector(2)
    at = np.array([0.5, 2.0])
    out = sg.exp(x * 1j)

    np.testing.assert_allclose(np.diag(1j * np.exp(1j * at)), sg.evaluate(sg.jacobian(out, x), {x: at}))
    with pytest.raises(sg.GradientError, match="complex, and its slopes form no matrix"):
        sg.jacobian(out, x, mode="reverse")


def test_slopes_have_the_dtype_of_both_together():
    x = vector(3, dtype="float32")
    out = sg.concat([x.sum()[None], x[1:] * x[0]]).astype("float64")

    assert ["float64"] * 3 == [
        node.dtype
        for node in (
            sg.jacobian(out, x, mode="reverse"),
            sg.jacobian(out, x, mode="forward"),
            sg.sparse_jacobian(out, x).values,
        )
    ]


def test_an_unknown_mode_is_refused():
    with pytest.raises(sg.GradientError, match='mode is "reverse", "forward" or None, not \'both\''):
        sg.jacobian(vector(2), vector(2), mode="both")


# Sparse


def tridiagonal(x):
    u = sg.pad(x, 1)
    return u[2:] - 2 * u[1:-1] + u[:-2] + sg.exp(x)


def five_points(x):
    u = sg.pad(x, 1)
    return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * x + x**3


@pytest.mark.parametrize(
    "f, shape, entries, passes",
    [
        (lambda x: sg.sin(x), (1000,), 1000, 1),
        (tridiagonal, (1000,), 2998, 3),
        (lambda x: sg.shift(x, 1) * x, (1000,), 1999, 2),
        (lambda x: sg.roll(x, 1) + sg.roll(x, -1) - x * x, (999,), 3 * 999, 3),
        (five_points, (12, 15), 5 * 12 * 15 - 2 * (12 + 15), 7),
        (lambda x: x * x + x[0], (1000,), 1999, 2),
        (lambda x: sg.concat([(x * x).sum()[None], x[1:] ** 2]), (1000,), 1999, 2),
        (lambda x: sg.concat([(x * x).sum()[None], x[1:] ** 2 * x[0]]), (1000,), 2998, 3),
        (lambda x: sg.tanh(x.reshape(20, 3) @ np.ones((3, 2))), (60,), 120, 2),
        (lambda x: sg.constant(np.eye(50) + np.eye(50, k=7)) @ x, (50,), 93, 2),
        (lambda x: (x * x).sum(), (100,), 100, 1),
        (lambda x: sg.cumsum(x), (20,), 210, 20),
        (lambda x: x[np.array([3, 3, 0])], (4,), 3, 1),
        (lambda x: sg.where(np.arange(6) < 4, x, x[::-1]), (6,), 6, 1),
        (lambda x: sg.stop_gradient(x), (6,), 0, 0),
    ],
)  # fmt: skip
def test_few_passes_find_what_the_dense_jacobian_holds(f, shape, entries, passes):
    x = sg.placeholder("float64", shape, name="x")
    y = f(x)
    found = sg.sparse_jacobian(y, x)

    assert (entries, passes) == (len(found.rows), found.passes)

    at = {x: drawn(*shape)}
    if found.shape[0] * found.shape[1] <= 40_000:
        dense = sg.evaluate(sg.jacobian(y, x), at)
        np.testing.assert_allclose(dense, sg.evaluate(found.dense(), at), atol=1e-12)
    along = found.toarray(sg.evaluate(found.values, at)) @ np.ones(found.shape[1])
    np.testing.assert_allclose(sg.evaluate(sg.jvp(y, x, 1.0), at).reshape(-1), along, atol=1e-10)


def test_a_compiled_sparse_jacobian_solves_a_newton_step():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    linalg = pytest.importorskip("scipy.sparse.linalg")
    x = vector(50)
    residual = tridiagonal(x) - 4 * x - 2.0
    found = sg.sparse_jacobian(residual, x)
    f = sg.function([x], [residual, found.values])
    at = np.zeros(50)
    for _ in range(8):
        r, values = f(at)
        at = at - linalg.spsolve(
            scipy_sparse.coo_array((values, (found.rows, found.columns)), found.shape).tocsc(), r
        )

    assert np.abs(f(at)[0]).max() < 1e-12


def test_the_pattern_of_a_general_op_is_full():
    x = vector(4)

    assert 16 == len(sparsity(sg.softmax(x), x).columns)
    assert 8 == len(sparsity(sg.softmax(x.reshape(2, 2)), x).columns)
    assert 16 == len(sparsity(sg.linalg.solve(sg.eye(4) + x, x), x).columns)


def test_sizes_must_be_known_for_a_pattern():
    x = vector("n")
    with pytest.raises(sg.GradientError, match=r"has sizes that are not known(.|\n)*test_jacobian\.py"):
        sg.sparse_jacobian(x * 2, x)


@pytest.mark.parametrize("seed", range(20))
def test_colours_separate_what_shares_a_row_or_column(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 30, 2)
    full = rng.random((height, width)) < rng.choice([0.05, 0.2, 0.6])
    full[: rng.integers(3)] = True
    full[:, : rng.integers(3)] = True
    found = pattern(*np.nonzero(full), full.shape)
    colours = coloring(found)
    pulled = colours.is_pulled(found)
    rows, columns = found.rows, found.columns

    assert np.array_equal(full, matrix(found))
    assert colours.pulls + colours.pushes <= min(full.any(0).sum(), full.any(1).sum())
    for row, column, back in zip(rows, columns, pulled, strict=True):
        if back:
            mates = full[:, column] & (colours.pulled == colours.pulled[row])
        else:
            mates = full[row] & (colours.pushed == colours.pushed[column])
        assert 1 == mates.sum()


def test_every_entry_has_a_pass():
    found = pattern(np.array([0, 0, 1]), np.array([0, 1, 1]), (2, 2))

    assert [True, True, False] == Coloring(np.array([0, -1]), np.array([-1, 0])).is_pulled(found).tolist()
    assert [True, False, False] == Coloring(np.array([0, 0]), np.array([-1, 0]), False).is_pulled(
        found
    ).tolist()


def matrix(found):
    full = np.zeros((found.height, found.width), bool)
    full[found.rows, found.columns] = True
    return full
