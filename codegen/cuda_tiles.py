"""Kernels that read arrays across their rows, in CUDA C: tiles of them are turned in shared memory.

::

    for each tile of 32 x 32 numbers (of the loop that the array's neighbours follow, and of the last loop):
        the threads read the tile, neighbours along the array
        the threads compute what the tile is needed for, neighbours along the last loop

Memory gives whole lines at a time, and either half alone would use one number of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from symgraph.codegen.cuda_body import c_type
from symgraph.codegen.cuda_forms import BLOCK, WARP
from symgraph.codegen.cuda_statements import Statements
from symgraph.codegen.llvm_transposes import turned

SIDE = WARP
"""Numbers of a tile, down and across."""


class Tiles(Statements):
    """The loops over tiles; blocks take turns at them."""

    def write(self) -> None:
        body, turning = self._body, turned(self._kernel, self._layout)
        assert turning is not None
        self._do(self._kernel.once)
        body.emit(f"const int lane = threadIdx.x % {WARP};")
        names = {access: f"{self.names[access.param]}_tile{n}" for n, access in enumerate(turning.arrays)}
        for access, name in names.items():
            # a number more in each row: else a column would lie in one bank
            body.emit(f"__shared__ {c_type(self._rows_of[access.param])} {name}[{SIDE}][{SIDE + 1}];")
        loop, last = turning.loop, self._last
        others = [n for n in range(last) if n != loop]
        across, along = (f"(n{n} + {SIDE - 1}) / {SIDE}" for n in (loop, last))
        counts = [*(f"n{n}" for n in others), f"({across})", f"({along})"]
        head = f"for ({self._integer} p = blockIdx.x; p < {' * '.join(counts)}; p += gridDim.x)"
        with body.nested(head), self._scoped():
            self._stand("p", [*others, loop, last], counts)
            begin = {n: self._line("i", f"{self._index[n]} * {SIDE}") for n in (loop, last)}
            with self._half({loop: f"{begin[loop]} + lane", last: f"{begin[last]} + k"}):
                for access, name in names.items():
                    body.emit(f"{name}[k][lane] = {self._place(access)};")
            body.emit("__syncthreads();")
            with self._half({loop: f"{begin[loop]} + k", last: f"{begin[last]} + lane"}):
                self._read |= {access: f"{name}[lane][k]" for access, name in names.items()}
                self._do(self._of_elements)
            body.emit("__syncthreads();")

    @contextmanager
    def _half(self, index: dict[int, str]) -> Iterator[None]:
        """The numbers of a tile, a row of it for each warp at a time."""
        body = self._body
        inside = " && ".join(f"{x} < n{n}" for n, x in index.items())
        with (
            body.nested(f"for (int k = threadIdx.x / {WARP}; k < {SIDE}; k += {BLOCK // WARP})"),
            body.nested(f"if ({inside})"),
            self._scoped(),
        ):
            self._index |= {n: f"({x})" for n, x in index.items()}
            yield
