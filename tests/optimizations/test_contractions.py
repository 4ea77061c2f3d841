"""Contractions: what becomes of products with one-hot, diagonal and constant operands, and of einsums."""

import itertools

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import schedule
from symgraph.graph.graph import graph
from symgraph.graph.walk import toposort
from symgraph.ops.reduce import sum as sum_op
from symgraph.optimizations.pipeline import optimize

PLAIN, FAST = sg.Options(verify=True), sg.Options(verify=True, fast_math=True)


def optimized(inputs, output, options=PLAIN):
    """The output as the passes leave it, which has no more to gain from them."""
    made = optimize(graph(inputs, [output]), options)[-1].graph
    assert optimize(made, options)[-1].graph is made
    assert made.outputs[0].row is output.row
    return made.outputs[0]


def ops(node):
    return {each.op.name for each in toposort([node])}


def both(inputs, output, arrays, options=PLAIN):
    """The results before and after."""
    return schedule([output, optimized(inputs, output, options)], inputs).run(arrays)


def drawn(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) > 0.5
    return rng.integers(-4, 5, shape).astype(dtype)


# One-hot


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool", "float32", "float16", "complex64"])
@pytest.mark.parametrize("places_dtype", ["int8", "uint16"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_one_hot_rows_become_rows(dtype, places_dtype, shape, columns):
    places = sg.placeholder(places_dtype, shape, name="places")
    x = sg.placeholder(dtype, (5, *columns), name="x")
    output = sg.matmul(sg.one_hot(places, 5, dtype), x)
    given = [
        np.array(np.random.default_rng(0).integers(0, 8, shape), places_dtype),
        drawn((5, *columns), dtype),
    ]
    if places_dtype != "uint16":
        given[0] = given[0] - given[0].dtype.type(2)

    before, after = both([places, x], output, given, FAST)
    assert before.dtype == after.dtype and before.tolist() == after.tolist()
    assert "matmul" not in ops(optimized([places, x], output, FAST))
    is_exact = dtype in ("int8", "int64", "uint8", "bool")
    assert ("matmul" in ops(optimized([places, x], output))) is not is_exact


@pytest.mark.parametrize("shape", [(), (4,)])
@pytest.mark.parametrize("rows", [(), (3,), (2, 3)])
def test_one_hot_columns_become_columns(shape, rows):
    places = sg.placeholder("int32", shape, name="places")
    x = sg.placeholder("int64", (*rows, 5), name="x")
    given = [np.array(np.random.default_rng(1).integers(-2, 8, shape), "int32"), drawn((*rows, 5), "int64")]
    for hot in (sg.one_hot(places, 5, "int64", axis=0), sg.one_hot(places, 5, "int64").T):
        before, after = both([places, x], x @ hot, given)
        assert before.tolist() == after.tolist()
        assert "matmul" not in ops(optimized([places, x], x @ hot))


def test_one_hot_vector_of_a_batch_of_matrices():
    places, x = sg.placeholder("int64", (4,), name="places"), sg.placeholder("int64", (2, 5, 3), name="x")
    output = sg.one_hot(places, 5, "int64") @ x
    before, after = both([places, x], output, [np.array([0, 9, -1, 4]), drawn((2, 5, 3), "int64")])

    assert before.tolist() == after.tolist()
    assert "matmul" not in ops(optimized([places, x], output))


def test_places_that_wrap_around_stay_a_product():
    places, x = sg.placeholder("int8", (4,), name="places"), sg.placeholder("int64", (300, 2), name="x")
    output = sg.one_hot(places, 300, "int64") @ x
    before, after = both([places, x], output, [np.array([0, 5, -1, 44], "int8"), drawn((300, 2), "int64")])

    assert before.tolist() == after.tolist()
    assert "matmul" in ops(optimized([places, x], output))


def test_a_number_of_places_that_may_be_none_stays_a_product():
    places, x = sg.placeholder("int64", (4,), name="places"), sg.placeholder("int64", ("n", 2), name="x")
    output = sg.one_hot(places, x.shape[0], "int64") @ x
    before, after = both([places, x], output, [np.zeros(4, int), np.zeros((0, 2), int)])

    assert before.tolist() == after.tolist() == [[0, 0]] * 4
    assert "index" not in ops(optimized([places, x], output))


def test_places_that_are_known_to_lie_inside_are_not_checked():
    scores, x = sg.placeholder("float32", ("n", 5), name="scores"), sg.placeholder("int64", (5, 2), name="x")
    for places in (sg.argmax(scores, 1), sg.argmax(scores, 1) % 5, sg.minimum(sg.argmax(scores, 1), 3)):
        assert "where" not in ops(optimized([scores, x], sg.one_hot(places, 5, "int64") @ x))


def test_floats_that_may_be_infinite_stay_a_product():
    places, x = sg.placeholder("int64", (2,), name="places"), sg.placeholder("float64", (3, 2), name="x")
    output = sg.one_hot(places, 3, "float64") @ x
    with np.errstate(invalid="ignore"):
        before, after = both(
            [places, x], output, [np.array([0, 1]), np.array([[1, 2], [np.inf, 3], [4, np.nan]])]
        )

    np.testing.assert_array_equal(before, after)
    assert "matmul" in ops(optimized([places, x], output))
    known = sg.constant(np.arange(6.0).reshape(3, 2))
    assert "matmul" not in ops(optimized([places], sg.one_hot(places, 3, "float64") @ known))


@pytest.mark.parametrize("dtype", ["int8", "int64", "float64"])
def test_the_trace_of_a_product_multiplies_no_matrices(dtype):
    x, y = sg.placeholder(dtype, ("n", 3), name="x"), sg.placeholder(dtype, (3, "n"), name="y")
    for n in (0, 1, 4):
        before, after = both([x, y], sg.trace(x @ y), [drawn((n, 3), dtype), drawn((3, n), dtype, 1)])
        assert before == after
    assert "matmul" not in ops(optimized([x, y], sg.trace(x @ y))) or dtype == "int8"  # whose trace is wider


def test_a_product_with_eye_is_its_operand():
    x = sg.placeholder("int64", ("n", 3), name="x")

    assert optimized([x], sg.eye(x.shape[0], dtype="int64") @ x) is x
    assert optimized([x], x @ sg.eye(3, dtype="int64")) is x


# Diagonals


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "bfloat16", "float64"])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 4, 3), (4, 0)])
def test_a_diagonal_times(dtype, shape):
    numbers, x = sg.placeholder(dtype, (4,), name="numbers"), sg.placeholder(dtype, shape, name="x")
    given = [drawn((4,), dtype, 1), drawn(shape, dtype)]
    other = sg.placeholder(dtype, (2, 3, 4) if len(shape) > 2 else (3, 4), name="other")
    for inputs, output, arrays in (
        ([numbers, x], sg.diag(numbers) @ x, given),
        ([numbers, other], other @ sg.diag(numbers), [given[0], drawn(other.shape, dtype)]),
    ):
        before, after = both(inputs, output, arrays, FAST)
        assert before.tolist() == after.tolist()
        assert "matmul" not in ops(optimized(inputs, output, FAST))
        assert ("matmul" in ops(optimized(inputs, output))) is ("float" in dtype)


def test_a_diagonal_of_a_size_that_may_be_another_stays_a_product():
    numbers, x = sg.placeholder("int64", ("n",), name="numbers"), sg.placeholder("int64", ("m", 3), name="x")
    after = optimized([numbers, x], sg.diag(numbers) @ x)

    with pytest.raises(sg.ShapeError):
        schedule([after], [numbers, x]).run([np.ones(3, int), np.ones((1, 3), int)])


def test_another_diagonal_stays_a_product():
    numbers, x = sg.placeholder("int64", (3,), name="numbers"), sg.placeholder("int64", (4, 3), name="x")
    before, after = both(
        [numbers, x], sg.diag(numbers, 1) @ x, [drawn((3,), "int64"), drawn((4, 3), "int64")]
    )

    assert before.tolist() == after.tolist()


# One term, ones, sums and chains


@pytest.mark.parametrize("dtype", ["int64", "float32", "float16", "bool", "complex128"])
@pytest.mark.parametrize(
    ("first", "second"),
    [((1,), (1,)), ((1,), (1, 3)), ((2, 1), (1,)), ((2, 1), (1, 3)), ((5, 2, 1), (1, 3)), ((1,), (5, 1, 3)),
     ((5, 1, 1), (1,)), ((4, 1, 2, 1), (5, 1, 3)), ((0, 1), (1, 3))],
)  # fmt: skip
def test_a_product_over_one_element(dtype, first, second):
    x, y = sg.placeholder(dtype, first, name="x"), sg.placeholder(dtype, second, name="y")
    before, after = both([x, y], x @ y, [drawn(first, dtype), drawn(second, dtype, 1)])

    assert before.shape == after.shape and before.tolist() == after.tolist()
    assert ("matmul" in ops(optimized([x, y], x @ y))) is (dtype == "complex128")


@pytest.mark.parametrize(
    ("ones", "other"),
    [((3,), (3,)), ((3,), (3, 2)), ((4, 3), (3,)), ((4, 3), (3, 2)), ((5, 4, 3), (3, 2)), ((3,), (5, 3, 2)),
     ((4, 3), (5, 3, 2)), ((5, 1, 4, 3), (2, 3, 2))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["int8", "float64", "float16"])
def test_a_product_with_ones(ones, other, dtype):
    x = sg.placeholder(dtype, other, name="x")
    before, after = both([x], sg.ones(ones, dtype) @ x, [drawn(other, dtype)])
    assert before.shape == after.shape and before.tolist() == after.tolist()
    assert "matmul" not in ops(optimized([x], sg.ones(ones, dtype) @ x))

    swapped = tuple(ones) if len(ones) == 1 else (*ones[:-2], ones[-1], ones[-2])
    x = sg.placeholder(dtype, other if len(other) == 1 else (*other[:-2], other[-1], other[-2]), name="x")
    before, after = both([x], x @ sg.ones(swapped, dtype), [drawn(x.shape, dtype)])
    assert before.shape == after.shape and before.tolist() == after.tolist()


@pytest.mark.parametrize("dtype", ["int32", "float64"])
@pytest.mark.parametrize(
    ("first", "second"),
    [((4, 3), (3, 5)), ((3,), (3, 5)), ((4, 3), (3,)), ((0, 3), (3, 2)), ((4, 0), (0, 2))],
)
def test_sums_over_products(dtype, first, second):
    x, y = sg.placeholder(dtype, first, name="x"), sg.placeholder(dtype, second, name="y")
    rank = len(first) + len(second) - 2
    for axes in itertools.chain.from_iterable(
        itertools.combinations(range(rank), k) for k in range(1, rank + 1)
    ):
        for output in (
            sum_op.op(x @ y, axes=axes, keepdims=False),
            sum_op.op(x @ y, axes=axes, keepdims=True),
        ):
            before, after = both([x, y], output, [drawn(first, dtype), drawn(second, dtype, 1)], FAST)
            assert before.shape == after.shape and before.tolist() == after.tolist()


@pytest.mark.parametrize("options", [PLAIN, FAST])
def test_chains(options):
    shapes = {"v": (3,), "a": (3, 3), "b": (3, 3), "w": (3,)}
    v, a, b, w = given = [sg.placeholder("float64", shape, name=name) for name, shape in shapes.items()]
    arrays = [drawn(shape, "float64", seed) for seed, shape in enumerate(shapes.values())]
    for output in ((a @ b) @ w, v @ (a @ b), (v @ (a @ b)) @ w, v @ ((a @ b) @ w), a @ (b @ a) @ w):
        before, after = both(given, output, arrays, options)
        assert before.tolist() == after.tolist()


# Reductions of what is repeated


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "any", "all", "max", "min"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "bool", "complex128"])
@pytest.mark.parametrize("count", [0, 1, 9])
@pytest.mark.parametrize("is_symbolic", [True, False])
def test_reductions_of_a_broadcast(name, dtype, count, is_symbolic):
    if (name in ("max", "min") and (count == 0 or dtype == "complex128")) or (name == "mean" and count == 0):
        pytest.skip("there is none")
    carrier = sg.placeholder("bool", ("n" if is_symbolic else count,), name="carrier")
    values = [-1, 0, 1, 2] if dtype != "bool" else [False, True]
    if dtype.startswith("float"):
        values += [np.inf, -np.inf, np.nan]
    x = sg.placeholder(dtype, (len(values),), name="x")
    output = getattr(sg, name)(sg.broadcast_to(x, (carrier.shape[0], len(values))), axis=0)
    number = getattr(sg, name)(sg.full((carrier.shape[0],), values[0], dtype))
    with np.errstate(all="ignore"):
        for each in (output, number):
            before, after = both([carrier, x], each, [np.zeros(count, bool), np.array(values, dtype)])
            np.testing.assert_array_equal(before, after)
    if name in ("sum", "any", "all") and "16" not in dtype and dtype != "complex128":
        assert name not in ops(optimized([carrier, x], output))


def test_more_elements_than_the_dtype_counts():
    half, small = sg.placeholder("float16", (), name="x"), sg.placeholder("int8", (), name="x")
    total = sg.sum(sg.broadcast_to(half, (100_000,)))
    before, after = both([half], total, [np.array(1e-4, "float16")])
    assert 10.0 == pytest.approx(float(before), rel=1e-2) and 10.0 == pytest.approx(float(after), rel=1e-2)
    wrapped = sum_op.op(sg.broadcast_to(small, (1000,)), axes=(0,), keepdims=False)
    before, after = both([small], wrapped, [np.array(3, "int8")])
    assert before == after


# Einsums


def specs():
    rng = np.random.default_rng(5)
    for _ in range(90):
        count = int(rng.choice([1, 1, 2, 2, 2, 3, 4]))
        letters = "abcd"[: rng.integers(1, 5)]
        terms = ["".join(rng.choice(list(letters), rng.integers(0, 4))) for _ in range(count)]
        used = sorted(set("".join(terms)))
        output = "".join(rng.permutation([each for each in used if rng.random() < 0.5]))
        sizes = {letter: int(rng.choice([0, 1, 2, 3])) for letter in used}
        yield ",".join(terms) + "->" + output, [tuple(sizes[each] for each in term) for term in terms]


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "float64", "float16", "complex128"])
def test_einsums_mean_the_same(dtype):
    for options, is_symbolic in itertools.product((PLAIN, FAST), (True, False)):
        for spec, shapes in specs():
            terms = spec.partition("->")[0].split(",")
            inputs = [
                sg.placeholder(
                    dtype, tuple(f"n{letter}" for letter in term) if is_symbolic else shape, name=f"x{i}"
                )
                for i, (term, shape) in enumerate(zip(terms, shapes, strict=True))
            ]
            arrays = [drawn(shape, dtype, i) for i, shape in enumerate(shapes)]
            before, after = both(inputs, sg.einsum(spec, *inputs), arrays, options)
            assert before.shape == after.shape and before.dtype == after.dtype, spec
            np.testing.assert_allclose(
                before, after, rtol=2e-3 if dtype == "float16" else 1e-12, err_msg=spec
            )


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [("ij->ji", "transpose"), ("ij->j", "sum"), ("ii->", "sum"), ("ij,jk->ik", "matmul"), ("ij,kj->ik", "matmul"),
     ("ji,jk->ki", "matmul"), ("i,i->", "matmul"), ("i,j->ij", "multiply"), ("ij,ij->ij", "multiply"),
     ("bij,bjk->bik", "matmul"), ("bi,bi->b", "matmul"), ("bij,bj->bi", "matmul"), ("ijk,jkl->il", "tensordot"),
     ("ij,ij->", "tensordot"), ("ij,jk,kl->il", "matmul")],
)  # fmt: skip
def test_einsums_become_other_ops(spec, wanted):
    inputs = [
        sg.placeholder("float64", (3,) * len(term), name=f"x{i}")
        for i, term in enumerate(spec.partition("->")[0].split(","))
    ]
    found = ops(optimized(inputs, sg.einsum(spec, *inputs)))

    assert wanted in found and "einsum" not in found


def test_an_index_that_may_be_broadcast_stays_an_einsum():
    x, y = sg.placeholder("float64", ("n", "m"), name="x"), sg.placeholder("float64", ("k", 2), name="y")
    output = sg.einsum("ij,jk->ik", x, y)
    for sizes in ((3, 1, 3), (3, 3, 1), (2, 3, 3)):
        before, after = both([x, y], output, [np.ones(sizes[:2]), np.ones((sizes[2], 2))])
        assert before.tolist() == after.tolist()


def test_floats_of_unknown_sizes_keep_their_order():
    shapes = {"x": ("n", "m"), "y": ("m", "k"), "z": ("k", 1)}
    given = [sg.placeholder("float64", shape, name=name) for name, shape in shapes.items()]
    output = sg.einsum("ij,jk,kl->il", *given)

    assert "einsum" in ops(optimized(given, output))
    assert "einsum" not in ops(optimized(given, output, FAST))


# Norms


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unit_vectors_of_huge_and_tiny_values(dtype):
    x = sg.placeholder(dtype, ("n", 2), name="x")
    v = sg.placeholder(dtype, (2,), name="v")
    huge = float(np.finfo(dtype).max) / 16
    for scale in (huge, 1 / huge):
        rows = np.array([[3, 4], [4, -3]], dtype) * dtype_of(dtype)(scale)
        total = sg.sum(x**2, axis=1)
        for root in (
            sg.sqrt(total)[:, None], sg.sqrt(total[:, None]), sg.sqrt(sg.sum(x * x, axis=1, keepdims=True)),
            total[:, None] ** 0.5, sg.sum(sg.square(x), axis=-1, keepdims=True) ** 0.5,
        ):  # fmt: skip
            found = sg.function([x], x / root)(rows)
            np.testing.assert_allclose(found, [[0.6, 0.8], [0.8, -0.6]], rtol=1e-6)
        for root in (sg.sqrt(v @ v), sg.sqrt(sg.sum(v * v)), sg.sqrt(sg.vdot(v, v))):
            np.testing.assert_allclose(sg.function([v], v / root)(rows[0]), [0.6, 0.8], rtol=1e-6)
        np.testing.assert_allclose(
            sg.function([v], v * sg.sum(v * v) ** -0.5)(rows[0]), [0.6, 0.8], rtol=1e-6
        )


def dtype_of(name):
    return np.dtype(name).type
