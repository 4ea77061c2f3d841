"""function(): inputs and outputs compiled to something that is called with arrays."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.api.arguments import as_argument
from symgraph.api.program import OwnValues, Program, as_replacement
from symgraph.api.updates import Updates, as_updates
from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, GraphError
from symgraph.graph.dims import Dim, Size, is_symbol
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node, located, type_symbols
from symgraph.graph.op import as_node
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.origin import describe
from symgraph.graph.structure import flatten, unflatten
from symgraph.graph.text import show
from symgraph.graph.walk import transform
from symgraph.optimizations.report import report
from symgraph.options import USUAL, Options

if TYPE_CHECKING:
    from symgraph.optimizations.plan import Plan
    from symgraph.optimizations.storage import Storage
    from symgraph.runtime.entry import Entry

_OWN = OwnValues()


class CompiledFunction:
    """A compiled program, called with arrays by position or by name; made by ``function``."""

    def __init__(
        self, program: Program, outputs: Any, defaults: Mapping[int, np.ndarray[Any, Any]], name: str
    ) -> None:
        self.name = name
        self._program = program
        self._outputs = outputs
        self._defaults = dict(defaults)
        self._is_single = is_node_or_number(outputs)
        self._positions = {name: i for i, name in enumerate(program.names)}
        self._entry = self._way_in()

    @property
    def graph(self) -> Graph:
        """The program as a graph."""
        return self._program.graph

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs, in the structure they were declared in, as NumPy arrays of the caller's own.

        Raises ArgumentError for a wrong number or name of arguments, DTypeError and ShapeError for one that does not
        fit its placeholder; then no variable has changed.
        """
        values = args if not kwargs and len(args) == len(self._positions) else self._bind(args, kwargs)
        results = self._program.run(values, _OWN)
        if self._entry is not None and self._entry.seen(values):
            self._shorten(self._entry)
        if self._is_single:
            return results[0]
        return unflatten(self._outputs, is_node_or_number, results)

    def _way_in(self) -> Entry | None:
        """What learns to call machine code, if there is any."""
        program = self._program
        return program.executor.entry(
            _Slowly(self),
            lambda: _OWN.kept(program.variables, program.updated),
            single=self._is_single,
            wrap=_wrap(self._outputs),
        )

    def _shorten(self, entry: Entry) -> None:
        """From now on a call begins with what was learned: as Python finds it in the class, this object has its own."""
        if type(self) is CompiledFunction:
            names = {"__call__": staticmethod(entry.call), "__doc__": CompiledFunction.__doc__}
            self.__class__ = type("CompiledFunction", (CompiledFunction,), names)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that a call reads or updates.

        >>> w = variable(np.zeros(2), name="w")
        >>> [each.name for each in function([], w * 2).variables]
        ['w']
        """
        return tuple(self._program.variables)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program and its variables' values to a file; ``load`` makes the function again.

        ``symgraph.save`` writes several functions, which then share their variables.

        Raises FileError.
        """
        FUNCTIONS["__save__"](path, self)

    def __reduce__(self) -> Any:
        """Pickled, and copied deeply, as what ``save`` writes, with the options: it gets variables of its own."""
        return FUNCTIONS["__reduce__"](self)

    def __copy__(self) -> CompiledFunction:
        """Itself: nothing of it changes but its variables, which a shallow copy shares."""
        return self

    def show(self, stage: str = "build") -> str:
        """The program's text, as it was built or as a pass left it: ``f.show("stabilize")``.

        Raises ArgumentError for a pass that there is not.
        """
        stages = {each.name: each.graph for each in self._program.stages}
        if stage not in stages:
            raise ArgumentError(f"there is no pass {stage!r}; the passes are {', '.join(stages)}")
        return show(stages[stage])

    def explain(self) -> str:
        """What the passes did: the time of each, and which rules fired for which lines of the user's; then, for every
        value that one kernel leaves to another, why the two are not one, and which kernels are no machine code."""
        lines = [each for each in (self.plan.explain(), self._program.executor.compiled.explain()) if each]
        return "\n".join([report(self._program.stages), *(["kernels", *lines] if lines else [])])

    @property
    def plan(self) -> Plan:
        """The steps that a call takes: kernels, calls of libraries, views."""
        return self._program.executor.plan

    def to_networkx(self) -> Any:
        """The steps of the plan as a networkx graph: a node for each step, an edge for each value that passes."""
        return self.plan.to_networkx()

    def memory(self, *args: Any, **sizes: int) -> Storage:
        """The memory of a call, before it is made: its peak above arguments, variables and results, the lower bound,
        and who lives where and when; ``memory(...).svg()`` is a picture.

        It takes the arguments of a call, or the symbolic sizes by name.

        >>> x = placeholder("float64", ("n",), name="x")
        >>> f = function([x], tanh(sort(x)) * 2)
        >>> f.memory(n=1000).peak
        8000

        Raises ArgumentError for a size that is missing or not known.
        """
        if args and sizes:
            raise located(ArgumentError("memory() takes the arguments of a call or sizes, not both"), [])
        if args:
            return self._program.storage(self._bind(args, {}))
        return self._program.executor.storage(self._sizes_of(sizes))

    def source(self, target: str | None = None) -> str:
        """The code of the kernels: for "llvm", for "asm" what the processor gets, for "numpy", for "cuda" what a GPU
        is given; for None, what runs.

        Raises ArgumentError for a target that is not known.
        """
        if target not in (None, "llvm", "asm", "numpy", "cuda"):
            raise ArgumentError(f"there is no target {target!r}; the targets are llvm, asm, numpy and cuda")
        return self._program.executor.source(target or self._program.executor.backend)

    def __str__(self) -> str:
        return self.show()

    def __repr__(self) -> str:
        parts = ", ".join(f"{node.name}: {node.type}" for node in self.graph.inputs)
        return f"<compiled function {self.name}({parts})>"

    def _sizes_of(self, sizes: Mapping[str, int]) -> dict[Size, int]:
        inputs = self._program.graph.inputs
        known = {str(size): size for node in inputs for size in sorted(type_symbols(node.type), key=str)}
        if sizes.keys() != known.keys():
            text = f"the sizes of {self._signature()} are {', '.join(known) or 'all known'}"
            raise located(ArgumentError(f"{text}, and memory() was given {', '.join(sizes) or 'none'}"), [])
        for name, value in sizes.items():
            if not isinstance(value, int | np.integer) or value < 0:
                raise located(ArgumentError(f"the size {name} is {value!r}; it must be 0 or more"), [])
        return {known[name]: int(value) for name, value in sizes.items()}

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        names = self._program.names
        if len(args) > len(names):
            raise located(
                ArgumentError(f"{self._signature()} takes {len(names)} arguments and was given {len(args)}"),
                [],
            )
        values: list[Any] = [_MISSING] * len(names)
        values[: len(args)] = args
        for key, value in kwargs.items():
            position = self._positions.get(key)
            if position is None:
                raise located(ArgumentError(f"{self._signature()} has no argument called {key!r}"), [])
            if position < len(args):
                raise located(ArgumentError(f"{self._signature()} was given {key!r} twice"), [])
            values[position] = value
        for i, value in enumerate(values):
            if value is _MISSING:
                values[i] = self._defaults.get(i, _MISSING)
        missing = [i for i, value in enumerate(values) if value is _MISSING]
        if missing:
            rows = [
                (str(node.type), names[i], node.origin) for i in missing for node in [self.graph.inputs[i]]
            ]
            listed = ", ".join(repr(names[i]) for i in missing)
            raise ArgumentError(describe(f"{self._signature()} was given no {listed}", rows))
        return values

    def _signature(self) -> str:
        return f"{self.name}({', '.join(self._program.names)})"


class _Slowly:
    """The call of a function that takes anything; it does not keep the function, which keeps it."""

    def __init__(self, function: CompiledFunction) -> None:
        self._function = weakref.ref(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._function()
        if function is None:
            raise ReferenceError("the compiled function is gone, of which only __call__ was kept")
        return CompiledFunction.__call__(function, *args, **kwargs)


_MISSING: Any = object()


def _wrap(outputs: Any) -> Callable[[tuple[Any, ...]], Any] | None:
    """What makes of the tuple of results what a call gives; None where that is the tuple, or the one in it."""
    is_flat = isinstance(outputs, tuple | list) and all(map(is_node_or_number, outputs))
    if is_node_or_number(outputs) or (is_flat and type(outputs) is tuple):
        return None
    if is_flat and type(outputs) is list:
        return list
    return lambda results: unflatten(outputs, is_node_or_number, list(results))


def function(
    inputs: Sequence[Node],
    outputs: Any,
    updates: Updates = None,
    *,
    givens: Mapping[Node, Any] | None = None,
    defaults: Mapping[Node, Any] | None = None,
    donate: Sequence[Node] = (),
    name: str | None = None,
    options: Options | None = None,
) -> CompiledFunction:
    """Compile a program.

    ``inputs`` are placeholders, or any other nodes, which are then given and not computed. ``outputs`` is a node, a
    tuple, list or dict of nodes, nested, or None. ``updates`` maps variables to the expressions they become after a
    call; outputs and updates all see the values from before it. ``givens`` replaces nodes, intermediate ones too, in
    outputs and updates. ``defaults`` gives values to inputs that a call leaves out; they are copied, and a call that
    passes another value does not change them. ``donate`` names inputs whose arrays a call may overwrite and hand out as
    results; who passes them must not read them again.

    >>> x = placeholder("float64", ("n",), name="x")
    >>> f = function([x], {"twice": 2 * x, "sum": x.sum()})
    >>> f([1.0, 2.0])
    {'twice': array([2., 4.]), 'sum': array(3.)}

    Raises GraphError for inputs that are missing, unused, duplicate or constant, for two updates of one variable, and
    for what is donated and no input or has a default; DTypeError and ShapeError for updates and givens that do not fit
    what they replace.
    """
    inputs = _as_inputs(inputs)
    leaves = _outputs_of(outputs)
    table = as_updates(updates)
    if givens:
        roots = _with_givens([*leaves, *table.values()], givens)
        leaves, values = roots[: len(leaves)], roots[len(leaves) :]
        table = dict(zip(table, values, strict=True))
    name = name or "main"
    _check_donated(inputs, donate, defaults or {})
    program = Program(inputs, leaves, table, name, options or USUAL, donate=donate)
    return CompiledFunction(program, outputs, _defaults_of(inputs, program, defaults or {}), name)


def _as_inputs(inputs: Any) -> list[Node]:
    if isinstance(inputs, Node) or not isinstance(inputs, (list, tuple)):
        raise located(ArgumentError("inputs is a list of nodes: function([x], y)"), [])
    return list(inputs)


def _check_donated(inputs: Sequence[Node], donate: Sequence[Node], defaults: Mapping[Node, Any]) -> None:
    if isinstance(donate, Node) or not isinstance(donate, (list, tuple)):
        raise located(ArgumentError("donate is a list of inputs: donate=[x]"), [])
    known = set(inputs)
    for node in donate:
        if not isinstance(node, Node) or node not in known:
            operands = [node] if isinstance(node, Node) else []
            raise located(GraphError(f"{node!r} is donated, and is not among the inputs"), operands)
        if node in defaults:
            raise located(GraphError(f"the input {node.name!r} is donated, and has a default"), [node])


def is_node_or_number(value: Any) -> bool:
    """Whether a part of a structure is an output."""
    return isinstance(value, (Node, np.ndarray, np.generic, int, float, complex))


def _outputs_of(outputs: Any) -> list[Node]:
    try:
        return [as_node(leaf) for leaf in flatten(outputs, is_node_or_number)]
    except TypeError as error:
        if isinstance(error, ArgumentError) or not error.args:
            raise
        found = error.args[0]
        text = (
            f"outputs are nodes, and tuples, lists and dicts of them; {found!r} is a {type(found).__name__}"
        )
        raise located(ArgumentError(text), []) from None


def _with_givens(roots: list[Node], givens: Mapping[Node, Any]) -> list[Node]:
    for node in givens:
        if not isinstance(node, Node):
            raise located(ArgumentError(f"givens replaces nodes, not {type(node).__name__}"), [])
    replaced = {node: as_replacement(node, value, "givens") for node, value in givens.items()}
    sizes: dict[Size, Dim] = {}
    for node, new in replaced.items():
        sizes |= {a: b for a, b in zip(node.shape, new.shape, strict=True) if is_symbol(a) and a is not b}
    return transform(roots, lambda node: node, replaced, sizes)


def _defaults_of(
    inputs: list[Node], program: Program, defaults: Mapping[Node, Any]
) -> dict[int, np.ndarray[Any, Any]]:
    positions = {node: i for i, node in enumerate(inputs)}
    copied = {}
    for node, value in defaults.items():
        if node not in positions:
            operands = [node] if isinstance(node, Node) else []
            raise located(
                GraphError(f"a default is given for {node!r}, which is not among the inputs"), operands
            )
        i = positions[node]
        copied[i] = np.array(as_argument(value, node, program.names[i]), order="C")
    return copied
