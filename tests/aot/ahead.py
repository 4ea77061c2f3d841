"""Libraries made ahead of time, called in this process, with memory around what they write that they must not touch."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np

from symgraph.aot.library import translated
from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim, solve
from symgraph.runtime.cpu import Loader, host, object_file

_LOADER = Loader()
_NUMBERS = itertools.count()
_MARGIN, _POISON = 256, 0xAB


class Ahead:
    """A compiled function as a library."""

    def __init__(self, function, machine=None, **sizes):
        self.name = f"ahead_{next(_NUMBERS)}"
        self.interface, made = translated(function, self.name, sizes, machine or host())
        _LOADER.load(made.constants.filled(object_file(made.text, host())))
        self._function = ctypes.CFUNCTYPE(ctypes.c_int)(_LOADER.address(self.name))
        self.states = {
            x.name: self._initial(x, variable)
            for x, variable in zip(self.interface.states, self._updated(function), strict=True)
        }

    def __call__(self, *arrays):
        """The status, and the results."""
        what = self.interface
        arrays = [np.array(x, order="C") for x in arrays]
        found = {}
        shapes = [zip(x.type.shape, a.shape, strict=True) for x, a in zip(what.inputs, arrays, strict=True)]
        solve([(dim, size) for pairs in shapes for dim, size in pairs if not isinstance(dim, int)], found)
        return self.with_sizes([found[size] for size in what.sizes], arrays)

    def with_sizes(self, sizes, arrays):
        what, known = self.interface, dict(zip(self.interface.sizes, sizes, strict=True))
        guarded = [Guarded(self._bytes(x, known)) for x in what.outputs]
        memory = Guarded(self.memory(sizes) if min(sizes, default=0) >= 0 else 0)
        words = [ctypes.c_int64(size) for size in sizes]
        pointers = [x.ctypes.data for x in (*arrays, *self.states.values())]
        pointers += [*(x.address for x in guarded), memory.address]
        status = self._function(*words, *map(ctypes.c_void_p, pointers))
        for each in (*guarded, memory):
            each.check()
        if status:
            return status, None
        results = [
            x.numbers(a.type.dtype.numpy, [evaluate_dim(dim, known) for dim in a.type.shape])
            for x, a in zip(guarded, what.outputs, strict=True)
        ]
        return status, results

    def memory(self, sizes):
        asked = self.interface.memory
        if isinstance(asked, int):
            return asked
        function = ctypes.CFUNCTYPE(ctypes.c_int64)(_LOADER.address(f"{self.name}_memory"))
        return function(*(ctypes.c_int64(size) for size in sizes))

    def _bytes(self, x, known):
        """Of a result; none where sizes do not fit together."""
        try:
            sizes = [max(evaluate_dim(dim, known), 0) for dim in x.type.shape]
        except ShapeError:
            return 0
        return int(np.prod(sizes, dtype=np.int64)) * x.type.dtype.numpy.itemsize

    def _initial(self, x, variable):
        value = variable.value
        address = _LOADER.address(f"{self.name}_initial_{x.name}")
        begin = (ctypes.c_char * max(value.nbytes, 1)).from_address(address)
        found = np.frombuffer(begin, np.uint8, value.nbytes).view(value.dtype).reshape(value.shape).copy()
        assert found.tobytes() == value.tobytes()
        return found

    @staticmethod
    def _updated(function):
        return [update.variable for update in function.graph.updates]


class Guarded:
    """Memory between margins, not at the beginning of a line of the cache."""

    def __init__(self, size):
        self._size = size
        self._bytes = np.full(size + 2 * _MARGIN + 8, _POISON, np.uint8)

    @property
    def address(self):
        return self._bytes.ctypes.data + _MARGIN + 8

    def check(self):
        assert (self._bytes[: _MARGIN + 8] == _POISON).all(), "written before"
        assert (self._bytes[_MARGIN + 8 + self._size :] == _POISON).all(), "written behind"

    def numbers(self, dtype, shape):
        inside = self._bytes[_MARGIN + 8 : _MARGIN + 8 + self._size].copy()
        return inside.view(dtype).reshape(shape)
