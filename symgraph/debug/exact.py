"""The value of a graph in high precision: what the program says, with nothing lost to rounding.

Every rounded result gets random last bits, and a graph runs twice: digits on which the two runs agree are true ones.
Elements on whose digits they do not agree, because something cancelled, or on the numbers compared on the way, run
again with more. What cannot be computed
(``exp(exp(1e300))``) is drawn at random, which hurts only where it matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.debug.exact_needs import needed, reached
from symgraph.debug.exact_numbers import Arithmetic, Array, Number, elementwise, mpmath
from symgraph.debug.exact_run import Run, program, run
from symgraph.errors import DTypeError, RunError
from symgraph.graph.evaluate import variable_values
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node

MOST_DIGITS = 2000

SURE_DIGITS = 10
"""On how many digits of a difference two runs agree when they know its sign."""


def exact(outputs: Any, feed: Mapping[Node, Any] | None = None, digits: int = 60) -> Any:
    """The value of a node, or of each in a list or tuple, right to so many digits: arrays of mpmath numbers.

    Floating-point and complex nodes are real and complex numbers: nothing overflows or is rounded to a dtype, inputs
    and constants are what their bits say, casts among these dtypes keep the number. Integers and bools stay NumPy's.
    inf and nan follow IEEE; zero has no sign and counts as +0. What is still not settled at 2000 digits is 0 if it is
    below 1e-1000.

    >>> exact(as_node(0.5), digits=10)
    array(mpf('0.5'), dtype=object)

    Raises RunError for an op without exact meaning, and for what 2000 digits do not decide.
    """
    many = isinstance(outputs, (list, tuple))
    nodes = [as_node(node) for node in (outputs if many else [outputs])]
    given = {node: _fed(node, value) for node, value in (feed or {}).items()}
    given.update((node, value) for node, value in variable_values(nodes).items() if node not in given)
    runs = _settled(nodes, given, digits)
    decided = [_decided(node, *runs[node], digits) for node in nodes]
    if hasattr(outputs, "_fields"):
        return type(outputs)(*decided)
    return type(outputs)(decided) if many else decided[0]


def _settled(nodes: list[Node], given: Mapping[Node, Array], digits: int) -> dict[Node, tuple[Any, Any]]:
    """Two runs of each node, whose elements agree if any number of digits makes them."""
    todo = program(nodes, given)
    most = max(MOST_DIGITS, 2 * digits)
    precision = 2 * digits
    found: dict[Node, tuple[Any, Any]] = {}
    masks: dict[Node, Array] = {}
    wanted: dict[Node, Array] | None = None
    shapes: dict[Node, Any] = {}
    while True:
        first, second = (run(todo, Arithmetic(precision, seed), wanted) for seed in (1, 2))
        for node in nodes if wanted is None else masks:
            a, b = first.values[node], second.values[node]
            if wanted is not None and not isinstance(a, tuple):
                a, b = (np.where(masks[node], x, y) for x, y in zip((a, b), found[node], strict=True))
            found[node] = a, b
        if precision == most:
            return found
        shapes = shapes or first.values
        doubts = reached(todo, _doubtful(first, second), first.values)
        for node in nodes if wanted is None else list(masks):
            mask = doubts.get(node, np.asarray(False)) | ~_agreement(*found[node], digits)
            masks[node] = mask if wanted is None else mask & masks[node]
        masks = {node: mask for node, mask in masks.items() if mask.any()}
        if not masks:
            return found
        wanted = needed(todo, masks, shapes)
        precision = min(2 * precision, most)


def _doubtful(first: Run, second: Run) -> dict[Node, Array]:
    """The elements for which the two runs compared other numbers.

    The sign of ``1 - cos(1e-200)`` may be wrong in both runs, and then they agree on its maximum with 0.
    """
    masks = {}
    for node, decisions in first.decisions.items():
        others = second.decisions[node]
        if places := [i for i in {**decisions, **others} if not _as_sure(decisions.get(i), others.get(i))]:
            value = first.values[node]
            mask = np.zeros(value.shape if isinstance(value, np.ndarray) else (), bool)
            mask.reshape(-1)[slice(None) if -1 in places else [i for i in places if i < mask.size]] = True
            masks[node] = mask
    return masks


def _as_sure(a: Sequence[tuple[Any, Any]] | None, b: Sequence[tuple[Any, Any]] | None) -> bool:
    if a is None or b is None or len(a) != len(b):
        return False
    return all(_same(x - y, z - w, SURE_DIGITS) for (x, y), (z, w) in zip(a, b, strict=True))


def _fed(node: Node, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype == object:
        return array
    if array.size and not np.can_cast(array.dtype, node.dtype, "same_kind"):
        text = f"{node.name or 'a fed node'} is {node.type} and was given {array.dtype}"
        raise located(DTypeError(text), [node])
    return array.astype(node.dtype)


def _agreement(a: Any, b: Any, digits: int) -> Array:
    """Where two runs agree; for tuples and different shapes, whether."""
    if isinstance(a, tuple):
        return np.asarray(all(_agreement(x, y, digits).all() for x, y in zip(a, b, strict=True)))
    if a.shape != b.shape:
        return np.asarray(False)
    if a.dtype != object:
        return np.asarray(a == b)
    return elementwise(lambda x, y: _same_parts(x, y, digits), a, b).astype(bool)


def _same_parts(x: Number, y: Number, digits: int) -> bool:
    return _same(x.value.real, y.value.real, digits) and (
        not x.is_complex or _same(x.value.imag, y.value.imag, digits)
    )


def _same(x: Any, y: Any, digits: int) -> bool:
    if x == y or (x != x and y != y):
        return True
    mp = x.context
    if not (mp.isfinite(x) and mp.isfinite(y)):
        return False
    return bool(mp.fabs(x - y) <= mp.ldexp(max(abs(x), abs(y)), -math.ceil((digits + 2) * math.log2(10))))


def _decided(node: Node, a: Any, b: Any, digits: int) -> Any:
    """The value that two runs agree on, in mpmath's own numbers."""
    if isinstance(a, tuple):
        return tuple(_decided(node, x, y, digits) for x, y in zip(a, b, strict=True))
    if a.dtype == object and a.shape == b.shape:
        return elementwise(lambda x, y: _decided_number(node, x, y, digits), a, b)
    if not _agreement(a, b, digits).all():
        raise _undecided(node)
    return a


def _decided_number(node: Node, a: Any, b: Any, digits: int) -> Any:
    mp = mpmath().mp
    parts = []
    for x, y in ((a.value.real, b.value.real), (a.value.imag, b.value.imag)):
        if not _same(x, y, digits):
            tiny = x.context.ldexp(1, -3322)
            if not (abs(x) < tiny and abs(y) < tiny):
                raise _undecided(node)
            x = x.context.zero
        parts.append(mp.make_mpf(mp.fadd(mp.make_mpf(x._mpf_), 0, dps=digits)._mpf_))
    return mp.mpc(*parts) if hasattr(a.value, "_mpc_") else parts[0]


def _undecided(node: Node) -> RunError:
    return located(RunError(f"{node.op.name}: {MOST_DIGITS} digits do not decide its value"), [node])
