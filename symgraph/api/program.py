"""Program: an optimised graph and what runs it, on arrays and on variables that a store holds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from symgraph.api.arguments import as_argument
from symgraph.api.variable import Variable
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.graph.dims import same
from symgraph.graph.evaluate import Array, bind_sizes
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.node import Node, located, type_symbols
from symgraph.graph.op import CONSTANT, PLACEHOLDER, as_node
from symgraph.graph.trace import stand_in
from symgraph.graph.walk import substitute
from symgraph.optimizations.pipeline import Stage, optimize
from symgraph.options import Options
from symgraph.runtime.executor import Executor, shelf_of
from symgraph.runtime.kept import Kept, places_of
from symgraph.runtime.memory import is_own

if TYPE_CHECKING:
    from symgraph.optimizations.storage import Storage
    from symgraph.runtime.recalled import Shelf


_KEPT = 64
"""How many shapes of arguments a program remembers."""


class Store(Protocol):
    """Where the values of variables live: with the variables themselves, or in a session.

    What is read together was written together.
    """

    def read(self, variables: Sequence[Variable]) -> list[Array]: ...
    def write(self, values: Mapping[Variable, Array]) -> None: ...


class Program:
    """What a function or one fetch of a session runs: outputs and updates from the values before the call."""

    def __init__(
        self,
        inputs: Sequence[Node],
        outputs: Iterable[Node],
        updates: Mapping[Node, Node],
        name: str,
        options: Options,
        *,
        unused_inputs: bool = False,
        donate: Sequence[Node] = (),
    ) -> None:
        outputs = list(outputs)
        stands = _stand_ins(inputs)
        self.graph = _graph(inputs, stands, outputs, updates, name)
        while more := _default_updates(self.graph):
            updates = {**updates, **more}
            self.graph = _graph(inputs, stands, outputs, updates, name)
        self.names = [node.name or node.op.name for node in inputs]
        self.options = options
        if not unused_inputs:
            _refuse_unused(self.graph, inputs)
        self.variables = [_owned(node) for node in self.graph.variables()]
        self._passes = _Passes(self.graph, options)
        shelf = None if donate else shelf_of(self.graph, options)
        self.updated = [_owned(update.variable) for update in self._passes.updates(shelf)]
        self._locks = [variable.lock for variable in sorted(self.updated, key=id)]
        spent = set(donate)
        donated = {stand for node, stand in zip(inputs, stands, strict=True) if node in spent}
        self._dtypes = [stand.dtype for stand in stands]
        self._fitting: set[tuple[tuple[int, ...], ...]] = set()
        given = [*stands, *self.variables]
        steady = set(self.variables) - set(self.updated)
        self.executor = Executor(self._passes.result, given, options, donated, steady, shelf)

    @property
    def stages(self) -> list[Stage]:
        """The graph as it was built, and as each pass left it."""
        return self._passes.stages

    def run(self, values: Sequence[Any], store: Store) -> list[Array]:
        """The outputs, none sharing memory with a variable, another output or an argument that is not donated.

        Variables are written after everything has been computed: a call that fails changes nothing.
        """
        given = self._arguments(values)
        if not self._locks:
            return self._computed(given, store)
        with contextlib.ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            results = self._computed(given, store)
            count = len(self.graph.outputs)
            own = [_as_own(self.executor.home(x)) for x in results[count:]]
            new = dict(zip(self.updated, own, strict=True))
            _check_sizes(new)
            store.write(new)
        return results[:count]

    def _computed(self, given: list[Array], store: Store) -> list[Array]:
        """The outputs, and the new values of variables."""
        return self.executor.run(given + store.read(self.variables) if self.variables else given)

    def storage(self, values: Sequence[Any]) -> Storage:
        """Where the values of a call with these arguments lie."""
        return self.executor.storage(bind_sizes(self.graph.inputs, self._arguments(values)))

    def _arguments(self, values: Sequence[Any]) -> list[Array]:
        """The values as arrays that fit the inputs; arrays of shapes that were seen to fit are taken as they are."""
        shapes = []
        for value, wanted in zip(values, self._dtypes, strict=True):
            if type(value) is not np.ndarray or value.dtype is not wanted:
                break
            shapes.append(value.shape)
        else:
            if tuple(shapes) in self._fitting:
                return list(values)
        arrays = [
            as_argument(value, node, name, self.executor.of_device)
            for value, node, name in zip(values, self.graph.inputs, self.names, strict=True)
        ]
        if len(self._fitting) >= _KEPT:
            self._fitting.clear()
        self._fitting.add(tuple([array.shape for array in arrays]))
        return arrays


class _Passes:
    """What the passes make of a program, once that is asked for: nobody asks for what another process has planned."""

    def __init__(self, program: Graph, options: Options) -> None:
        self._program, self._options = program, options

    @cached_property
    def stages(self) -> list[Stage]:
        return optimize(self._program, self._options)

    def result(self) -> Graph:
        return self.stages[-1].graph

    def updates(self, shelf: Shelf | None) -> Sequence[Update]:
        """Those that are left; a shelf gets to know them, or tells of them."""
        own = self._program.updates
        if shelf is not None and shelf.updates is not None:
            return [own[n] for n in shelf.updates]
        left = self.result().updates
        if shelf is not None:
            places = {update.variable: n for n, update in enumerate(own)}
            shelf.updates = [places[update.variable] for update in left]
        return left


class OwnValues:
    """The store in which each variable keeps its own value."""

    _guard = threading.Lock()

    def read(self, variables: Sequence[Variable]) -> list[Array]:
        with self._guard:
            return [variable._array for variable in variables]

    def write(self, values: Mapping[Variable, Array]) -> None:
        with self._guard:
            for variable, array in values.items():
                variable._array = array

    def kept(self, read: Sequence[Variable], updated: Sequence[Variable]) -> tuple[list[Array], Kept | None]:
        """The arrays of what is read, and where machine code finds them and writes those of what is updated; None for
        that where it cannot."""
        arrays, old = self.read(read), self.read(updated)
        places, written = places_of(read, arrays), places_of(updated, old)
        if places is None or written is None:
            return arrays, None
        guard = self._guard.locked if len(places) > 1 or written else None
        locks = [variable.lock for variable in updated]

        def write(new: Sequence[Array]) -> None:
            self.write(dict(zip(updated, new, strict=True)))

        return arrays, Kept(places, written, guard, locks, write, [*read, *updated])


def _stand_ins(inputs: Sequence[Node]) -> list[Node]:
    """Placeholders for the inputs: themselves, or for any other node one of its type."""
    stands = []
    for i, node in enumerate(inputs):
        if not isinstance(node, Node):
            raise GraphError(f"inputs are nodes, and input {i} is {type(node).__name__}")
        if node.op is CONSTANT:
            raise located(GraphError("a constant cannot be an input"), [node])
        stands.append(node if node.op is PLACEHOLDER else stand_in(f"_fed_{i}", node.tensor))
    if len(set(map(id, inputs))) < len(inputs):
        twice = next(node for i, node in enumerate(inputs) if any(node is other for other in inputs[:i]))
        raise located(GraphError(f"the input {twice.name or twice.op.name!r} is given twice"), [twice])
    return stands


def _graph(
    inputs: Sequence[Node],
    stands: Sequence[Node],
    outputs: list[Node],
    updates: Mapping[Node, Node],
    name: str,
) -> Graph:
    """The graph of roots in which placeholders stand for the inputs."""
    roots = [*outputs, *updates.values()]
    if any(stand is not node for node, stand in zip(inputs, stands, strict=True)):
        roots = substitute(roots, dict(zip(inputs, stands, strict=True)))
    count = len(outputs)
    return graph(stands, roots[:count], dict(zip(updates, roots[count:], strict=True)), name=name)


def _default_updates(made: Graph) -> dict[Node, Node]:
    """What variables become of themselves that are read and have no update."""
    updated = {update.variable for update in made.updates}
    return {
        node: node.default_update
        for node in made.variables()
        if isinstance(node, Variable) and node.default_update is not None and node not in updated
    }


def _refuse_unused(made: Graph, inputs: Sequence[Node]) -> None:
    nodes = set(made.nodes())
    sizes = made.free_sizes()
    for node, stand in zip(inputs, made.inputs, strict=True):
        if stand not in nodes and not (type_symbols(stand.type) & sizes):
            text = f"no output or update depends on the input {node.name or node.op.name!r}; leave it out"
            raise located(GraphError(text), [node])


def _owned(node: Node) -> Variable:
    if not isinstance(node, Variable):
        raise located(
            GraphError(f"the variable {node.name!r} has no value; give one with sg.variable"), [node]
        )
    return node


def _as_own(array: Array) -> Array:
    """The array, or a copy where it lies in what a caller has given up."""
    return array if is_own(array) else array.copy()


def _check_sizes(new: Mapping[Variable, Array]) -> None:
    for variable, array in new.items():
        if array.shape != variable.shape:
            text = f"the variable {variable.name!r} is {variable.type} and its update has shape {array.shape}"
            raise located(ShapeError(text), [variable])


def as_replacement(node: Node, value: Any, what: str) -> Node:
    """``value`` as a node that can stand where ``node`` stood; raises DTypeError and ShapeError otherwise."""
    new = as_node(value, node.row)
    if new.row is not node.row:
        raise located(
            DTypeError(f"{what} replaces {node.type} by {new.type}; dtypes must agree"), [node, new]
        )
    pairs = zip(node.shape, new.shape, strict=False)
    if new.ndim != node.ndim or any(same(a, b) is False for a, b in pairs):
        raise located(
            ShapeError(f"{what} replaces {node.type} by {new.type}; shapes must agree"), [node, new]
        )
    return new
