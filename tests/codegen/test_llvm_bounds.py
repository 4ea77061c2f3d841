"""Nothing beside an array is read or written: each lies next to memory that nobody may touch."""

import ctypes
import mmap
import os

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.graph.evaluate import bind_sizes, schedule
from symgraph.optimizations.plan import plan
from symgraph.runtime.memory import Arena
from symgraph.runtime.native import NativeKernel
from tests.codegen.test_llvm_kernels import ONE, rows_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pages are protected by mprotect")
PAGE = mmap.PAGESIZE


class Guarded:
    """Arrays between pages that nobody may read or write, at the end of the pages before one or at the beginning."""

    def __init__(self):
        self.maps = []

    def array(self, shape, dtype, at_end):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        pages = max(1, -(-size // PAGE))
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (start, start + (pages + 1) * PAGE):
            assert protect(page, PAGE, 0) == 0
        self.maps.append(memory)
        offset = PAGE + (pages * PAGE - size if at_end else 0)
        whole = np.frombuffer(memory, np.uint8)[PAGE : (pages + 1) * PAGE]
        whole[...] = 0xA5
        return whole, np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 2, 16), (5, 1, 33), (2, 70, 3), (0, 2, 2)])
@pytest.mark.parametrize("name", ONE)
def test_no_byte_beside(name, shape, at_end):
    for dtype in ("float32", "float64", "float16"):
        x = sg.placeholder(dtype, ("n", "m", "k"), name="x")
        planned = plan(sg.function([x], ONE[name](x))._program.stages[-1].graph, [x])
        array = rows_of(shape, dtype)
        for kernel in planned.kernels:
            native, guarded = NativeKernel(kernel), Guarded()
            try:
                known = schedule([*kernel.needs, *kernel.writes], [x]).run([array])
            except sg.SymgraphError:
                continue
            values = dict(zip((*kernel.needs, *kernel.writes), known, strict=True))
            sizes = bind_sizes([x, *values], [array, *values.values()])
            lying, wholes = [], []
            for node in native.nodes:
                whole, found = guarded.array(values[node].shape, node.dtype, at_end)
                if node not in set(kernel.writes):
                    found[...] = values[node]
                wholes.append((whole, found))
                lying.append(found)
            _, bytes_ = guarded.array((native.needs(sizes).room or 1,), np.uint8, at_end)
            native.call(lying, sizes, 0)(lying, Arena(bytes_))
            for whole, found in wholes:
                beside = len(whole) - found.nbytes
                rest = whole[:beside] if at_end else whole[found.nbytes :]
                assert (rest == 0xA5).all()
            for node, found in zip(native.nodes, lying, strict=True):
                if found.dtype.itemsize > 2:
                    np.testing.assert_allclose(found, values[node], rtol=1e-4, atol=1e-4)
