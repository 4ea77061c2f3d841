"""CuPy, played with no GPU: its memory is NumPy's, and its GPU is the emulator.

The stand-in has what CuPy 14 documents and no more (docs.cupy.dev/en/stable/reference: ndarray.html, cuda.html,
kernel.html; user_guide/interoperability.html), but for `cupy.cuda.Module`, which loads a cubin from memory.
"""

import ctypes
import functools
import threading
from types import MappingProxyType, SimpleNamespace

import numpy as np

from symgraph.runtime import emulator
from symgraph.runtime.emulator import Emulator
from tests.runtime import cupy_matrices

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
