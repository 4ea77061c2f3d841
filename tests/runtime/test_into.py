"""Calls that write where they are told: each writes what its op means, over whatever was there."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph.evaluate import attributes_of, bind_sizes, run_node
from symgraph.ops.scan import cumulative_prod, cumulative_sum
from symgraph.runtime.into import IN_PLACE, writer


def placed(array, name="x"):
    """A placeholder for arrays like this, every size symbolic."""
    return sg.placeholder(array.dtype, tuple(f"{name}{i}" for i in range(array.ndim)), name=name)


def written(node, given, out=None):
    """What the writer leaves in an array full of garbage, and what the op means."""
    nodes = list(given)
    sizes = bind_sizes(nodes, list(given.values()))
    inputs = [given[x] if x in given else constant(x) for x in node.inputs]
    attributes = attributes_of(node)
    expected = np.asarray(run_node(node, node.op.numpy, inputs, attributes, dict(sizes)))
    if out is None:
        out = np.full(expected.shape, 77, expected.dtype)
    writer(node)(out, *inputs, **attributes(sizes))
    return expected, out


def constant(node):
    return node.attrs.value


def assert_writes(node, given):
    before = [array.copy() for array in given.values()]
    expected, out = written(node, given)

    np.testing.assert_allclose(out, expected, rtol=1e-6 if out.dtype.itemsize == 4 else 1e-12)
    for array, old in zip(given.values(), before, strict=True):
        np.testing.assert_array_equal(old, array)


def drawn(shape, dtype="float64", seed=0):
    """Numbers from -4 to 4, half of them in memory of another order."""
    rng = np.random.default_rng(seed)
    array = rng.integers(-4, 5, shape).astype(dtype)
    return np.asfortranarray(array) if seed % 2 and array.ndim else array


DTYPES = ["float64", "float32", "int64", "int32", "complex128"]
SHAPES = [(), (0,), (1,), (5,), (3, 4), (0, 3), (3, 0), (2, 3, 4)]


# Products


@pytest.mark.parametrize("dtype", [*DTYPES, "bool"])
@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 2)), ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)), ((5, 1, 3, 4), (2, 4, 1)),
     ((0, 4), (4, 2)), ((3, 0), (0, 2)), ((0,), (0,)), ((1, 1), (1, 1))],
)  # fmt: skip
def test_a_matrix_product(a, b, dtype):
    for seed in range(2):
        left, right = drawn(a, dtype, seed), drawn(b, dtype, seed + 1)
        x, y = sg.placeholder(dtype, a, name="x"), sg.placeholder(dtype, b, name="y")

        assert_writes(sg.matmul(x, y), {x: left, y: right})


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex128", "bool"])
@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [((2, 3, 4), (3, 4, 5), 2), ((2, 3), (4,), 0), ((2, 3, 4), (4, 5, 2), ((0, 2), (2, 0))), ((), (2,), 0),
     ((2, 3, 4), (5, 4, 3), ((-1, 1), (1, 2))), ((2, 3), (2, 3), ((0, 1), (0, 1))), ((2, 0), (0, 4), 1), ((), (), 0),
     ((4, 2, 3), (3, 4), ((2, 0), (0, 1))), ((0, 2), (2, 0), ((1,), (0,))), ((2, 3), (3, 2), ((0, 1), (1, 0)))],
)  # fmt: skip
def test_a_product_summed_over_axes(a, b, axes, dtype):
    for seed in range(2):
        left, right = drawn(a, dtype, seed), drawn(b, dtype, seed + 1)
        x, y = sg.placeholder(dtype, a, name="x"), sg.placeholder(dtype, b, name="y")

        assert_writes(sg.tensordot(x, y, axes), {x: left, y: right})


def test_a_product_over_axes_that_differ_names_them():
    x, y = sg.placeholder("float64", ("a", "b"), name="x"), sg.placeholder("float64", ("c", "d"), name="y")
    node = sg.tensordot(x, y, ((1,), (0,)))

    with pytest.raises(sg.ShapeError, match=r"\(1,\) of \(2, 3\) and \(0,\) of \(4, 2\)"):
        writer(node)(np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((4, 2)), first=(1,), second=(0,))


# Joining


@pytest.mark.parametrize("dtype", [*DTYPES, "bool", "uint8"])
@pytest.mark.parametrize("shape", [(0,), (3,), (3, 4), (0, 3), (2, 3, 4)])
def test_arrays_joined(shape, dtype):
    for axis in range(len(shape)):
        arrays = [drawn(shape, dtype, seed) for seed in range(3)]
        nodes = [sg.placeholder(dtype, shape, name=f"x{i}") for i in range(3)]

        assert_writes(sg.concat(nodes, axis=axis), dict(zip(nodes, arrays, strict=True)))
        assert_writes(sg.concat([nodes[0], nodes[0]], axis=axis), {nodes[0]: arrays[0]})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_an_array_padded(shape, dtype):
    array = drawn(shape, dtype, 1)
    x = placed(array)
    for low, high in ((0, 0), (2, 0), (0, 1), (3, 2)):
        assert_writes(sg.pad(x, ((low, high),) * x.ndim, constant_values=7), {x: array})


# Elements at places


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3), (2, 0)])
def test_elements_at_places(shape, kind):
    for seed, axis in enumerate((0, 1, -1)):
        array = drawn((3, 4, 2), "float32", seed)
        size = array.shape[axis]
        low = 0 if kind.startswith("u") else -size
        places = np.random.default_rng(seed).integers(low, size, shape).astype(kind)
        x, at = placed(array), placed(places, "at")
        assert_writes(sg.take(x, at, axis=axis), {x: array, at: places})


@pytest.mark.parametrize(
    ("places", "named"),
    [([0, 3], "index 3"), ([-4, 1], "index -4"), ([2, 9, -1], "index 9"), ([-7, 4], "index -7")],
)
def test_a_place_outside_is_named(places, named):
    x, at = sg.placeholder("float64", ("n", "m"), name="x"), sg.placeholder("int64", ("k",), name="at")
    node = sg.take(x, at, axis=0)

    with pytest.raises(IndexError, match=f"{named} is out of bounds for axis 0 with size 3"):
        written_only(node, np.zeros((3, 2)), np.array(places))
    with pytest.raises(sg.OutOfBoundsError, match=rf"(?s){named}.*test_into\.py"):
        sg.function([x, at], node)(np.zeros((3, 2)), np.array(places))


def written_only(node, *arrays):
    out = np.zeros((arrays[1].shape[0], 2))
    writer(node)(out, *arrays, **node.attrs.fields())


def test_nothing_is_at_a_place_of_nothing():
    x, at = sg.placeholder("float64", ("n", "m"), name="x"), sg.placeholder("int64", ("k",), name="at")
    f = sg.function([x, at], sg.take(x, at, axis=0))

    assert f(np.zeros((0, 2)), np.zeros(0, "int64")).shape == (0, 2)
    with pytest.raises(sg.OutOfBoundsError, match="index 0"):
        f(np.zeros((0, 2)), np.zeros(1, "int64"))


def test_small_indices_do_not_overflow():
    x, at = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("int8", ("k",), name="at")
    array, places = np.arange(200.0), np.array([-128, 127, 0, -1], "int8")

    assert_writes(sg.take(x, at, axis=0), {x: array, at: places})


def test_keys_of_other_kinds_have_no_writer():
    x, at = sg.placeholder("float64", ("n", "m"), name="x"), sg.placeholder("int64", ("k",), name="at")

    assert writer(x[at, 0]) is None
    assert writer(x[at, at]) is None
    assert writer(x[1:, at]) is None
    assert writer(sg.sort(x)) is None
    assert writer(sg.concat([sg.astype(x, "float16")] * 2)) is None


# Order and running totals


@pytest.mark.parametrize("dtype", [*DTYPES, "bool"])
def test_a_shape_given_to_elements_in_order(dtype):
    for before, after in (
        ((6, 4), (4, 6)),
        ((), (1,)),
        ((0, 3), (3, 0)),
        ((2, 3, 4), (24,)),
        ((24,), (2, 3, 4)),
    ):
        array = drawn(before, dtype, 1)
        x = sg.placeholder(dtype, before, name="x")

        assert_writes(sg.reshape(x, after), {x: array})


@pytest.mark.parametrize("scan", [cumulative_sum, cumulative_prod])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("dtype", [*DTYPES, "uint8"])
def test_running_totals(scan, reverse, exclusive, dtype):
    for shape in SHAPES[1:]:
        array = drawn(shape, dtype, len(shape))
        x = placed(array)
        for axis in range(x.ndim):
            assert_writes(scan.op(x, axis=axis, reverse=reverse, exclusive=exclusive), {x: array})


# Updates


SLICES = [
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 2),
    slice(2, 0, -1),
    slice(0, 0),
    1,
    -1,
]


@pytest.mark.parametrize("mode", ["set", "add", "multiply", "min", "max"])
@pytest.mark.parametrize("key", SLICES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_an_update_of_a_slice(key, mode, dtype):
    array = drawn((4, 3), dtype, 2)
    x = sg.placeholder(dtype, (4, 3), name="x")
    for at in (key, (slice(None), key), (key, slice(None, None, -1)), (key, 1), (None, key)):
        part = array[at]
        for value in (drawn(part.shape, dtype, 4), drawn((), dtype, 4)):
            y = sg.placeholder(dtype, value.shape, name="y")
            assert_updates(sg.update(x, y, at, mode), {x: array, y: value})


@pytest.mark.parametrize("mode", ["set", "add", "multiply", "min", "max"])
def test_an_update_at_repeated_places(mode):
    array, places = drawn((4, 3)), np.array([0, -1, 3, 3, 0, -4])
    value = drawn((6, 3), seed=4)
    x, y = sg.placeholder("float64", ("n", 3), name="x"), sg.placeholder("float64", ("k", 3), name="y")
    at = sg.placeholder("int64", ("k",), name="at")

    assert_updates(sg.update(x, y, at, mode), {x: array, y: value, at: places})


def test_an_update_at_places_of_two_axes_and_a_slice():
    array, rows, columns = drawn((4, 3, 2)), np.array([[0], [-1]]), np.array([1, 1, -3])
    value = drawn((2, 3, 2), seed=4)
    x, y = sg.placeholder("float64", (4, 3, 2), name="x"), sg.placeholder("float64", (2, 3, 2), name="y")
    first, second = (
        sg.placeholder("int64", (2, 1), name="first"),
        sg.placeholder("int64", (3,), name="second"),
    )

    for mode in ("set", "add", "max"):
        given = {x: array, y: value, first: rows, second: columns}
        assert_updates(sg.update(x, y, (first, second), mode), given)


def assert_updates(node, given):
    """Into other memory, and in place."""
    assert node.op in IN_PLACE
    assert_writes(node, given)
    (x, array), *rest = given.items()
    expected, _ = written(node, given)
    own = array.copy(order="C")
    _, out = written(node, {x: own, **dict(rest)}, own)

    assert out is own
    np.testing.assert_array_equal(expected, own)


def test_an_update_outside_names_the_place():
    x, at = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("int64", ("k",), name="at")
    f = sg.function([x, at], sg.cumsum(x).at[at].add(1.0))

    with pytest.raises(sg.OutOfBoundsError, match=r"(?s)index 5.*test_into\.py"):
        f(np.zeros(3), np.array([0, 5]))
    np.testing.assert_array_equal([1, 0, 1], f(np.zeros(3), np.array([0, -1])))


def test_an_update_of_a_value_by_itself():
    x = sg.placeholder("float64", ("n",), name="x")
    y = sg.cumsum(x)
    array = np.arange(6.0)
    total = np.cumsum(array)

    turned, added = sg.function([x], (y.at[::-1].set(y), y.at[1:].add(y[:-1])))(array)

    np.testing.assert_array_equal(total[::-1], turned)
    np.testing.assert_array_equal([total[0], *(total[1:] + total[:-1])], added)
