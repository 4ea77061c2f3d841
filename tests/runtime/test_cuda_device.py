"""The device "cuda" with no GPU: what runs there, and where its arrays lie."""

import functools
import importlib
import importlib.util
import inspect
from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError, ShapeError
from symgraph.runtime import cuda, devices, emulator, nvrtc
from symgraph.runtime.cuda import Cuda
from tests.runtime import cupy_matrices
from tests.runtime.cuda_programs import arrays, check, program, v, x, y
from tests.runtime.cupy_stand_in import (
    FUNCTIONS,
    Device,
    Function,
    Graph,
    Stream,
    asarray,
    here,
    ndarray,
    stand_in,
)

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]


# What runs


@pytest.mark.parametrize("shape", [(64, 100), (3, 1000), (1, 40000), (5, 33), (0, 4), (1, 1)])
def test_kernels(device, shape):
    outputs = [x * 2 + 1, sg.softmax(x), sg.sum(x, axis=0), sg.sum(x, axis=1), sg.sum(x)]

    check(device, [x], outputs, *arrays(shape), exact=False)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("multiprocessors", [1, 132])
def test_bits_depend_on_no_order_and_no_device(monkeypatch, cupy, seed, multiprocessors):
    given = arrays((40, 700))
    outputs = [sg.softmax(x), sg.var(x, axis=0), sg.logsumexp(x)]
    _, made = program(Cuda(), [x], outputs)
    expected = made.run(given)
    monkeypatch.setattr(Function, "seed", seed)
    monkeypatch.setattr(Device, "attributes", {"MultiProcessorCount": multiprocessors})

    _, made = program(Cuda(), [x], outputs)
    assert [a.tobytes() for a in expected] == [a.tobytes() for a in made.run(given)]


def test_products_views_and_joins(device):
    joined = sg.concat([sg.exp(x), sg.transpose(y)], axis=0)
    padded = sg.pad(sg.exp(x), ((1, 2), (0, 3)), constant_values=2.0)

    check(device, [x, y], [sg.tanh(x @ y) + 1, joined, padded], *arrays((5, 6), (6, 4)), exact=False)


def test_a_product_over_other_axes(device):
    z = sg.placeholder("float32", ("a", "n", "b"), name="z")
    result = sg.tensordot(sg.exp(z), sg.exp(x), ((1,), (0,)))

    check(device, [x, z], [result], *arrays((4, 5), (3, 4, 2)), exact=False)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (3, 5)])
def test_softmax_and_its_kin_of_nothing(device, shape):
    outputs = [each(x, axis=axis) for each in (sg.softmax, sg.log_softmax, sg.logsumexp) for axis in (0, 1)]
    outputs += [sg.logsumexp(x), *sg.grad(sg.logsumexp(x, axis=1).sum(), [x])]

    check(device, [x], outputs, *arrays(shape), exact=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats(device, dtype):
    a, b = (sg.placeholder(dtype, shape, name=name) for name, shape in (("a", ("n", "m")), ("b", ("m", "k"))))
    given = [each.astype(a.dtype) for each in arrays((4, 8), (8, 3))]

    check(device, [a, b], [sg.exp(a) @ b], *given, exact=False)


def test_a_training_step(device):
    w, t = sg.placeholder("float32", ("m", 10), name="w"), sg.placeholder("int64", ("n",), name="t")
    loss = sg.cross_entropy(sg.relu(x @ w), t).mean()
    given = [*arrays((32, 16), (16, 10)), np.arange(32) % 10]

    check(device, [x, w, t], [loss, *sg.grad(loss, [w])], *given, exact=False)


def test_what_cupy_does_not_do_as_numpy_does_goes_through_the_host(device):
    i = sg.placeholder("int64", ("j",), name="i")
    outputs = [sg.searchsorted(sg.exp(v), v), sg.sort(v), sg.cumsum(x, axis=1), sg.exp(x)[i] * 2]

    given = *arrays((5, 6)), np.array([4, -1, 0]), np.arange(6, dtype="float32")
    made = check(device, [x, i, v], outputs, *given, exact=False)

    assert "  searchsorted is done by NumPy on copies: CuPy does not do it as NumPy does" == made.explain()


def test_sizes_that_the_data_decide(device):
    places = sg.nonzero(sg.ravel(x) > 0)[0]

    check(device, [x], [places, sg.exp(sg.ravel(x)[places]) * 2], *arrays((5, 6)), exact=False)


def test_kernels_without_cuda(device, monkeypatch):
    monkeypatch.setattr("symgraph.runtime.cuda_backend.unspoken", lambda loops: "what is tested")

    made = check(device, [x], [sg.sum(sg.exp(x) + 1, axis=1), sg.sin(x)], *arrays((4, 5)), exact=False)
    assert "there is no CUDA C for what is tested" in made.explain()


def test_constants_and_what_sizes_decide(device):
    table = sg.constant(np.arange(12, dtype="float32").reshape(3, 4).T)
    outputs = [x + table, sg.arange(x.shape[0]) * 2, sg.exp(x) * x.shape[1], table]

    check(device, [x], outputs, *arrays((4, 3)), exact=False)


def test_results_share_no_memory(device):
    given = arrays((4, 6))
    made = check(device, [x], [x, x, x.T, sg.exp(x), sg.exp(x), sg.exp(x).T[1:]], *given, exact=False)

    (own,) = map(device.to, given)
    found = made.on_device([own])
    places = [each.data.mem for each in (own, *found)]
    assert len(places) == len(set(map(id, places)))


def test_results_outlive_the_next_call(device):
    _, made = program(device, [x], [sg.exp(sg.sum(x, axis=1, keepdims=True) + x)])
    first, second = arrays((8, 9), (8, 9))

    (kept,) = made.on_device([first])
    before = kept.get()
    made.on_device([second])

    np.testing.assert_array_equal(before, kept.get())


def test_indices_of_64_bits(device, monkeypatch):
    monkeypatch.setattr("symgraph.codegen.cuda_forms._NEAR", 10)

    made = check(device, [x], [sg.softmax(x), x.T * 2], *arrays((7, 30)), exact=False)
    assert "long long n0" in made.text()


def test_all_kernels_of_a_call_are_one_module(device, monkeypatch):
    texts = []
    monkeypatch.setattr(nvrtc, "compiled", lambda text, architecture: texts.append(text) or text.encode())
    (given,) = arrays((21, 13))

    check(device, [x], [sg.sum(sg.exp(sg.sum(x, axis=1)[:, None] * x), axis=0) * 1.625], given, exact=False)
    assert 1 == len(texts)
    assert texts[0].count("extern") > 1


# Arguments and arrays


def test_arguments_are_packed_as_parameters_have_them(device):
    (given,) = map(device.to, arrays((8,)))
    out = device.empty((8,), np.dtype("float32"))
    text = """
extern "C" __global__ void twice(const float* x, float* y, const int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = 2 * x[i];
}
SG_KERNEL(twice)
"""
    parameters = [SimpleNamespace(row=row) for row in ("float32", "float32", None)]
    kernel = SimpleNamespace(
        functions=("twice",),
        text=text,
        helpers={},
        parameters=parameters,
        form=SimpleNamespace(wide=False),
    )
    device.load([kernel])
    device.launch("twice", (1, 1), 32, [given.data.ptr, out.data.ptr, np.int32(8)])
    np.testing.assert_array_equal(out.get(), 2 * given.get())

    device.launch("twice", (1, 1), 32, [given.data.ptr, out.data.ptr, 8])  # as int: not 8 bytes
    with pytest.raises(OverflowError):
        device.launch("twice", (1, 1), 32, [given.data.ptr, out.data.ptr, 1 << 40])
    with pytest.raises(ValueError):
        device.launch("twice", (1, 1), 32, [given.data.ptr, out.data.ptr])


def test_what_is_on_the_device_is_not_copied(device):
    (given,) = arrays((4, 6))
    there = device.to(given)

    assert there is device.to(there)
    np.testing.assert_array_equal(device.back(there), given)
    for form in (ByInterface, ByDlpack):
        assert there.data.ptr == device.to(form(there)).data.ptr


class ByInterface:
    def __init__(self, array):
        self.__cuda_array_interface__ = array.__cuda_array_interface__


class ByDlpack:
    """An array of a library that passes capsules; here they are what lies in them."""

    def __init__(self, array):
        self._array = array

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream):
        return self._array.__cuda_array_interface__


class OfTheProcessor:
    def __init__(self, array):
        self._array = array

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)


def test_what_is_elsewhere_or_lies_badly_is_copied(device):
    (given,) = arrays((4, 6))
    there = device.to(given)

    np.testing.assert_array_equal(device.to(OfTheProcessor(given)).get(), given)
    for part in (there[:, 1:], there.transpose(), there[::2], device.to(given.ravel())[1:]):
        found = device.to(part)
        assert found.flags.c_contiguous and found.data.ptr % 16 == 0
        np.testing.assert_array_equal(found.get(), part.get())
    for number in (np.float32(2), np.array(3.0), 4.0):
        assert () == device.to(number).shape
        assert number == device.to(number).get()


def test_another_gpu(cupy):
    first, second = Cuda(0), Cuda(1)
    (given,) = arrays((4, 6))
    function, made = program(second, [x], [sg.softmax(x) * 3])

    (found,) = made.on_device([first.to(given)])

    assert 1 == found.device.id
    assert 0 == here().device
    np.testing.assert_allclose(second.back(found), *function(given), rtol=1e-5)


# Functions


def test_results_are_where_arguments_are(on_gpu):
    f = on_gpu([x, v], [x * v, sg.sum(x)])
    a, b = arrays((3, 4), (4,))
    of_numpy = f(a, b)
    of_cupy = f(asarray(a), b)
    assert all(isinstance(each, np.ndarray) for each in of_numpy)
    assert all(isinstance(each, ndarray) for each in of_cupy)
    for ours, other in zip(of_numpy, of_cupy, strict=True):
        np.testing.assert_array_equal(ours, other.get())


def test_variables_are_numpys_whatever_is_given(on_gpu):
    w = sg.variable(np.zeros(4, "float32"), name="w")
    f = on_gpu([v], sg.sum(v * w), updates={w: w + v})
    for given in (np.ones(4, "float32"), asarray(np.ones(4, "float32"))):
        f(given)
    assert isinstance(w.value, np.ndarray) and [2, 2, 2, 2] == w.value.tolist()


def test_what_does_not_fit_is_refused_on_the_device_too(on_gpu):
    f = on_gpu([v], v * 2)
    with pytest.raises(sg.DTypeError, match=r"v is f32.m. and was given float64: that is no safe cast"):
        f(asarray(np.ones(4)))
    with pytest.raises(ShapeError, match="its rank is 2, not 1"):
        f(asarray(np.ones((2, 2), "float32")))


def test_a_program_of_the_processor_refuses_what_lies_on_a_gpu(cupy):
    f = sg.function([v], v * 2)
    with pytest.raises(sg.ArgumentError, match="v lies on a GPU, and this runs on the processor"):
        f(asarray(np.ones(4, "float32")))


def test_without_a_gpu_one_error_says_what_is_missing(monkeypatch):
    devices._device.cache_clear()
    monkeypatch.setattr(cuda, "cupy", None)
    monkeypatch.setattr(cuda, "_WHY", "No module named 'cupy'", raising=False)
    f = sg.function([v], v * 2, options=sg.Options(device="cuda"))
    with pytest.raises(DeviceError, match="needs CuPy: pip install"):
        f(np.ones(4, "float32"))


# The stand-in


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="there is no CuPy")
def test_cupy_has_what_the_stand_in_has():
    real = pytest.importorskip("cupy")

    def names(of, prefix=""):
        for name, part in vars(of).items():
            yield prefix + name
            if isinstance(part, SimpleNamespace):
                yield from names(part, f"{prefix}{name}.")

    for name in names(stand_in()):
        assert functools.reduce(getattr, name.split("."), real) is not None
    for name in FUNCTIONS:
        found = functools.reduce(getattr, name.split("."), real)
        own = cupy_matrices.OWN.get(name, found)
        assert list(inspect.signature(own).parameters) == list(inspect.signature(found).parameters)
    assert "linalg" in inspect.signature(importlib.import_module("cupyx").errstate).parameters
    for ours, theirs in ((ndarray, real.ndarray), (Stream, real.cuda.Stream), (Graph, real.cuda.Graph)):
        public = {name for name in vars(ours) if not name.startswith("_")}
        public -= {"put", "launched", "works", "copied"}
        assert public <= set(dir(theirs))
