"""A plan as Python functions of NumPy calls: what runs everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.loops import LoopKernel, Sweep
from symgraph.codegen.lower import arrays_of, lower
from symgraph.codegen.numpy_printer import Printed, View, print_kernel
from symgraph.errors import SymgraphError
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import Array, bind_sizes, run_node, schedule
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.optimizations.plan import Kernel, Plan
from symgraph.options import DEFAULT, Target
from symgraph.runtime.blocks import Space, add_up, arranged, blocks, long_rows


@dataclass(frozen=True, slots=True)
class Function:
    """A printed kernel and what its text became."""

    printed: Printed
    call: Callable[..., None]


class Compiled:
    """A kernel's loops, with the functions for rows that fit into a block and for long ones, made when needed."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.loops = lower(kernel)
        self.params = arrays_of(kernel)
        columns = next((part.loops for part in self.loops.body if isinstance(part, Sweep)), ())
        self.variables = tuple(loop.variable for loop in (*self.loops.rows, *columns))

    @cached_property
    def short(self) -> Function:
        return _function(self.loops, print_kernel(self.loops))

    @cached_property
    def long(self) -> Function:
        return _function(self.loops, print_kernel(self.loops, long=True))


class NumpyProgram:
    """What runs a plan."""

    def __init__(self, plan: Plan, target: Target = DEFAULT) -> None:
        self.plan, self._block = plan, target.block
        self._kernels = {kernel: Compiled(kernel) for kernel in plan.kernels}
        every = [*plan.results, *(x for step in plan.steps for x in step.needs)]
        self._constants = {x: x.attrs.value for x in every if x.op is CONSTANT}  # type: ignore[union-attr]

    @property
    def source(self) -> str:
        """The functions of all kernels."""
        return "\n\n".join(compiled.short.printed.text for compiled in self._kernels.values())

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for arrays that fit the types of what is given; they may share memory with them."""
        given = self.plan.given
        sizes = bind_sizes(given, arrays)
        values: dict[Node, Any] = {**self._constants, **dict(zip(given, arrays, strict=True))}
        with np.errstate(all="ignore"):
            for step in self.plan.steps:
                if isinstance(step, Kernel):
                    self._run(self._kernels[step], values, sizes)
                else:
                    values[step.node] = run_node(step.node, [values[x] for x in step.node.inputs], sizes)
        return [values[x] for x in self.plan.results]

    def _run(self, compiled: Compiled, values: dict[Node, Any], sizes: Mapping[Size, int]) -> None:
        try:
            self._turn(compiled, values, sizes)
        except (SymgraphError, ValueError, IndexError, ArithmeticError, TypeError):
            kernel = compiled.kernel
            known = [x for x in dict.fromkeys(kernel.needs) if x.op is not CONSTANT]
            schedule(kernel.writes, known).run(
                [np.asarray(values[x]) for x in known]
            )  # names the user's line
            raise

    def _turn(self, compiled: Compiled, values: dict[Node, Any], sizes: Mapping[Size, int]) -> None:
        kernel, loops = compiled.kernel, compiled.loops
        arrays = {
            param.name: np.asarray(values[x]) for param, x in zip(loops.reads, compiled.params, strict=True)
        }
        for param, x in zip(loops.writes, kernel.writes, strict=True):
            shape = tuple(evaluate_dim(size, sizes) for size in param.type.shape)
            values[x] = arrays[param.name] = np.empty(shape, param.type.dtype.numpy)
        rows = tuple(evaluate_dim(size, sizes) for size in kernel.rows.values())
        columns = tuple(evaluate_dim(size, sizes) for size in kernel.columns.values())
        space = Space(compiled.variables, rows, columns)
        long = columns and prod(columns) > 2 * self._block
        function = compiled.long if long else compiled.short
        once = tuple(
            arrays[x.access.param.name].reshape(()) if isinstance(x, View) else np.empty((), x.row.numpy)
            for x in function.printed.once
        )
        packed, parts = arranged(function.printed.rows, arrays, space)
        turns: Iterator[Any] = blocks(parts, packed, self._block)
        if long:
            turns = long_rows(function.printed.rows, parts, packed, self._block)
        function.call(once, turns, packed.axes)


def _function(loops: LoopKernel, printed: Printed) -> Function:
    names = {**printed.names, "add_up": add_up}
    exec(compile(printed.text, f"<{loops.name}>", "exec"), names)
    return Function(printed, names[loops.name])
