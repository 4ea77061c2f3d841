"""A composition of ops as one op of the user's own, whose body is as stable as an expression outside of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from symgraph.api.stable import stabilized
from symgraph.errors import GraphError, ShapeError
from symgraph.graph.attributes import fields_of
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, located, type_symbols
from symgraph.graph.op import PLACEHOLDER, VARIABLE, Op, as_node
from symgraph.graph.trace import arguments
from symgraph.graph.types import TensorType, broadcast_shapes, promote
from symgraph.graph.walk import leaves, substitute, toposort
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.declare import settled
from symgraph.ops.own_op import OwnOp, attributes, declarations, enter, name_of, place_of, signature_of


@overload
def composite(function: Callable[..., Any], /) -> OwnOp: ...
@overload
def composite(
    *, elementwise: bool = False, name: str | None = None, vjp: Callable[..., Any] | None = None
) -> Callable[..., OwnOp]: ...
def composite(
    function: Callable[..., Any] | None = None,
    /,
    *,
    elementwise: bool = False,
    name: str | None = None,
    vjp: Callable[..., Any] | None = None,
) -> Any:
    """Make one op of a Python function of nodes: it prints as one, and is compiled as its body.

    Parameters behind a ``*`` are attributes: None, bools, ints, floats, strings, sizes, and tuples of them. The body
    reads nothing from outside but constants; it gives a node, or a tuple of nodes. Python numbers take the dtype of the
    nodes that they come with. The derivative is that of the body, unless ``vjp`` or ``@f.vjp`` says another; of an
    ``elementwise`` one it may be infinite where a `where` takes another branch, and slopes are summed over what was
    broadcast.

    >>> @composite
    ... def rms_norm(x, scale, *, eps=1e-6):
    ...     return x / sqrt(mean(x * x, axis=-1, keepdims=True) + eps) * scale
    >>> x = placeholder("float64", ("n", 3), name="x")
    >>> y = rms_norm(x, [1.0, 1.0, 2.0], eps=0.0)
    >>> y.op.name
    'rms_norm'
    >>> evaluate(y, {x: [[1.0, -1.0, 1.0]]})
    array([[ 1., -1.,  2.]])

    Raises GraphError for a name that is no identifier or is taken by another op, and when it is called for a body that
    reads a placeholder or a variable from outside, or is not elementwise and should be.
    """
    if function is None:
        return lambda f: _composite(f, name, vjp, elementwise=elementwise)
    return _composite(function, name, vjp, elementwise=elementwise)


class Composite(OwnOp):
    """An op with a body; each of several results is a node of its own, since they are computed apart or together."""

    def __init__(self, op: Op, function: Callable[..., Any], place: str, body: _Body) -> None:
        super().__init__(op, function, place, weakly)
        self._body = body

    def _results(self, nodes: Sequence[Node], attrs: Mapping[str, Any]) -> Any:
        first = self.op(*nodes, **attrs)
        return self._all(nodes, attrs) or first

    def several(self, node: Node) -> tuple[Node, ...] | None:
        attrs = dict(node.attrs.fields()) if node.attrs is not None else {}
        attrs.pop("result")
        return self._all(node.inputs, attrs)

    def _all(self, nodes: Sequence[Node], attrs: Mapping[str, Any]) -> tuple[Node, ...] | None:
        """A node for each result; None where the body gives one that is no tuple."""
        found = self._body.traced([x.tensor for x in nodes], attrs)
        if not found.is_tuple:
            return None
        return tuple(self.op(*nodes, **attrs, result=n) for n in range(len(found.roots)))


def _composite(
    f: Callable[..., Any], name: str | None, vjp: Callable[..., Any] | None, *, elementwise: bool
) -> OwnOp:
    name, place = name_of(f, name), place_of(f)
    kept = _Body(f, name, place, elementwise=elementwise)
    own = attributes(f, name, {"result": 0})
    required = [each.name for each in fields_of(own).values() if each.required] if own is not None else []
    if elementwise and required:
        text = f"{name} ({place}) is elementwise, so that its attribute {required[0]} needs a default"
        raise located(GraphError(text), [])

    def infer(*types: TensorType, result: int, **attrs: Any) -> TensorType:
        found = kept.traced(types, attrs).roots
        if not 0 <= result < len(found):
            raise ShapeError(f"{name} has no result {result}")
        return found[result].tensor

    def body(*nodes: Node, result: int = 0, **attrs: Any) -> Node:
        found = kept.traced([x.tensor for x in nodes], attrs)
        (made,) = substitute([found.stable(result)], dict(zip(found.stands, nodes, strict=True)))
        return made

    infer.__signature__ = body.__signature__ = signature_of(f)  # type: ignore[attr-defined]
    op = Op(name, infer, body=body, attrs=own, elementwise=elementwise)
    made = enter(Composite(op, f, place, kept))
    return made.vjp(vjp) if vjp is not None else made


# Bodies


@dataclass(slots=True)
class _Trace:
    """What a function gives for arguments of some types."""

    stands: tuple[Node, ...]
    roots: tuple[Node, ...]
    is_tuple: bool
    known: dict[int, Node] = field(default_factory=dict)

    def stable(self, result: int) -> Node:
        """A result in its stable form."""
        if result not in self.known:
            (self.known[result],) = stabilized([self.roots[result]], self.stands)
        return self.known[result]


_MOST = 64
"""For how many types of arguments a body is kept."""


class _Body:
    """A user's function of nodes, called once for arguments of the same types."""

    def __init__(self, function: Callable[..., Any], name: str, place: str, *, elementwise: bool) -> None:
        self._function, self._name, self._place = function, name, place
        self._is_elementwise = elementwise
        self._known: dict[Any, _Trace] = {}

    def traced(self, types: Sequence[TensorType], attrs: Mapping[str, Any]) -> _Trace:
        """What the function gives for stand-ins. What data decide is not kept, since its nodes would live as long."""
        lasts = not any(size.source is not None for type in types for size in type_symbols(type))
        if not lasts or any(isinstance(value, tuple | Size) for value in attrs.values()):
            return self._trace(types, attrs)
        key = declarations(), tuple(types), repr(tuple(attrs.items()))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = self._trace(types, attrs)
        return found

    def _trace(self, types: Sequence[TensorType], attrs: Mapping[str, Any]) -> _Trace:
        with arguments(types) as stands:
            found = self._function(*stands, **attrs)
            is_tuple = isinstance(found, tuple | list)
            roots = tuple(as_node(x) for x in (found if is_tuple else [found]))
            _check_closed(self._name, self._place, roots, stands)
            if self._is_elementwise:
                _check_elementwise(self._name, self._place, roots, stands)
        return _Trace(tuple(stands), roots, is_tuple)


def _check_closed(name: str, place: str, roots: Sequence[Node], inputs: Sequence[Node]) -> None:
    own = set(inputs)
    for x in leaves(roots):
        if x not in own and x.op in (PLACEHOLDER, VARIABLE):
            text = f"{name} ({place}) reads {x.name!r} from outside: give it as an argument"
            raise located(GraphError(text), [x])
    given = {size for x in inputs for size in type_symbols(x.type)}
    for x in roots:
        if any(size.source is not None for size in type_symbols(x.type) - given):
            text = (
                f"{name} ({place}) gives {x.type}, whose sizes its data decide; a composite has none of these"
            )
            raise located(GraphError(text), [x])


def _check_elementwise(name: str, place: str, roots: Sequence[Node], inputs: Sequence[Node]) -> None:
    inside = set(inputs)
    for x in toposort(roots, stop=inside.copy()):
        if x in inside or inside.isdisjoint(x.inputs):
            continue
        inside.add(x)
        if not x.op.elementwise and x.op is not broadcast_to.op:
            text = f"{name} ({place}) should be elementwise, and its body has {x.op.name}"
            raise located(GraphError(text), [x])
    shape = broadcast_shapes(*(x.shape for x in inputs))
    for x in roots:
        if x.shape != shape:
            raise located(
                GraphError(f"{name} ({place}) should be elementwise, and gives {x.type}"), [x, *inputs]
            )


def weakly(values: Sequence[Any]) -> list[Node]:
    """Arguments as nodes; Python numbers take the dtype of the nodes among them, if that holds their kind."""
    rows = [x.row for x in values if isinstance(x, Node)]
    if not rows:
        return [as_node(x) for x in values]
    met = promote(*rows)
    return [
        as_node(x, settled((met, type(x)))[0]) if type(x) in (bool, int, float, complex) else as_node(x)
        for x in values
    ]
