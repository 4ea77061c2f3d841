"""A Python callable becomes an inner graph, and what it reads from outside becomes further inputs."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from symgraph.graph.graph import Graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, PLACEHOLDER, PlaceholderAttrs
from symgraph.graph.types import TensorType
from symgraph.graph.walk import substitute, toposort

_depth = threading.local()


@contextmanager
def arguments(types: Sequence[TensorType]) -> Iterator[list[Node]]:
    """Placeholders to call a user's function with; nested calls get others, equal calls get the same."""
    level = getattr(_depth, "level", 0)
    _depth.level = level + 1
    try:
        yield [stand_in(f"_{level}_{i}", type) for i, type in enumerate(types)]
    finally:
        _depth.level = level


def stand_in(name: str, type: TensorType) -> Node:
    """A placeholder by a name that users cannot give."""
    return make(PLACEHOLDER, (), PlaceholderAttrs(name, type))


class Names:
    """Placeholders by names that none of some others has."""

    def __init__(self, taken: Iterable[Node]) -> None:
        self._taken = {x.name for x in taken}

    def stand(self, kind: str, type: TensorType) -> Node:
        n = next(n for n in range(len(self._taken) + 1) if f"_{kind}_{n}" not in self._taken)
        self._taken.add(f"_{kind}_{n}")
        return stand_in(f"_{kind}_{n}", type)


class Capture(NamedTuple):
    """``roots`` in terms of the inputs, constants and ``stands``, which stand for the ``outer`` nodes."""

    outer: tuple[Node, ...]
    stands: tuple[Node, ...]
    roots: tuple[Node, ...]


def capture(inputs: Sequence[Node], outputs: Sequence[Node], made: Container[Node] = ()) -> Capture:
    """Cut the outputs off from everything outside: what does not depend on the inputs, constants aside.

    What was ``made`` inside is inside too.
    """
    inside = set(inputs)
    outer: dict[Node, None] = {}
    for node in toposort(outputs, stop=inside.copy()):
        if node in inside or not node.deps:
            continue
        if node in made or any(x in inside for x in node.deps):
            inside.add(node)
            outer.update((x, None) for x in node.inputs if x not in inside and x.op is not CONSTANT)
    outer.update((x, None) for x in outputs if x not in inside and x.op is not CONSTANT)
    stands = tuple(stand_in(f"_captured_{i}", node.tensor) for i, node in enumerate(outer))
    roots = substitute(outputs, dict(zip(outer, stands, strict=True)))
    return Capture(tuple(outer), stands, tuple(roots))


def inline(inner: Graph, arguments: Sequence[Node]) -> list[Node]:
    """The outputs of an inner graph on these arguments."""
    return substitute(inner.outputs, dict(zip(inner.inputs, arguments, strict=True)))
