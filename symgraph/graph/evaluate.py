"""The meaning of a graph: one NumPy call for each node. Slow, plain, and what everything else is tested against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import DTypeError, GraphError, OutOfBoundsError, RunError, ShapeError, SymgraphError
from symgraph.graph.binding import bind, evaluate_dim, solve
from symgraph.graph.dims import Size, is_symbol
from symgraph.graph.node import Node
from symgraph.graph.op import PLACEHOLDER, VARIABLE, as_node
from symgraph.graph.origin import describe
from symgraph.graph.types import TupleType
from symgraph.graph.walk import expand, leaves, toposort

Array = np.ndarray[Any, Any]
Attributes = Callable[[Mapping[Size, int]], Mapping[str, Any]]
"""An op's attributes by keyword, once sizes are known."""


class Step(NamedTuple):
    """One node to run: where its inputs lie, where its result goes, which values are not needed after it."""

    node: Node
    inputs: tuple[int, ...]
    slot: int
    dead: tuple[int, ...]
    attributes: Attributes


class Schedule(NamedTuple):
    """The steps that compute ``results`` from ``given``."""

    given: tuple[Node, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    slots: int

    def run(self, arrays: Sequence[Array], *, watch: bool = False) -> list[Array]:
        """The results, for arrays that fit the types of ``given``; they may share memory with them.

        Raises ShapeError when the arrays disagree about a size, OutOfBoundsError, RunError and ShapeError with the
        user's line when a step fails, RunError at the first NaN when ``watch`` is set, in loops and branches too.
        """
        if not watch or _WATCHED.get():
            return self._run(arrays, _WATCHED.get())
        with _watching():
            return self._run(arrays, True)

    def _run(self, arrays: Sequence[Array], watch: bool) -> list[Array]:
        sizes = bind_sizes(self.given, arrays)
        values: list[Any] = [*arrays, *[None] * (self.slots - len(arrays))]
        with np.errstate(all="ignore"):
            for step in self.steps:
                inputs = [values[slot] for slot in step.inputs]
                assert step.node.op.numpy is not None
                values[step.slot] = run_node(step.node, step.node.op.numpy, inputs, step.attributes, sizes)
                if watch:
                    _refuse_nan(step.node, values[step.slot], inputs)
                for slot in step.dead:
                    values[slot] = None
        return [values[slot] for slot in self.results]


_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)


@contextmanager
def _watching() -> Iterator[None]:
    """What runs inside, as the meaning of a step, looks for NaN too."""
    token = _WATCHED.set(True)
    try:
        yield
    finally:
        _WATCHED.reset(token)


def schedule(outputs: Iterable[Node], given: Iterable[Node]) -> Schedule:
    """How to compute the outputs from given nodes; composites run as their bodies.

    Raises GraphError when an output needs a placeholder or variable that is not given.
    """
    given = tuple(given)
    outputs = tuple(outputs)
    stop = set(given)
    bodies: dict[Node, Node] = {}

    def needs(node: Node) -> tuple[Node, ...]:
        if node.op.numpy is not None or node.op.body is None:
            return node.deps
        if node not in bodies:
            bodies[node] = expand(node)
        return (bodies[node],)

    def computed(node: Node) -> Node:
        while node in bodies:
            node = bodies[node]
        return node

    order = [node for node in toposort(outputs, stop, needs) if node not in bodies]
    slots = {node: slot for slot, node in enumerate(given)}
    keep = {computed(node) for node in outputs}
    last_use = {computed(x): node for node in order for x in node.inputs}
    steps = []
    for node in order:
        if node in slots:
            continue
        if node.op in (PLACEHOLDER, VARIABLE):
            rows = [(str(node.type), node.name or "", node.origin)]
            raise GraphError(describe(f"no value is given for {node.name!r}", rows))
        inputs = tuple(computed(x) for x in node.inputs)
        slots[node] = len(slots)
        dead = {x for x in inputs if last_use[x] is node and x not in keep and x not in stop}
        places, free = tuple(slots[x] for x in inputs), tuple(slots[x] for x in dead)
        steps.append(Step(node, places, slots[node], free, attributes_of(node)))
    results = tuple(slots[computed(node)] for node in outputs)
    return Schedule(given, tuple(steps), results, len(slots))


def evaluate(outputs: Any, feed: Mapping[Node, Any] | None = None) -> Any:
    """The value of a node, or of each in a list or tuple, one NumPy call for each op.

    ``feed`` gives arrays for placeholders, or for any other node; variables have their own values. This is the
    definition that compiled programs are compared with; it is not fast.

    >>> evaluate(as_node(2.0))
    array(2.)

    Raises GraphError for a missing value, DTypeError and ShapeError for one that does not fit.
    """
    many = isinstance(outputs, (list, tuple))
    nodes = [as_node(node) for node in (outputs if many else [outputs])]
    given = {node: _as_fed(node, value) for node, value in (feed or {}).items()}
    given.update((node, value) for node, value in variable_values(nodes).items() if node not in given)
    values = [_owned(value) for value in schedule(nodes, given).run(list(given.values()))]
    if hasattr(outputs, "_fields"):
        return type(outputs)(*values)
    return type(outputs)(values) if many else values[0]


def variable_values(nodes: Iterable[Node]) -> dict[Node, Array]:
    """The values that the variables among the leaves of these nodes have now."""
    return {node: node.value for node in leaves(nodes) if node.op is VARIABLE and hasattr(node, "value")}


def _as_fed(node: Node, value: Any) -> Array:
    array = np.asarray(value)
    if array.size and not np.can_cast(array.dtype, node.dtype, "same_kind"):
        rows = [(str(node.type), node.name or "", node.origin)]
        raise DTypeError(
            describe(f"{node.name or 'a fed node'} is {node.type} and was given {array.dtype}", rows)
        )
    return array.astype(node.dtype, copy=False)


def _owned(value: Any) -> Any:
    return tuple(map(np.array, value)) if isinstance(value, tuple) else np.array(value)


def bind_sizes(nodes: Sequence[Node], arrays: Sequence[Array]) -> dict[Size, int]:
    """The value of every symbolic size that the arrays decide; raises ShapeError naming the argument that disagrees."""
    sizes: dict[Size, int] = {}
    equations = []
    for node, array in zip(nodes, arrays, strict=True):
        shape = node.tensor.shape
        if len(shape) != array.ndim:
            raise _misfit(node, array, f"its rank is {array.ndim}, not {len(shape)}")
        try:
            bind(shape, array.shape, sizes)
        except ShapeError as error:
            raise _misfit(node, array, str(error)) from None
        equations += [
            (dim, size)
            for dim, size in zip(shape, array.shape, strict=True)
            if isinstance(dim, Size) and not is_symbol(dim)
        ]
    try:
        solve(equations, sizes)
    except ShapeError as error:
        rows = [(str(node.type), node.name or "", node.origin) for node in nodes]
        raise ShapeError(describe(str(error), rows)) from None
    return sizes


def _misfit(node: Node, array: Array, why: str) -> ShapeError:
    rows = [(str(node.type), node.name or "", node.origin)]
    what = f"{node.name or 'a fed node'} is {node.type} and was given an array of shape {array.shape}"
    return ShapeError(describe(f"{what}: {why}", rows))


_MOST_KNOWN = 64
"""For how many sizes the attributes of one node are remembered."""


def attributes_of(node: Node) -> Attributes:
    """How the attributes of a node's op follow from sizes."""
    attrs = node.attrs
    if attrs is None:
        return lambda sizes: {}
    wanted = tuple(attrs.symbols())
    if not wanted:
        fixed = attrs.fields()
        return lambda sizes: fixed
    known: dict[tuple[int | None, ...], dict[str, Any]] = {}

    def found(sizes: Mapping[Size, int]) -> dict[str, Any]:
        key = tuple([sizes.get(size) for size in wanted])
        if key not in known:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[key] = attrs.map_sizes(lambda size: evaluate_dim(size, sizes)).fields()
        return known[key]

    return found


def run_node(
    node: Node,
    meaning: Callable[..., Any],
    inputs: Sequence[Array],
    attributes: Attributes,
    sizes: dict[Size, int],
) -> Any:
    """What ``meaning`` makes of the inputs; sizes that the data decide are added to ``sizes``.

    Raises ShapeError, OutOfBoundsError or RunError with the user's line.
    """
    try:
        value = meaning(*inputs, **attributes(sizes))
        if node.op.binds_sizes:
            _bind_results(node, value, sizes)
    except (ValueError, IndexError, ArithmeticError, TypeError) as error:
        raise _step_error(node, inputs, error) from error
    return value


def _bind_results(node: Node, value: Any, sizes: dict[Size, int]) -> None:
    pairs = (
        zip(node.type.items, value, strict=True)
        if isinstance(node.type, TupleType)
        else [(node.tensor, value)]
    )
    for type, array in pairs:
        bind(type.shape, array.shape, sizes)


def _step_error(node: Node, inputs: Sequence[Array], error: Exception) -> SymgraphError:
    kinds = {IndexError: OutOfBoundsError, ValueError: ShapeError}
    kind = next((ours for theirs, ours in kinds.items() if isinstance(error, theirs)), RunError)
    if isinstance(error, SymgraphError):
        kind = type(error)
    shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs if isinstance(x, np.ndarray | np.generic))
    rows = [(str(x.type), x.name or "", x.origin) for x in node.inputs]
    rows.append((str(node.type), node.op.name, node.origin))
    return kind(describe(f"{node.op.name}({shapes}): {error}", rows))


def _refuse_nan(node: Node, value: Any, inputs: Sequence[Array]) -> None:
    if _has_nan(value) and not any(_has_nan(x) for x in inputs):
        rows = [(str(node.type), node.op.name, node.origin)]
        raise RunError(describe(f"{node.op.name} made the first NaN", rows))


def _has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    return value.dtype.kind in "fcV" and bool(np.isnan(value).any())
