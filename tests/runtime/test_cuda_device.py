"""The device "cuda" with no GPU: CuPy is played by a stand-in whose memory is NumPy's and whose GPU is the emulator."""

import ctypes
import functools
import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError, OutOfBoundsError, ShapeError
from symgraph.runtime import cuda, devices, emulator, nvrtc
from symgraph.runtime.cuda import Cuda
from symgraph.runtime.emulator import Emulator
from symgraph.runtime.gpu_program import GpuProgram
from tests.runtime import cupy_matrices

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]


# The stand-in. It has what CuPy 14 documents and no more (docs.cupy.dev/en/stable/reference: ndarray.html, cuda.html,
# kernel.html; user_guide/interoperability.html), but for `cupy.cuda.Module`, which loads a cubin from memory.

PAGE = 512
"""CuPy's pool gives memory in multiples of so many bytes."""


class Chunk:
    """Memory of one device. What is new holds a byte that is a NaN in every float type."""

    def __init__(self, size, device):
        raw = np.empty(size + PAGE, np.uint8)
        self.bytes = raw[-raw.ctypes.data % PAGE :][:size]
        self.ptr, self.size, self.device = self.bytes.ctypes.data, size, device


class Pointer:
    """``cupy.cuda.MemoryPointer``."""

    def __init__(self, chunk, offset):
        self.mem, self.ptr = chunk, chunk.ptr + offset


class Stream:
    """``cupy.cuda.Stream``: launches wait until somebody waits for them."""

    def __init__(self, null=False, non_blocking=False):
        self.waiting, self.captured, self.non_blocking = [], None, non_blocking
        self.ptr = 0 if null else id(self)

    def __enter__(self):
        stack = here().streams.setdefault(here().device, [])
        stack.append(self)
        return self

    def __exit__(self, *_):
        here().streams[here().device].pop()

    def put(self, work):
        (self.waiting if self.captured is None else self.captured).append(work)

    def synchronize(self):
        if self.captured is not None:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")
        while self.waiting:
            self.waiting.pop(0)()

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.captured = []

    def end_capture(self):
        graph, self.captured = Graph(self.captured), None
        return graph


class Graph:
    """``cupy.cuda.Graph``."""

    def __init__(self, works):
        self.works, self.launched = works, 0

    def launch(self, stream=None):
        self.launched += 1
        for work in self.works:
            (stream or current_stream()).put(work)


def here():
    if not hasattr(THREAD, "device"):
        THREAD.device, THREAD.streams = 0, {}
    return THREAD


THREAD = threading.local()
NULL = Stream(null=True)


def current_stream(device_id=-1):
    stack = here().streams.get(here().device if device_id < 0 else device_id)
    return stack[-1] if stack else NULL


class Device:
    """``cupy.cuda.Device``."""

    attributes = MappingProxyType({"MultiProcessorCount": 1})
    compute_capability = "90"

    def __init__(self, id):
        self.id = id

    def __enter__(self):
        self._before, here().device = here().device, self.id
        return self

    def __exit__(self, *_):
        here().device = self._before


class Pool:
    """Memory that is given back is given again on the same stream, before what waits there has run."""

    def __init__(self):
        self.chunks, self.idle = [], {}

    def malloc(self, size):
        size = -(-size // PAGE) * PAGE
        key = here().device, current_stream().ptr, size
        idle = [chunk for chunk in self.idle.get(key, ()) if chunk.users == 0]
        if idle:
            chunk = idle[0]
        else:
            chunk = Chunk(size, here().device)
            self.idle.setdefault(key, []).append(chunk)
            self.chunks.append(chunk)
        chunk.users = 0
        current_stream().put(functools.partial(chunk.bytes.fill, 0xFF))
        return chunk

    def holds(self, address, device):
        return any(x.ptr <= address < x.ptr + x.size and x.device == device for x in self.chunks)


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """``cupy.ndarray``, as far as it is needed: what lies behind is seen by those alone who wait for the stream."""

    copied = 0
    """How many numbers went to the host, or came from there."""

    def __init__(self, shape, dtype=float, memptr=None, strides=None, *, _base=None):
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        chunk = POOL.malloc(size) if memptr is None else memptr.mem
        self.data = memptr or Pointer(chunk, 0)
        chunk.users = getattr(chunk, "users", 0) + 1
        self._raw = np.ndarray(shape, dtype, chunk.bytes, self.data.ptr - chunk.ptr, strides)
        self.base = _base
        for name in ("shape", "dtype", "strides", "ndim", "size", "nbytes", "itemsize"):
            setattr(self, name, getattr(self._raw, name))
        self.flags = SimpleNamespace(c_contiguous=self._raw.flags.c_contiguous)
        self.device = Device(chunk.device)

    def __del__(self):
        self.data.mem.users -= 1

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    @property
    def __cuda_array_interface__(self):
        data = (self.data.ptr if self.size else 0, False)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "version": 3}

    def get(self, stream=None):
        (stream or current_stream()).synchronize()
        ndarray.copied += self.size
        return self._raw.copy()

    def __bool__(self):
        return bool(self._now)

    def __int__(self):
        return int(self._now)

    def __len__(self):
        return len(self._raw)

    def copy(self, order="C"):
        return made(self._now.copy(order), ())

    def astype(self, dtype, copy=True):
        return self if not copy and self.dtype == dtype else made(self._now.astype(dtype), ())

    def view(self, dtype):
        return made(self._raw.view(dtype), (self,))

    def reshape(self, *shape):
        return made(self._now.reshape(*shape), (self,))

    def transpose(self, *axes):
        return made(self._raw.transpose(*axes), (self,))

    def __getitem__(self, key):
        return made(self._now[raw(key)], (self,))

    def __setitem__(self, key, value):
        self._now[raw(key)] = raw(value)

    @property
    def _now(self):
        current_stream().synchronize()
        return self._raw

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or ufunc.__name__ not in FUNCTIONS | cupy_matrices.UFUNCS:
            return NotImplemented
        (out,) = options.pop("out", (None,))
        current_stream().synchronize()
        found = ufunc(*map(raw, inputs), **options, **({} if out is None else {"out": raw(out)}))
        return made(found, ()) if out is None else out

    def __array_function__(self, function, types, inputs, options):
        name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
        if name not in FUNCTIONS:
            return NotImplemented
        current_stream().synchronize()
        own = cupy_matrices.OWN.get(name, function)
        found = own(*map(raw, inputs), **{name: raw(x) for name, x in options.items()})
        arrays = [x for x in inputs if isinstance(x, ndarray)]
        return made_of(found, arrays)


FUNCTIONS = {
    *("matmul", "tensordot", "einsum", "concatenate", "copyto", "empty_like", "may_share_memory"),
    *("broadcast_to", "expand_dims", "reshape", "squeeze", "transpose"),
    *cupy_matrices.SAME,
    *cupy_matrices.OWN,
}
"""The functions of NumPy that are sent on to CuPy's."""


def raw(x):
    """What NumPy computes with; an array of NumPy beside one of CuPy is refused."""
    if isinstance(x, ndarray):
        return x._raw
    if isinstance(x, tuple | list):
        return type(x)(map(raw, x))
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def made(found, sources):
    """What NumPy found: a view of a source, or a new array."""
    for x in sources:
        begin, end = np.lib.array_utils.byte_bounds(x._raw) if x.size else (0, -1)
        at = found.__array_interface__["data"][0]
        if isinstance(found, np.ndarray) and begin <= at <= end and np.may_share_memory(found, x._raw):
            pointer = Pointer(x.data.mem, at - x.data.mem.ptr)
            return ndarray(
                found.shape, found.dtype, pointer, found.strides, _base=x if x.base is None else x.base
            )
    new = ndarray(found.shape, found.dtype)
    current_stream().put(functools.partial(np.copyto, new._raw, np.array(found)))
    return new


def made_of(found, sources):
    if isinstance(found, tuple | list):
        return type(found)([made_of(x, sources) for x in found])
    return made(found, sources) if isinstance(found, np.ndarray | np.generic) else found


def of_raw(function):
    """A function of CuPy's from one of NumPy's arrays."""
    return lambda *arrays, **how: made_of(function(*(x._now for x in arrays), **how), [])


def asarray(x):
    if isinstance(x, ndarray):
        return x if x.device.id == here().device else made(x.get(), ())
    if hasattr(x, "__cuda_array_interface__"):
        return taken(x.__cuda_array_interface__)
    ndarray.copied += np.size(x)
    return made(np.asarray(x), ())


def taken(interface):
    """An array over the memory of another library."""
    at = interface["data"][0]
    chunk = next(x for x in POOL.chunks if x.ptr <= at < x.ptr + x.size)
    return ndarray(interface["shape"], interface["typestr"], Pointer(chunk, at - chunk.ptr))


def from_dlpack(x):
    if x.__dlpack_device__()[0] == 1:
        raise TypeError("CPU arrays cannot be directly imported to CuPy.")
    return taken(x.__dlpack__(stream=1))


class Module:
    """``cupy.cuda.Module``, which takes the text itself for machine code."""

    def load(self, cubin):
        self.emulator = emulated(cubin.decode())

    def get_function(self, name):
        return Function(self.emulator, name)


@functools.cache
def emulated(text):
    return Emulator(text)


class Function:
    """``cupy.cuda.Function``: arguments become ``void**`` now, and are read as the kernel has them later."""

    seed = 0
    launched = 0

    def __init__(self, emulator, name):
        self._name, self._sizes = name, [_size(x) for x in emulator.parameters(name)]
        self._run = emulator._kernel(name).function

    def __call__(self, grid, block, args, shared_mem=0, stream=None):
        Function.launched += 1
        values = [word(x) for x in args]
        assert self._sizes == [x.nbytes for x in values], "a GPU would read something else"
        for x, (size, is_pointer) in zip(values, ((y, y == 8) for y in self._sizes), strict=True):
            if is_pointer and size == 8 and x.dtype == np.uintp and x > 4096:
                assert POOL.holds(int(x), here().device), "an address that is not of this GPU"
        (stream or current_stream()).put(lambda: self._launched(grid, block, shared_mem, values))

    def _launched(self, grid, block, shared, values):
        words = (ctypes.c_void_p * len(values))(*[x.ctypes.data for x in values])
        three = [emulator._three(each) for each in (grid, block)]
        with emulator._LOCK:
            said = self._run(words, *three, shared, Function.seed, ctypes.byref(emulator._stacks()))
        assert said is None, said


def _size(parameter):
    return 8 if parameter.endswith("*") else int(parameter[1:])


def word(x):
    """The bytes of an argument: CuPy goes by its type in Python."""
    kinds = {bool: np.bool_, int: np.int64, float: np.float64}
    if type(x) in kinds:
        return np.array(x, kinds[type(x)])
    if isinstance(x, ndarray):
        return np.array(x.data.ptr, np.uintp)
    if isinstance(x, np.generic):
        return np.array(x)
    raise TypeError(f"Unsupported type {type(x)}")


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


def stand_in():
    return SimpleNamespace(
        __version__="14.2.0",
        ndarray=ndarray,
        empty=ndarray,
        arange=lambda size, dtype: made(np.arange(size, dtype=dtype), ()),
        full=lambda shape, value, dtype: made(np.full(shape, value, dtype), ()),
        asarray=asarray,
        from_dlpack=from_dlpack,
        cuda=SimpleNamespace(
            Device=Device,
            Stream=Stream,
            Module=Module,
            get_current_stream=current_stream,
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                getDeviceCount=lambda: 2,
                driverGetVersion=lambda: 13000,
                runtimeGetVersion=lambda: 13020,
            ),
        ),
    )


POOL = Pool()


def extras():
    """What is beside CuPy."""
    functions = {f.__name__: of_raw(f) for f in (cupy_matrices.solve_triangular, cupy_matrices.lu)}
    linalg = SimpleNamespace(**functions)
    return {
        "cupyx": SimpleNamespace(errstate=cupy_matrices.errstate),
        "cupyx.scipy": SimpleNamespace(linalg=linalg),
        "cupyx.scipy.linalg": linalg,
    }


@pytest.fixture
def cupy(monkeypatch):
    found = stand_in()
    for name, module in extras().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(cuda, "cupy", found)
    monkeypatch.setattr("symgraph.runtime.cubins.folder", lambda: None)
    monkeypatch.setattr(nvrtc, "available", lambda: True)
    monkeypatch.setattr(nvrtc, "version", lambda: "NVRTC of the tests")
    monkeypatch.setattr(nvrtc, "architectures", lambda: (75, 80, 90))
    monkeypatch.setattr(nvrtc, "compiled", lambda text, architecture: text.encode())
    return found


@pytest.fixture
def device(cupy):
    return Cuda()


def arrays(*shapes, dtype="float32"):
    rng = np.random.default_rng(len(shapes))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def program(device, inputs, outputs, **options):
    """A function, and the same on the device."""
    function = sg.function(inputs, outputs)
    return function, GpuProgram(function.plan, device, **options)


def check(device, inputs, outputs, *given, exact=True, **options):
    """The device finds what the processor does; twice, the second time in memory that was used."""
    function, made = program(device, inputs, outputs, **options)
    expected = function(*given)
    for _ in range(2):
        found = made.run(given)
        for ours, want in zip(found, expected, strict=True):
            assert (want.dtype, want.shape) == (ours.dtype, ours.shape)
            if exact:
                np.testing.assert_array_equal(ours, want)
            else:
                np.testing.assert_allclose(ours, want, rtol=1e-5, atol=1e-6)
    return made


x = sg.placeholder("float32", ("n", "m"), name="x")
y = sg.placeholder("float32", ("m", "k"), name="y")
v = sg.placeholder("float32", ("m",), name="v")


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


# Streams and threads


@pytest.fixture
def on_gpu(cupy):
    """Functions on the device, as users have them."""
    devices._device.cache_clear()
    yield lambda *args, **kwargs: sg.function(*args, **kwargs, options=sg.Options(device="cuda"))
    devices._device.cache_clear()


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


def test_streams_have_arenas_of_their_own(device):
    function, made = program(device, [x], [sg.sum(sg.softmax(x) * 2, axis=0)])
    given = arrays((8, 9), (8, 9))
    made.run(given[:1])
    streams = [Stream(non_blocking=True) for _ in given]
    found = []
    for stream, each in zip(streams, given, strict=True):
        with stream:
            found += made.on_device([each])

    assert all(len(stream.waiting) > 2 for stream in streams)
    while any(stream.waiting for stream in streams):
        for stream in streams:
            stream.waiting.pop(0)()
    for stream, each, result in zip(streams, given, found, strict=True):
        np.testing.assert_allclose(result.get(stream), *function(each), rtol=1e-4)


def test_threads(device):
    function, made = program(device, [x], [sg.softmax(x), sg.sum(sg.exp(x), axis=0)])
    wrong = []

    def work(seed):
        given = np.random.default_rng(seed).normal(size=(9, 20)).astype("float32")
        stream = Stream(non_blocking=True)
        with device.current(), stream:
            for _ in range(3):
                for ours, want in zip(made.run([given]), function(given), strict=True):
                    if not np.allclose(ours, want, rtol=1e-5):
                        wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


# Graphs


def test_a_call_is_replayed_where_its_arrays_lie_again(device):
    function, made = program(device, [x], [sg.softmax(x), sg.sum(sg.exp(x), axis=0)], replays=True)
    there = [device.to(each) for each in arrays((9, 20), (9, 20))]
    expected = [function(each.get()) for each in there]
    counts = []
    for turn in range(8):
        before = Function.launched
        found = made.on_device([there[turn % 2]])
        counts.append(Function.launched - before)
        for ours, want in zip(found, expected[turn % 2], strict=True):
            np.testing.assert_allclose(ours.get(), want, rtol=1e-5)
        del found, ours

    assert counts[0] > 0
    assert [0] * 4 == counts[4:], "a graph is one launch of its own"


def test_a_replay_reads_what_is_there_now(device):
    function, made = program(device, [x], [sg.softmax(x)], replays=True)
    first, second = arrays((9, 20), (9, 20))
    there = device.to(first)
    for _ in range(3):
        made.on_device([there])
    there[...] = device.to(second)

    (found,) = made.on_device([there])
    np.testing.assert_allclose(found.get(), *function(second), rtol=1e-5)


def test_a_replay_never_writes_over_a_result_that_somebody_has(device):
    _, made = program(device, [x], [sg.softmax(x)], replays=True)
    there = device.to(arrays((9, 20))[0])
    kept = [made.on_device([there])[0] for _ in range(6)]
    part = made.on_device([there])[0][1:]  # a view holds on to it as well

    assert 6 == len({each.data.ptr for each in kept})
    assert part.base.data.ptr not in {made.on_device([there])[0].data.ptr}


def test_a_replay_tells_of_an_index_out_of_bounds(device):
    i = sg.placeholder("int64", ("j",), name="i")
    function, made = program(device, [v, i], [sg.exp(v)[i] * 2], replays=True)
    (given,) = arrays((4,))
    there, places = device.to(given), device.to(np.array([1, 0]))
    for last in (3, 2, -1, 4, 1, -5, 0):
        places[...] = device.to(np.array([1, last]))
        if -4 <= last < 4:
            (found,) = made.on_device([there, places])
            np.testing.assert_allclose(found.get(), *function(given, np.array([1, last])), rtol=1e-6)
            del found
        else:
            with pytest.raises(OutOfBoundsError, match=f"index {last} is out of bounds"):
                made.on_device([there, places])


def test_what_is_not_launches_alone_is_not_replayed(device):
    made = check(
        device, [x, y], [sg.tanh(sg.exp(x) @ y) + 1, x], *arrays((5, 6), (6, 4)), exact=False, replays=True
    )
    given = [device.to(each) for each in arrays((5, 6), (6, 4))]

    for _ in range(3):
        before = Function.launched
        made.on_device(given)
        assert Function.launched > before


# Errors


def test_an_index_out_of_bounds_names_the_line(device):
    i = sg.placeholder("int64", ("j",), name="i")
    _, made = program(device, [v, i], [sg.exp(v)[i] * 2])

    with pytest.raises(OutOfBoundsError, match=r"test_cuda_device\.py"):
        made.run([*arrays((4,)), np.array([1, 4])])


def test_no_extremum_of_nothing(device):
    _, made = program(device, [x], [sg.max(x, axis=1)])

    with pytest.raises(ShapeError, match=r"test_cuda_device\.py"):
        made.run([np.zeros((3, 0), "float32")])


def test_arrays_that_disagree(device):
    _, made = program(device, [x, y], [x @ y])

    with pytest.raises(ShapeError, match="y is"):
        made.run(arrays((3, 4), (5, 6)))


def test_code_that_the_driver_refuses(device, monkeypatch):
    def load(self, cubin):
        raise CUDADriverError("CUDA_ERROR_NO_BINARY_FOR_GPU")

    monkeypatch.setattr(Module, "load", load)
    _, made = program(device, [x], [sg.exp(x) * 0.375])

    with pytest.raises(
        DeviceError, match=r"driver, for CUDA 13\.0, does not load what NVRTC of the tests compiled"
    ):
        made.run(arrays((3, 4)))


def test_a_library_that_is_not_there(device, monkeypatch):
    def product(*_, **__):
        raise ImportError('Failure finding "libcublasLt.so.13"')

    monkeypatch.setattr(ndarray, "__array_ufunc__", product)
    _, made = program(device, [x, y], [x @ y])

    with pytest.raises(DeviceError, match=r"matmul needs a library that CuPy does not find: .*libcublasLt"):
        made.run(arrays((3, 4), (4, 2)))


# What is missing


def refusing(error):
    def refuse():
        raise CUDARuntimeError(error)

    return refuse


def test_nothing_is_missing(cupy):
    assert cuda.available(1)
    assert cuda.missing() is None


def test_no_cupy(monkeypatch):
    monkeypatch.setattr(cuda, "cupy", None)
    monkeypatch.setattr(cuda, "_WHY", "No module named 'cupy'", raising=False)

    assert not cuda.available()
    with pytest.raises(DeviceError, match=r'"cuda" needs CuPy: pip install "symgraph-compiler\[cuda13\]"'):
        Cuda()

    monkeypatch.setattr(cuda, "_WHY", "libcudart.so.13: cannot open", raising=False)
    assert "cannot be imported here: libcudart.so.13" in cuda.missing()


@pytest.mark.parametrize(
    "runtime, sentence",
    [
        (
            {"getDeviceCount": refusing("cudaErrorInsufficientDriver"), "driverGetVersion": lambda: 0},
            "needs NVIDIA's driver, and there is none on this machine",
        ),
        (
            {"getDeviceCount": refusing("cudaErrorInsufficientDriver"), "driverGetVersion": lambda: 12080},
            "needs a driver for CUDA 13.2, which CuPy is built for; the one here is for 12.8",
        ),
        (
            {"getDeviceCount": refusing("cudaErrorNoDevice")},
            "needs an NVIDIA GPU, and the driver shows none: cudaErrorNoDevice",
        ),
        ({"getDeviceCount": lambda: 0}, "needs a GPU number 0, and there are 0, from 0 on"),
    ],
)
def test_no_driver_and_no_gpu(cupy, runtime, sentence):
    vars(cupy.cuda.runtime).update(runtime)

    assert f'the device "cuda" {sentence}' == cuda.missing()


def test_no_nvrtc(cupy, monkeypatch):
    monkeypatch.setattr(nvrtc, "available", lambda: False)

    assert "needs NVRTC" in cuda.missing()


def test_a_gpu_that_is_too_old(cupy, monkeypatch):
    monkeypatch.setattr(Device, "compute_capability", "70")

    assert "the GPU is of compute capability 7.0" in cuda.missing()


def test_the_bench_runs_without_a_gpu():
    root = Path(__file__).parents[2]
    command = [sys.executable, "bench/gpu.py", "--emulate", "--only", "elementwise", "launch"]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 11 == done.stdout.count(" right\n")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="there is no CuPy")
def test_cupy_has_what_the_stand_in_has():
    real = pytest.importorskip("cupy")

    def names(of, prefix=""):
        for name, x in vars(of).items():
            yield prefix + name
            if isinstance(x, SimpleNamespace):
                yield from names(x, f"{prefix}{name}.")

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
