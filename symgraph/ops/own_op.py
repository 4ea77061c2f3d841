"""What the user's own ops share: how they are called, named and entered, and how their derivatives are looked at."""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from symgraph.errors import ArgumentError, GradientError, GraphError, RunError, SymgraphError
from symgraph.graph.dims import Size
from symgraph.graph.node import Node, located
from symgraph.graph.op import OPS, Attrs, Op, items
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.origin import Origin, user_frame
from symgraph.graph.types import BY_NAME, TupleType
from symgraph.ops.create import zeros_like

Array = np.ndarray[Any, Any]
Inputs = Callable[[Sequence[Any]], Sequence[Node]]
"""How the arguments of a call become nodes."""


class OwnOp:
    """An op that a user declared: called with nodes, arrays and numbers, it gives a node, or a tuple of them."""

    def __init__(self, op: Op, function: Callable[..., Any], place: str, inputs: Inputs) -> None:
        self.op, self.name, self.place = op, op.name, place
        self.signature = signature_of(function)
        self._inputs = inputs
        self.__name__ = self.__qualname__ = op.name
        self.__module__ = module_of(function)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        nodes: Sequence[Node] = ()
        try:
            nodes, attrs = self._bound(args, kwargs)
            return self._results(nodes, attrs)
        except SymgraphError as error:
            given = [*nodes] or [x for x in (*args, *kwargs.values()) if isinstance(x, Node)]
            what = f"{self.name}({', '.join(str(x.type) for x in given)})"
            raise located(error, given, what) from None

    def vjp(self, rule: Callable[..., Any]) -> Self:
        """The derivative: ``vjp(g, *inputs, out, **attributes)`` gives a node for each input, or 0 for no slope.

        Of an op with several results ``g`` and ``out`` are tuples; ``g`` has None for a result of integers.
        """
        self.op.vjp = checked_vjp(self, rule)
        return self

    def __repr__(self) -> str:
        return f"<own op {self.name}{self.signature} of {self.place}>"

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Node], dict[str, Any]]:
        """The inputs as nodes, and the attributes."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as misfit:
            raise ArgumentError(f"{self.name}{self.signature}: {misfit}") from None
        bound.apply_defaults()
        attrs = {
            key: attribute_of(self.name, key, bound.kwargs[key])
            for key, each in self.signature.parameters.items()
            if each.kind is each.KEYWORD_ONLY
        }
        return self._inputs(bound.args), attrs

    def _results(self, nodes: Sequence[Node], attrs: Mapping[str, Any]) -> Any:
        made = self.op(*nodes, **attrs)
        return items(made) if isinstance(made.type, TupleType) else made

    def several(self, node: Node) -> tuple[Node, ...] | None:
        """The results of the application that a node is, where it has several."""
        return items(node) if isinstance(node.type, TupleType) else None


# Names


_declared: dict[str, tuple[str, OwnOp]] = {}
"""The user's ops by name, and the modules that declared them."""

Made = TypeVar("Made", bound=OwnOp)


def enter(made: Made) -> Made:
    """Make an op known by its name. One that the same module declared before is replaced, as when a cell of a notebook
    runs again: nodes that were built of it keep it, new ones and texts that are read get the new one."""
    known = OPS.get(made.name)
    if known is not None:
        module, before = _declared.get(made.name, ("", None))
        if before is None or before.op is not known or module != made.__module__:
            whose = f"declared at {before.place}" if before is not None else "of symgraph's"
            raise located(GraphError(f"there is an op called {made.name} already, {whose}"), [])
    OPS[made.name] = made.op
    _declared[made.name] = made.__module__, made
    _places.append(made.place)
    return made


_places: list[str] = []
"""Where ops were declared, in order."""


def declarations() -> int:
    """How often an op was declared: what was made of ops by their names may differ after the next."""
    return len(_places)


def is_ours(op: Op) -> bool:
    """Whether an op is one of symgraph's, the same in every process, and none that a user declared."""
    return OPS.get(op.name) is op and op.name not in _declared


def name_of(f: Callable[..., Any], name: str | None = None) -> str:
    """The name of an op: its function's, unless another is given. Raises GraphError for what no text could say."""
    found = name if name is not None else getattr(f, "__name__", "")
    if (
        not isinstance(found, str)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", found)
        or keyword.iskeyword(found)
    ):
        text = f"{found!r} cannot be the name of an op: it must be an identifier of letters, digits and _"
        raise located(GraphError(text), [])
    if found in BY_NAME or (found in FUNCTIONS and found not in OPS):
        raise located(GraphError(f"{found!r} cannot be the name of an op: symgraph has it already"), [])
    return found


def module_of(f: Callable[..., Any]) -> str:
    """The module that declares an op."""
    found = getattr(f, "__module__", None)
    frame = user_frame() if found is None else None
    return str(frame.f_globals.get("__name__", "") if frame is not None else found)


def place_of(f: Callable[..., Any]) -> str:
    """``ops.py:12``: where a function begins, or the line that is running."""
    code = getattr(f, "__code__", None)
    if code is not None:
        return Origin(code.co_filename, code.co_firstlineno).place
    frame = user_frame()
    return Origin(frame.f_code.co_filename, frame.f_lineno).place if frame is not None else "an unknown line"


# Attributes


def signature_of(f: Callable[..., Any]) -> inspect.Signature:
    """The parameters without their types: those of inputs, and behind a ``*`` those of attributes."""
    found = inspect.signature(f)
    plain = inspect.Parameter.empty
    if any(each.kind is each.VAR_KEYWORD for each in found.parameters.values()):
        raise located(GraphError(f"{getattr(f, '__name__', f)}{found}: attributes have names, not **"), [])
    parameters = [each.replace(annotation=plain) for each in found.parameters.values()]
    return found.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def keywords(f: Callable[..., Any]) -> list[str]:
    """The names of the attributes."""
    return [name for name, each in signature_of(f).parameters.items() if each.kind is each.KEYWORD_ONLY]


def attributes(f: Callable[..., Any], name: str, more: Mapping[str, Any] | None = None) -> type[Attrs] | None:
    """A dataclass with a field for each attribute of a function, and ``more`` with their defaults."""
    rows: list[Any] = []
    for key, each in signature_of(f).parameters.items():
        if each.kind is each.KEYWORD_ONLY:
            if key in (more or {}):
                raise located(GraphError(f"an attribute of {name} cannot be called {key!r}"), [])
            has_default = each.default is not each.empty
            default = {"default": attribute_of(name, key, each.default)} if has_default else {}
            rows.append((key, object, dataclasses.field(**default)))
    rows += [(key, int, dataclasses.field(default=value)) for key, value in (more or {}).items()]
    if not rows:
        return None
    made: type[Attrs] = dataclasses.make_dataclass(
        f"{name}_attributes", rows, bases=(_Attributes,), frozen=True, eq=False, kw_only=True
    )
    return made


class _Attributes(Attrs):
    """Values of a user's own; ``1``, ``1.0`` and ``True`` differ."""

    __slots__ = ()

    def _key(self) -> str:
        return repr(tuple(self.fields().values()))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def attribute_of(name: str, key: str, value: Any) -> Any:
    """What an attribute may hold; raises ArgumentError for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return tuple(attribute_of(name, key, part) for part in value)
    if value is None or isinstance(value, Size) or type(value) in (bool, int, float, str):
        return value
    kinds = "None, a bool, an int, a float, a string, a size or a tuple of them"
    raise ArgumentError(f"the attribute {key} of {name} is {kinds}, not {value!r:.60}")


# Calls


def seen(x: Any) -> Array:
    """An array that cannot be written to."""
    view: Array = np.asarray(x).view()
    view.setflags(write=False)
    return view


def called(
    f: Callable[..., Any], given: Sequence[Array], attrs: Mapping[str, Any], name: str, place: str
) -> Any:
    """What a user's function gives; raises RunError for what it raises."""
    try:
        return f(*given, **attrs)
    except Exception as error:
        shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in given)
        raise RunError(f"{name} ({place}) failed on ({shapes}): {type(error).__name__}: {error}") from error


# Derivatives


def checked_vjp(own: OwnOp, rule: Callable[..., Any]) -> Callable[..., Any]:
    """A user's derivative, whose slopes are looked at."""

    def vjp(g: Any, *inputs_and_out: Node, **attrs: Any) -> tuple[Any, ...]:
        *inputs, out = inputs_and_out
        results = own.several(out)
        if results is not None:
            g = _of_all(g, out, results)
            attrs.pop("result", None)
        given = rule(g, *inputs, out if results is None else results, **_plain(own, attrs))
        found = tuple(given) if isinstance(given, tuple | list) else (given,)
        if len(found) != len(inputs):
            text = f"the derivative of {own.name} ({own.place}) gives {len(found)} slopes for {len(inputs)} inputs"
            raise GradientError(text)
        return tuple(_slope(own, slope, x) for slope, x in zip(found, inputs, strict=True))

    return vjp


def _plain(own: OwnOp, attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attrs.items() if key in own.signature.parameters}


def _of_all(g: Any, out: Node, results: Sequence[Node]) -> tuple[Any, ...]:
    """A cotangent for each result, where that of a composite is of one alone."""
    if isinstance(g, tuple):
        return g
    return tuple(g if x is out else zeros_like(x) if x.row.is_inexact else None for x in results)


def _slope(own: OwnOp, slope: Any, x: Node) -> Any:
    if slope is None or (isinstance(slope, int | float) and slope == 0):
        return 0
    if not isinstance(slope, Node):
        text = f"the derivative of {own.name} ({own.place}) gives {slope!r:.60} for an input, neither a node nor 0"
        raise GradientError(text)
    if slope.ndim != x.ndim and not own.op.elementwise:
        text = f"the derivative of {own.name} ({own.place}) gives {slope.type} for an input that is {x.type}"
        raise GradientError(text)
    return slope
