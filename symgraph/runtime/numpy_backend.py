"""A plan as Python functions of NumPy calls: what runs everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgraph.codegen.loops import LoopKernel
from symgraph.codegen.lower import arrays_of, lower
from symgraph.codegen.numpy_printer import Printed, View, print_kernel
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


@dataclass(frozen=True, slots=True)
class Compiled:
    """A kernel's loops with the functions for rows that fit into a block, and for long ones."""

    kernel: Kernel
    loops: LoopKernel
    params: tuple[Node, ...]
    short: Function
    long: Function | None


class NumpyProgram:
    """What runs a plan."""

    def __init__(self, plan: Plan, target: Target = DEFAULT) -> None:
        self.plan, self._block = plan, target.block
        self._kernels = {kernel: _compiled(kernel) for kernel in plan.kernels}
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
        kernel, loops = compiled.kernel, compiled.loops
        arrays = {
            param.name: np.asarray(values[x]) for param, x in zip(loops.reads, compiled.params, strict=True)
        }
        for param, x in zip(loops.writes, kernel.writes, strict=True):
            shape = tuple(evaluate_dim(size, sizes) for size in param.type.shape)
            values[x] = arrays[param.name] = np.empty(shape, param.type.dtype.numpy)
        rows = tuple(evaluate_dim(size, sizes) for size in kernel.rows.values())
        columns = tuple(evaluate_dim(size, sizes) for size in kernel.columns.values())
        variables = tuple(loop.variable for loop in (*loops.rows, *_columns(loops)))
        space = Space(variables, rows, columns)
        long = compiled.long if compiled.long is not None and prod(columns) > 2 * self._block else None
        function = long or compiled.short
        once = tuple(
            arrays[x.access.param.name].reshape(()) if isinstance(x, View) else np.empty((), x.row.numpy)
            for x in function.printed.once
        )
        try:
            packed, parts = arranged(function.printed.rows, arrays, space)
            if long is not None:
                turns: Any = long_rows(function.printed.rows, parts, packed, self._block)
            else:
                turns = blocks(parts, packed, self._block)
            function.call(once, turns, packed.axes)
        except (ValueError, IndexError, ArithmeticError, TypeError):
            known = [x for x in dict.fromkeys(kernel.needs) if x.op is not CONSTANT]
            schedule(kernel.writes, known).run([values[x] for x in known])  # which names the user's line
            raise


def _compiled(kernel: Kernel) -> Compiled:
    loops = lower(kernel)
    short = _function(loops, print_kernel(loops))
    long = _function(loops, print_kernel(loops, long=True)) if _columns(loops) else None
    return Compiled(kernel, loops, arrays_of(kernel), short, long)


def _function(loops: LoopKernel, printed: Printed) -> Function:
    names = {**printed.names, "add_up": add_up}
    exec(compile(printed.text, f"<{loops.name}>", "exec"), names)
    return Function(printed, names[loops.name])


def _columns(loops: LoopKernel) -> tuple[Any, ...]:
    return next((part.loops for part in loops.body if hasattr(part, "loops")), ())
