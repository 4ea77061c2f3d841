"""Stable forms that another process found: what is differentiated first, before the rules are there.

The rules take longer to import than a gradient takes. So as long as nobody has imported them, the form is looked up on
disk, where it stands as the nodes that it has beyond those of the given ones.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.digest import Unsaid, attrs_said, said_of
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, OPS, Attrs, ConstantAttrs
from symgraph.graph.origin import inherit
from symgraph.graph.types import BY_NAME, TupleType, dtype
from symgraph.graph.walk import toposort
from symgraph.ops.own_op import is_ours
from symgraph.optimizations import pipeline
from symgraph.runtime.cache import Cache, digest, folder
from symgraph.runtime.identity import identity, is_unchanged

_RULES = "symgraph.optimizations.passes"
_MOST = 16
"""Forms that a process writes."""
_written = [0]


def stabilized(outputs: Sequence[Node], keep: Sequence[Node]) -> list[Node]:
    """The outputs in their stable form; nodes in ``keep`` stay in them as they are."""
    if _RULES in sys.modules and _written[0] >= _MOST:
        return pipeline.stabilized(outputs, keep)
    nodes = toposort(outputs)
    key = _key(nodes, outputs, keep)
    if key is None:
        return pipeline.stabilized(outputs, keep)
    disk = Cache(folder())
    content = disk.get(key)
    if content is not None and _RULES not in sys.modules:
        found = _read(content, nodes)
        if found is not None and len(found) == len(outputs):
            return found
    made = pipeline.stabilized(outputs, keep)
    if content is None:
        _written[0] += 1
        content = _written_down(made, nodes)
        if content is not None:
            from symgraph.runtime.code import code  # nobody needs it who asks for no gradient

            code().at_leisure(partial(_keep, disk, key, content))
    return made


def _keep(disk: Cache, key: str, content: bytes) -> None:
    if is_unchanged():
        disk.put(key, content)


def _key(nodes: Sequence[Node], outputs: Sequence[Node], keep: Sequence[Node]) -> str | None:
    if folder() is None or (name := identity()) is None:
        return None
    try:
        content = said_of(nodes, is_ours, outputs, keep)
    except Unsaid:
        return None
    return f"stable {name} {digest(content).hex()}"


def _written_down(made: Sequence[Node], nodes: Sequence[Node]) -> bytes | None:
    """The nodes that are new, in terms of those there were; None where one cannot be said."""
    numbers = {node: n for n, node in enumerate(nodes)}
    lines = {id(node.origin): n for n, node in enumerate(nodes) if node.origin is not None}
    kinds = {node.attrs: n for n, node in enumerate(nodes) if node.attrs is not None}
    rows = []
    for node in toposort(made, stop=numbers):
        if node in numbers:
            continue
        if node.op.binds_sizes or not is_ours(node.op) or id(node.origin) not in lines:
            return None
        try:
            attrs = kinds[node.attrs] if node.attrs in kinds else _attrs_said(node.attrs)
        except Unsaid:
            return None
        inputs = [numbers[x] for x in node.inputs]
        numbers[node] = len(numbers)
        rows.append((node.op.name, inputs, attrs, lines[id(node.origin)], str(node.type)))
    return marshal.dumps((rows, [numbers[node] for node in made]))


def _attrs_said(attrs: Attrs | None) -> Any:
    if isinstance(attrs, ConstantAttrs):
        value = attrs.value
        return ("constant", dtype(value.dtype).name, value.shape, value.tobytes())
    return None if attrs is None else attrs_said(attrs, is_ours)


def _read(content: bytes, nodes: Sequence[Node]) -> list[Node] | None:
    """The form that was written down; None for what is none of these nodes."""
    known, sizes = list(nodes), _sizes(nodes)
    try:
        rows, made = marshal.loads(content)
        for name, inputs, attrs, line, type_ in rows:
            op = OPS[name]
            fields = known[attrs].attrs if isinstance(attrs, int) else _attrs(op.attrs, attrs, sizes)
            with inherit(known[line].origin):
                node = make(op, tuple([known[n] for n in inputs]), fields)
            if str(node.type) != type_:
                return None
            known.append(node)
        return [known[n] for n in made]
    except (ValueError, TypeError, KeyError, IndexError, EOFError, SymgraphError):
        return None


def _attrs(kind: Any, said: Any, sizes: Mapping[str, Size]) -> Attrs | None:
    if said is None:
        return None
    name, *parts = said
    if kind is CONSTANT.attrs:
        row, shape, content = parts
        value = np.frombuffer(content, BY_NAME[row].numpy).reshape(shape).copy()
        value.setflags(write=False)
        return ConstantAttrs(value)
    if kind.__name__ != name:
        raise ValueError(name)
    made: Attrs = kind(*(_value(part, sizes) for part in parts))
    return made


def _value(said: Any, sizes: Mapping[str, Size]) -> Any:
    """An attribute that was said: numbers, texts, sizes and tuples of them."""
    match said:
        case ("tuple", *parts):
            return tuple([_value(part, sizes) for part in parts])
        case ("size", str(text)):
            return sizes[text]
        case ("dtype", str(name)):
            return BY_NAME[name]
        case tuple():
            raise ValueError(said[0])
    return said


def _sizes(nodes: Sequence[Node]) -> dict[str, Size]:
    """The sizes that stand in types, by their text."""
    types = [node.type for node in nodes]
    items = [item for each in types for item in (each.items if isinstance(each, TupleType) else (each,))]
    return {str(size): size for item in items for size in item.shape if isinstance(size, Size)}
