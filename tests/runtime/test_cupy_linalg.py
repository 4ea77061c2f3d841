"""Matrices, transforms and order on the device "cuda": arrays stay there, and errors are NumPy's."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError, LinAlgError
from symgraph.graph.types import TupleType
from symgraph.ops.reduce import supremum
from symgraph.optimizations.plan import Call, View
from symgraph.runtime import emulator
from symgraph.runtime.cupy_calls import OF_CUPY
from symgraph.runtime.gpu_program import _Library
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, calls, failures, flat
from tests.derived.test_values import magnitude
from tests.runtime import cupy_matrices
from tests.runtime.cuda_programs import check, program
from tests.runtime.cupy_stand_in import ndarray, of_raw

pytestmark = pytest.mark.cuda_text

OF_OP = {f.op: f for f in FUNCTIONS_BY_NAME.values() if not f.is_macro and f.op in OF_CUPY}
a = sg.placeholder("float64", ("k", "n", "n"), name="a")
b = sg.placeholder("float64", ("k", "n", "m"), name="b")


def matrices(count, size=3):
    """Positive definite ones."""
    x = np.random.default_rng(count).normal(size=(count, size, size))
    return x @ x.swapaxes(-1, -2) + np.eye(size)


def on_device(device, node, *given):
    """What a library step gives, and how many numbers were copied."""
    there = [device.to(x) for x in given]
    before = ndarray.copied
    found = _Library(node, device, is_view=False).run(there, {}, None)
    copied = ndarray.copied - before
    return [device.back(x) for x in flat(found)], copied


# Every op


@pytest.mark.parametrize("f", OF_OP.values(), ids=lambda f: f.name)
def test_it_is_the_evaluators_and_stays_there(f, device):
    assert not failures(f, ((call, lambda call=call: wrong(call, device)) for call in calls(f)))


def wrong(call, device):
    feed = call.feed()
    plan = sg.function(list(feed), call.outputs(), options=sg.Options(backend="numpy")).plan
    for step in plan.steps:
        if not isinstance(step, Call) or isinstance(step, View) or step.node.op not in OF_CUPY:
            continue
        node = step.node
        if any(isinstance(x.type, TupleType) for x in node.inputs) or (
            len(node.inputs) > 1 and node.op.name == "index"
        ):
            continue
        given = sg.evaluate(list(node.inputs), feed)
        expected = flat(sg.evaluate(node, dict(zip(node.inputs, given, strict=True))))
        actual, copied = on_device(device, node, *given)
        if copied:
            return f"{node.op.name} copies {copied} numbers"
        for x, y in zip(actual, expected, strict=True):
            if x.dtype != y.dtype:
                return f"the dtype is {x.dtype}, not {y.dtype}"
            if x.dtype.kind == "c":
                x, y = x + 0, y + 0  # NumPy's transforms leave zeros of another sign than SciPy's
            if said := mismatch(x, y, 16 * call.function.tolerance, magnitude(y)):
                return said
    return None


def test_nothing_of_linalg_and_fft_but_these_is_done_on_copies():
    of_host = {
        f.op.name
        for name, f in FUNCTIONS_BY_NAME.items()
        if name.startswith(("linalg.", "fft.")) and not f.is_macro and f.op not in OF_CUPY
    }

    assert {"eig", "eigvals", "expm", "expm_frechet"} == of_host


# Members of a batch


BAD = (0, 7, 18)


@pytest.mark.parametrize(
    "op, why",
    [
        (lambda how: sg.linalg.cholesky(a, singular=how), "not positive definite"),
        (lambda how: sg.linalg.cholesky(a, upper=True, singular=how), "not positive definite"),
        (lambda how: sg.linalg.inv(a, singular=how), "singular"),
        (lambda how: sg.linalg.solve(a, b, singular=how), "singular"),
        (
            lambda how: sg.linalg.solve_triangular(a, b, singular=how),
            "singular: element 2 of its diagonal is 0",
        ),
    ],
    ids=["cholesky", "upper", "inv", "solve", "triangular"],
)
def test_a_member_that_is_refused(op, why, device):
    given = [matrices(19), np.ones((19, 3, 2))]
    for n in BAD:
        given[0][n] = np.diag([1.0, 2.0, 0.0])
    nan, refusing = op("nan"), op("raise")
    inputs = given[: len(nan.inputs)]
    with np.errstate(all="ignore"):
        expected = nan.op.numpy(*inputs, **nan.attrs.fields())

    (found,), copied = on_device(device, nan, *inputs)
    assert 0 == copied
    assert list(BAD) == np.flatnonzero(np.isnan(found).all((1, 2))).tolist()
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    with pytest.raises(LinAlgError, match=rf"the matrix \[0\] is {why}"):
        on_device(device, refusing, *inputs)
    with pytest.raises(LinAlgError, match=rf"the matrix \[6\] is {why}"):
        on_device(device, refusing, *(x[1:] for x in inputs))
    with pytest.raises(LinAlgError, match=rf"the matrix is {why}"):
        on_device(device, refusing, *(x[0] for x in inputs))


def test_batches_are_broadcast(device):
    one, many = matrices(1)[0], np.ones((4, 3, 2))
    for op in (sg.linalg.solve, sg.linalg.solve_triangular):
        node = op(sg.placeholder("float64", (3, 3)), b)
        (found,), _ = on_device(device, node, one, many)
        np.testing.assert_allclose(found, node.op.numpy(one, many, **node.attrs.fields()), rtol=1e-10)


def test_triangles_one_by_one_before_version_14(cupy, device, monkeypatch):
    monkeypatch.setattr(cupy, "__version__", "13.6.0")
    solve = of_raw(lambda *given, **how: cupy_matrices.solve_triangular(*given, **how, batches=False))
    monkeypatch.setattr(sys.modules["cupyx.scipy.linalg"], "solve_triangular", solve)
    node = sg.linalg.solve_triangular(a, b, lower=True)
    given = matrices(4), np.ones((4, 3, 2))

    (found,), copied = on_device(device, node, *given)
    assert 0 == copied
    np.testing.assert_allclose(found, node.op.numpy(*given, **node.attrs.fields()), rtol=1e-10)


def test_a_singular_matrix_without_right_hand_sides(device):
    node = sg.linalg.solve(a, b)
    given = np.zeros((2, 3, 3)), np.zeros((2, 3, 0))

    for refuses in (
        lambda: node.op.numpy(*given, **node.attrs.fields()),
        lambda: on_device(device, node, *given),
    ):
        with pytest.raises(LinAlgError, match=r"the matrix \[0\] is singular"):
            refuses()


@pytest.mark.parametrize("op", [sg.linalg.svdvals, lambda a: sg.linalg.svd(a)[0].inputs[0], sg.linalg.pinv])
def test_no_singular_values(op, device):
    given = matrices(3)
    given[1, 0, 0] = np.nan

    with pytest.raises(LinAlgError, match="its singular values do not exist: a value is not finite"):
        on_device(device, op(a), given)


def test_eigenvalues_that_are_not_found(device, monkeypatch):
    def eigvalsh(a, UPLO):
        raise np.linalg.LinAlgError("Error reported by xsyevd in cuSOLVER. devInfo = 2")

    monkeypatch.setitem(cupy_matrices.OWN, "linalg.eigvalsh", eigvalsh)

    with pytest.raises(LinAlgError, match="its eigenvalues did not converge"):
        on_device(device, sg.linalg.eigvalsh(a), matrices(2))


def test_lu_of_a_singular_matrix(device):
    given = np.zeros((2, 3, 3))
    with pytest.warns(RuntimeWarning, match="Singular matrix"):
        found, _ = on_device(device, sg.linalg.lu(a).L.inputs[0], given)
    np.testing.assert_array_equal(found[1], np.broadcast_to(np.eye(3), (2, 3, 3)))


# Order


NAN = np.float32(np.nan)
VECTOR = np.array([1, NAN, -0.0, 0.0, np.copysign(NAN, -1), -np.inf, 0.0, -0.0, 1, np.inf], "float32")


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("shape, axis", [((10,), 0), ((1, 10), 1), ((5, 2), 0), ((2, 5), -1)])
def test_order_with_nan_and_zeros(device, shape, axis, descending):
    given = VECTOR.reshape(shape)
    x = sg.placeholder("float32", shape, name="x")
    for f in (sg.argsort, sg.sort):
        node = f(x, axis, descending)
        (found,), copied = on_device(device, node, given)
        assert 0 == copied
        assert found.tobytes() == node.op.numpy(given, **node.attrs.fields()).tobytes()


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (2, 3)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_the_supremum_of_nothing(device, shape, keepdims):
    x = sg.placeholder("float32", ("n", "m"), name="x")
    array = np.ones(shape, "float32")
    (found,), copied = on_device(device, supremum.op(x, axes=(1,), keepdims=keepdims), array)

    np.testing.assert_array_equal(found, np.max(array, 1, initial=-np.inf, keepdims=keepdims))
    assert copied == 0


@pytest.mark.parametrize("f", [sg.argmax, sg.argmin])
def test_the_first_nan_is_the_extremum(device, f):
    given = np.array([[1, NAN, 5, NAN], [3, 2, 5, 2]], "float32")
    for axis in (0, 1):
        node = f(sg.placeholder("float32", (2, 4)), axis)
        (found,), _ = on_device(device, node, given)
        np.testing.assert_array_equal(found, node.op.numpy(given, **node.attrs.fields()))


def test_an_axis_of_size_1_keeps_a_zeros_sign(device):
    node = sg.sum(sg.placeholder("float32", (2, 1)), axis=1)
    (found,), _ = on_device(device, node, np.array([[-0.0], [0.0]], "float32"))

    assert [True, False] == np.signbit(found).tolist()


# Programs


def test_sizes_that_the_data_decide(device):
    x = sg.placeholder("float32", ("n",), name="x")
    (places,) = sg.nonzero(x > 0)
    made = check(device, [x], [places.shape[0] * sg.sum(x), sg.iota(places.shape[0])], VECTOR[[0, 3, 6]])

    assert not made.explain()


@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_a_program_and_its_line(device):
    x = sg.placeholder("float64", ("n", "n"), name="x")
    loss = sg.sum(sg.linalg.cholesky(x @ x.T + sg.exp(x[0, 0])) ** 2) + sg.sum(abs(sg.fft.rfft(x)) ** 2)
    made = check(device, [x], [loss, *sg.grad(loss, [x])], matrices(1)[0], exact=False)
    assert not made.explain()
    _, made = program(device, [x], [sg.linalg.inv(sg.exp(x) - 1)])

    with pytest.raises(LinAlgError, match=r"singular(.|\n)*test_cupy_linalg\.py"):
        made.run([np.zeros((3, 3))])


def test_a_library_that_is_not_there(device, monkeypatch):
    def missing(*_, **__):
        raise ImportError('Failure finding "libcusolver.so.12"')

    monkeypatch.setitem(sys.modules, "cupyx.scipy.linalg", SimpleNamespace(solve_triangular=missing))
    monkeypatch.setitem(cupy_matrices.OWN, "linalg.inv", missing)

    for node in (sg.linalg.inv(a), sg.linalg.solve_triangular(a, b)):
        with pytest.raises(
            DeviceError, match=rf"{node.op.name} needs a library that CuPy does not find: .*cusolver"
        ):
            on_device(device, node, matrices(2), *[np.ones((2, 3, 1))] * (len(node.inputs) - 1))
