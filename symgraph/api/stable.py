"""Stable forms and gradients that another process found: nodes as rows on disk, beyond those that are given.

The rules of stable forms take longer to import than a gradient takes, and a gradient longer to find than to read. So as
long as nobody has imported the rules, what is asked for is looked up first.
"""

from __future__ import annotations

import ast
import marshal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph.collector import paused
from symgraph.graph.digest import Unsaid, attrs_said, said_of
from symgraph.graph.dims import Size, parse_dim, symbols
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, OPS, Attrs, ConstantAttrs
from symgraph.graph.origin import Origin, here, inherit
from symgraph.graph.types import BY_NAME, TensorType, TupleType, Type, dtype
from symgraph.graph.walk import toposort
from symgraph.ops.keys import Gather, NewAxis, Slice
from symgraph.ops.own_op import is_ours
from symgraph.optimizations import pipeline
from symgraph.runtime.cache import Cache, digest, folder
from symgraph.runtime.identity import identity, is_unchanged

_RULES = "symgraph.optimizations.passes"
_MOST = 16
"""Answers that a process writes."""
_HERE = -1
"""In place of a node: the user's line that asks."""
_UNREAD = (ValueError, TypeError, KeyError, IndexError, EOFError, SyntaxError, SymgraphError)
"""What is raised for content that is none."""
_ITEMS: dict[str, Any] = {each.__name__: each for each in (Slice, NewAxis, Gather)}
_written = [0]


def stabilized(outputs: Sequence[Node], keep: Sequence[Node]) -> list[Node]:
    """The outputs in their stable form; nodes in ``keep`` stay in them as they are."""
    return known("stable", outputs, keep, pipeline.stabilized)


def known(
    what: str,
    roots: Sequence[Node],
    given: Sequence[Node],
    find: Callable[[Sequence[Node], Sequence[Node]], list[Node]],
) -> list[Node]:
    """What ``find`` makes of roots and given nodes, as another process has found it, where one has; ``what`` tells it
    from everything else that is found of such nodes."""
    if _RULES in sys.modules and _written[0] >= _MOST:
        return find(roots, given)
    nodes = toposort((*roots, *given))
    key = _key(what, nodes, roots, given)
    if key is None:
        return find(roots, given)
    disk = Cache(folder())
    content = disk.get(key)
    if content is not None and _RULES not in sys.modules:
        with paused():
            found = _read(content, nodes)
        if found is not None:
            return found
    made = find(roots, given)
    if content is None:
        _written[0] += 1
        from symgraph.runtime.code import code  # nobody needs it who asks for no gradient

        code().at_leisure(partial(_keep, disk, key, tuple(made), nodes, here()))
    return made


def _keep(disk: Cache, key: str, made: Sequence[Node], nodes: Sequence[Node], line: Origin | None) -> None:
    content = _written_down(made, nodes, line)
    if content is not None and is_unchanged():
        disk.put(key, content)


def _key(what: str, nodes: Sequence[Node], roots: Sequence[Node], given: Sequence[Node]) -> str | None:
    if folder() is None or (name := identity()) is None:
        return None
    try:
        content = said_of(nodes, is_ours, roots, given)
    except Unsaid:
        return None
    return f"{what} {name} {digest(content).hex()}"


def _written_down(made: Sequence[Node], nodes: Sequence[Node], line: Origin | None) -> bytes | None:
    """The nodes that are new, in terms of those there were; None where one cannot be said."""
    numbers = {node: n for n, node in enumerate(nodes)}
    lines = {id(line): _HERE, **{id(node.origin): n for n, node in enumerate(nodes)}}
    kinds = {node.attrs: n for n, node in enumerate(nodes) if node.attrs is not None}
    sizes = _Sizes(nodes)
    types: dict[Type, int] = {}
    said: list[list[tuple[Any, ...]]] = []
    rows = []
    for node in toposort(made, stop=numbers):
        if node in numbers:
            continue
        place = lines.get(id(node.origin), _HERE if node.op is CONSTANT else None)
        if node.op.binds_sizes or not is_ours(node.op) or place is None:
            return None
        try:
            attrs = kinds[node.attrs] if node.attrs in kinds else _attrs_said(node, sizes)
            if node.type not in types:
                types[node.type] = len(said)
                said.append(_type_said(node.type, sizes))
        except (Unsaid, *_UNREAD):
            return None
        inputs = [numbers[x] for x in node.inputs]
        numbers[node] = len(numbers)
        rows.append((node.op.name, inputs, attrs, place, types[node.type]))
    return marshal.dumps((said, rows, [numbers[node] for node in made]))


def _attrs_said(node: Node, sizes: _Sizes) -> Any:
    """Raises Unsaid for what nobody could read."""
    attrs = node.attrs
    if isinstance(attrs, ConstantAttrs):
        value = attrs.value
        return ("constant", dtype(value.dtype).name, value.shape, value.tobytes())
    said = None if attrs is None else attrs_said(attrs, is_ours)
    if _attrs(node.op.attrs, said, sizes) != attrs:
        raise Unsaid(f"the attributes of {node!r}")
    return said


def _type_said(type: Type, sizes: _Sizes) -> list[tuple[Any, ...]]:
    """Dtype and sizes of each result. Raises Unsaid for what nobody could read."""
    items = type.items if isinstance(type, TupleType) else (type,)
    said = [(each.dtype.name, *(x if isinstance(x, int) else str(x) for x in each.shape)) for each in items]
    if _type(said, sizes) != type:
        raise Unsaid(str(type))
    return said


def _read(content: bytes, nodes: Sequence[Node]) -> list[Node] | None:
    """The nodes that were written down; None for what is none in terms of these."""
    known, sizes = list(nodes), _Sizes(nodes)
    try:
        said, rows, made = marshal.loads(content)
        types = [_type(each, sizes) for each in said]
        for name, inputs, attrs, line, type in rows:
            op = OPS[name]
            fields = known[attrs].attrs if isinstance(attrs, int) else _attrs(op.attrs, attrs, sizes)
            with inherit(None if line == _HERE else known[line].origin):
                known.append(make(op, tuple([known[n] for n in inputs]), fields, types[type]))
        return [known[n] for n in made]
    except _UNREAD:
        return None


def _type(said: list[tuple[Any, ...]], sizes: _Sizes) -> Type:
    items = [
        TensorType(BY_NAME[name], tuple([x if isinstance(x, int) else sizes[x] for x in shape]))
        for name, *shape in said
    ]
    return items[0] if len(items) == 1 else TupleType(tuple(items))


def _attrs(kind: Any, said: Any, sizes: _Sizes) -> Attrs | None:
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


def _value(said: Any, sizes: _Sizes) -> Any:
    """An attribute that was said: numbers, texts, sizes, dtypes, items of a key and tuples of them."""
    match said:
        case ("tuple", *parts):
            return tuple([_value(part, sizes) for part in parts])
        case ("size", str(text)):
            return sizes[text]
        case ("dtype", str(name)):
            return BY_NAME[name]
        case (str(kind), *parts):
            return _ITEMS[kind](*[_value(part, sizes) for part in parts])
    return said


class _Sizes(dict[str, Any]):
    """Sizes by their text: those that stand in the types of nodes, and others of the same symbols."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        types = [node.type for node in nodes]
        items = [item for each in types for item in (each.items if isinstance(each, TupleType) else (each,))]
        super().__init__({str(size): size for item in items for size in item.shape if isinstance(size, Size)})

    def __missing__(self, text: str) -> Any:
        known = {str(symbol): symbol for size in tuple(self.values()) for symbol in symbols(size)}
        found = self[text] = parse_dim(ast.parse(text, mode="eval").body, known)
        return found
