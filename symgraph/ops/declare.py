"""How ops are declared: one decorated function holds the signature, the documentation and an example.

``primitive``   a scalar primitive: a NumPy ufunc on each element
``elementwise`` an elementwise composition of other ops: its body is its definition
``op``          anything else: the public function normalises its arguments and ends in ``name.op(x, …, **attrs)``;
                ``@name.infer``, ``@name.numpy`` or ``@name.body``, and ``@name.vjp`` follow
``macro``       a function that builds other ops and has no node of its own

The rules are called ``_``, since a type checker takes a name that is defined twice for one without a type.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import CodeType
from typing import Any, Generic, ParamSpec, Self, TypeVar

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, SymgraphError
from symgraph.graph.node import Node, located, type_symbols
from symgraph.graph.op import Attrs, Op, as_node, placeholder, register
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.types import (
    BOOL,
    BY_NAME,
    DTYPES,
    DType,
    TensorType,
    Type,
    broadcast_shapes,
    dtype,
    promote,
)
from symgraph.ops.cases import Case, elementwise_cases

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Function(Generic[P, R]):
    """What a user says: ``symgraph.softplus`` and its like; unless ``public``, what bodies alone say."""

    def __init__(
        self,
        build: Callable[P, R],
        op: Op | None = None,
        *,
        dtypes: Sequence[str] | None = None,
        reference: str | Callable[..., Any] | None = None,
        sample: Any = (-3.0, 3.0),
        cases: Sequence[Case] = (),
        differentiable: bool = True,
        tolerance: float = 1.0,
        namespace: str = "",
        public: bool = True,
    ) -> None:
        self.build = build
        self._op = op
        self.name = f"{namespace}.{build.__name__}" if namespace else build.__name__
        self.group = build.__module__.rsplit(".", 1)[-1]
        self.dtypes = tuple(dtypes or FLOATS)
        self.reference = reference if reference is not None else f"numpy.{self.name}"
        self.sample = sample
        self.cases = tuple(cases)
        self.differentiable = differentiable
        self.tolerance = tolerance
        self.__name__ = self.__qualname__ = build.__name__
        self.__module__ = build.__module__
        self.__doc__ = build.__doc__
        self.__wrapped__ = build
        if public and FUNCTIONS.setdefault(self.name, self) is not self:
            raise TypeError(f"{self.name} is declared twice")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self.build(*args, **kwargs)
        except SymgraphError as error:
            operands = [x for x in (*args, *kwargs.values()) if isinstance(x, Node)]
            raise located(error, operands, self._call(args, kwargs)) from None
        except TypeError as error:
            raise self._misuse(error, args, kwargs) from error

    def infer(self, rule: Callable[..., Type]) -> Self:
        """The type rule: ``infer(*types, **attrs)``."""
        self.op.infer = rule
        return self

    def numpy(self, rule: Callable[..., Any]) -> Self:
        """The meaning: ``numpy(*arrays, **attrs)``."""
        self.op.numpy = rule
        return self

    def body(self, rule: Callable[..., Node]) -> Self:
        """The meaning in other ops, ``body(*nodes, **attrs)``; the type follows from it."""
        self.op.body = rule
        self.op.infer = _infer_from_body(rule)
        return self

    def vjp(self, rule: Callable[..., Any]) -> Self:
        """The derivative: ``vjp(g, *inputs, out, **attrs)``, a node, or 0 for no slope, for each input."""
        self.op.vjp = rule
        return self

    @cached_property
    def signature(self) -> inspect.Signature:
        """The parameters, without their types; found when asked for, since that takes time."""
        signature = inspect.signature(self.build)
        bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
        return signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return (self.__doc__ or "").strip().partition("\n")[0]

    @property
    def is_macro(self) -> bool:
        return self._op is None

    @cached_property
    def op(self) -> Op:
        """What its nodes apply."""
        assert self._op is not None, f"{self.name} is a macro"
        return self._op

    def __repr__(self) -> str:
        return f"<function symgraph.{self.name}{self.signature}>"

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        parts = [str(x.type) if isinstance(x, Node) else _brief(x) for x in args]
        parts += [f"{key}={x.type if isinstance(x, Node) else _brief(x)}" for key, x in kwargs.items()]
        return f"{self.name}({', '.join(parts)})"

    def _misuse(self, error: TypeError, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
        """A call that does not fit the signature is the user's error; any other TypeError is ours."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as misfit:
            return located(ArgumentError(f"{self.name}{self.signature}: {misfit}"), [])
        return error


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


# Families of dtypes

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
INEXACTS = (*FLOATS, *COMPLEXES)
REALS = (*INTEGERS, *FLOATS)
NUMBERS = (*INTEGERS, *FLOATS, *COMPLEXES)
BITS = ("bool", *INTEGERS)
ALL = tuple(row.name for row in DTYPES)

_BFLOAT16 = BY_NAME["bfloat16"]

Loop = tuple[tuple[DType, ...], DType]
"""The dtypes that an elementwise op takes and the one it gives."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Dtypes that an elementwise op takes; its inputs are promoted to one of them."""

    name: str
    dtypes: tuple[str, ...]
    lifts_integers: bool = False

    def row(self, *rows: DType) -> DType:
        """The dtype of the family that these are promoted to; raises DTypeError when there is none."""
        met = promote(*rows)
        if self.lifts_integers and not met.is_inexact:
            met = BY_NAME[{8: "float16", 16: "float32"}.get(met.bits, "float64")]
        if met.name not in self.dtypes:
            raise DTypeError(f"takes {self.name} values, not {met.name}")
        return met


FLOAT = Family("floating-point", FLOATS, lifts_integers=True)
INEXACT = Family("floating-point or complex", INEXACTS, lifts_integers=True)
INTEGER = Family("integer", INTEGERS)
INTEGER_OR_BOOL = Family("integer or bool", BITS)
REAL = Family("real", REALS)
NUMBER = Family("numeric", NUMBERS)
ANY = Family("any", ALL)


# Decorators


def primitive(
    ufunc: np.ufunc | Callable[..., Any],
    loops: Callable[..., Loop] | None = None,
    *,
    commutative: bool = False,
    onnx: str | None = None,
    **meta: Any,
) -> Callable[[Callable[P, Node]], Function[P, Node]]:
    """A scalar primitive, meaning this ufunc; its loops decide dtypes unless ``loops`` does."""

    def declare(f: Callable[P, Node]) -> Function[P, Node]:
        arity = len(_parameters(f))
        find = cache(loops if loops is not None else _ufunc_loops(ufunc))  # type: ignore[arg-type]
        op = Op(
            f.__name__, _elementwise_infer(find), ufunc, elementwise=True, commutative=commutative, onnx=onnx
        )
        return _elementwise_function(f, register(op), find, arity, meta)

    return declare


def elementwise(
    family: Family, *, onnx: str | None = None, **meta: Any
) -> Callable[[Callable[..., Node]], Function[..., Node]]:
    """An elementwise composition: the decorated function's body is its definition, on nodes of one dtype."""

    def declare(f: Callable[..., Node]) -> Function[..., Node]:
        arity = len(_parameters(f))

        @cache
        def find(*kinds: Any) -> Loop:
            row = family.row(*settled(kinds))
            scalars = [placeholder(row, (), name=f"x{i}") for i in range(arity)]
            return (row,) * arity, f(*scalars).row

        op = Op(f.__name__, _elementwise_infer(find), body=f, elementwise=True, onnx=onnx)
        meta.setdefault("dtypes", family.dtypes)
        return _elementwise_function(f, register(op), find, arity, meta)

    return declare


def op(
    attrs: type[Attrs] | None = None,
    *,
    elementwise: bool = False,
    binds_sizes: bool = False,
    onnx: str | None = None,
    **meta: Any,
) -> Callable[[Callable[P, R]], Function[P, R]]:
    """An op whose public function normalises its arguments and ends in ``name.op(x, …, **attrs)``."""

    def declare(f: Callable[P, R]) -> Function[P, R]:
        made = Op(
            f.__name__, _undeclared, attrs=attrs, elementwise=elementwise, binds_sizes=binds_sizes, onnx=onnx
        )
        return Function(f, register(made), **meta)

    return declare


def macro(**meta: Any) -> Callable[[Callable[P, R]], Function[P, R]]:
    """A function that builds other ops and has no node of its own."""
    return lambda f: Function(f, **meta)


def alias(name: str, function: Function[..., Any]) -> None:
    """Another name for a function, as NumPy and the Array API have for some."""
    if FUNCTIONS.setdefault(name, function) is not function:
        raise TypeError(f"{name} is declared twice")


# What elementwise ops share


def _elementwise_function(
    f: Callable[..., Node], op: Op, find: Callable[..., Loop], arity: int, meta: dict[str, Any]
) -> Function[Any, Node]:
    names = _parameters(f)
    given = f.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True))

    def build(*args: Any, **kwargs: Any) -> Node:
        if kwargs or len(args) != arity:
            bound = FUNCTIONS[f.__name__].signature.bind(*args, **kwargs)  # type: ignore[attr-defined]
            args = tuple(
                bound.arguments[name] if name in bound.arguments else defaults[name] for name in names
            )
        return op(*promoted(find, args))

    build.__name__, build.__module__, build.__doc__ = f.__name__, f.__module__, f.__doc__
    build.__wrapped__ = f  # type: ignore[attr-defined]
    required = arity - len(defaults)
    meta.setdefault("cases", elementwise_cases(required))
    return Function(build, op, **meta)


def _parameters(f: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a plain function's parameters, without the cost of a whole signature."""
    code: CodeType = f.__code__
    return code.co_varnames[: code.co_argcount]


def promoted(find: Callable[..., Loop], args: Sequence[Any]) -> list[Node]:
    """The arguments as nodes of the dtypes that the op takes; Python numbers are weak."""
    given = tuple([x.row for x in args if isinstance(x, Node)])
    if len(given) == len(args):
        rows, _ = find(*given)
        return list(args) if rows == given else [cast_to(x, row) for x, row in zip(args, rows, strict=True)]
    weak = (int, float, complex)
    values = [x if type(x) in weak else as_node(x) for x in args]
    if not any(isinstance(x, Node) for x in values):
        values = [as_node(x) for x in values]
    rows, gives = find(*(x.row if isinstance(x, Node) else type(x) for x in values))
    if gives is BOOL and any(_is_outside(x, row) for x, row in zip(values, rows, strict=True)):
        return promoted(find, [as_node(x) for x in values])  # uint8 > -1 is true, and not an overflow
    return [
        cast_to(x, row) if isinstance(x, Node) else as_node(x, row)
        for x, row in zip(values, rows, strict=True)
    ]


def _is_outside(value: Any, row: DType) -> bool:
    """Whether a Python integer does not fit an integer dtype."""
    if type(value) is not int or not row.is_integer:
        return False
    bounds = np.iinfo(row.numpy)
    return not bounds.min <= value <= bounds.max


def cast_to(x: Node, row: DType) -> Node:
    """``x`` itself if it has this dtype already, else a cast of it."""
    return x if x.row is row else FUNCTIONS["astype"](x, row)


def _elementwise_infer(find: Callable[..., Loop]) -> Callable[..., TensorType]:
    def infer(*types: TensorType) -> TensorType:
        given = tuple([type.dtype for type in types])
        takes, gives = find(*given)
        if takes != given:
            raise DTypeError(
                f"takes {', '.join(row.name for row in takes)}; a node does not promote its inputs"
            )
        first = types[0]
        shape = first.shape
        for type in types:
            if type.shape is not shape:
                shape = broadcast_shapes(*[type.shape for type in types])
                break
        return first if shape is first.shape and gives is first.dtype else TensorType(gives, shape)

    return infer


def _ufunc_loops(ufunc: np.ufunc) -> Callable[..., Loop]:
    def find(*kinds: Any) -> Loop:
        brain = _BFLOAT16 in kinds  # which NumPy knows nothing of, so that its weak numbers would widen it
        given = tuple(
            kind.numpy if isinstance(kind, DType) else _weak(_BFLOAT16, kind).numpy if brain else kind
            for kind in kinds
        )
        outs = (None,) * ufunc.nout
        try:
            found = ufunc.resolve_dtypes((*given, *outs))
        except TypeError:
            row = promote(*settled(kinds))
            try:
                found = ufunc.resolve_dtypes((row.numpy,) * ufunc.nin + outs)
            except TypeError:
                names = ", ".join(getattr(kind, "name", None) or kind.__name__ for kind in kinds)
                raise DTypeError(f"is not defined for {names}") from None
        return tuple(dtype(d) for d in found[: ufunc.nin]), dtype(found[ufunc.nin])

    return find


def settled(kinds: Sequence[Any]) -> tuple[DType, ...]:
    """Rows for dtypes and weak Python kinds together, the weak ones taking the others' precision."""
    rows = [kind for kind in kinds if isinstance(kind, DType)]
    met = promote(*(rows or [dtype(kind) for kind in kinds]))
    for kind in kinds:
        if not isinstance(kind, DType):
            met = _weak(met, kind)
    return (met,)


def _weak(row: DType, kind: type) -> DType:
    if row.name == "bfloat16":
        return row if kind is not complex else BY_NAME["complex64"]
    return dtype(np.result_type(row.numpy, kind(0)))


def _infer_from_body(body: Callable[..., Node]) -> Callable[..., Type]:
    def infer(*types: TensorType, **attrs: Any) -> Type:
        inputs = [placeholder(type.dtype, type.shape, name=f"x{i}") for i, type in enumerate(types)]
        return body(*inputs, **attrs).type

    known = cache(infer)

    def find(*types: TensorType, **attrs: Any) -> Type:
        """What was found before; sizes that data decide would keep the nodes of their data alive."""
        free = any(size.source is not None for type in types for size in type_symbols(type))
        return (infer if free else known)(*types, **attrs)

    return find


def _undeclared(*_: Any, **__: Any) -> Type:
    raise AssertionError("this op has no type rule")
