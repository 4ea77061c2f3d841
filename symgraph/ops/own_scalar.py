"""The user's own elementwise ops, with their text for compilers: a function of numbers in LLVM or CUDA C.

What is printed into kernels stands in `symgraph.codegen.own_llvm` and `own_cuda`.
"""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError, SymgraphError
from symgraph.graph.node import located
from symgraph.graph.op import Op
from symgraph.graph.types import DType, TensorType, broadcast_shapes, dtype, promote
from symgraph.ops.declare import Loop, promoted, settled
from symgraph.ops.own_op import OwnOp, called, enter, keywords, name_of, place_of, seen, signature_of

Texts = str | Mapping[str, str]
"""A text for all dtypes, or one for each by its name."""


@dataclass(slots=True, eq=False, repr=False)
class ScalarOp(Op):
    """An elementwise op that is printed into kernels as the user wrote it."""

    place: str = ""
    parameters: tuple[str, ...] = ()
    llvm: Mapping[str, str] | None = None
    """By the names of dtypes, as `cuda`."""
    cuda: Mapping[str, str] | None = None


def scalar_op(
    *,
    dtypes: Sequence[str] = ("float32", "float64"),
    result: str | None = None,
    llvm: Texts | None = None,
    cuda: Texts | None = None,
    name: str | None = None,
    vjp: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], OwnOp]:
    """Make an elementwise op of a function of NumPy arrays, with its text for compilers that put it into their kernels.

    Arguments are promoted to the first of ``dtypes`` that holds them, and broadcast; the result has that dtype, or the
    one of ``result``. A text serves all dtypes, or is a dict with one for each by its name; 16-bit floats are computed
    as float32. What a kernel has no text for is done by the NumPy function, in blocks, and ``f.explain()`` says so.

    ``llvm`` is lines of LLVM IR for vectors, which end in a ``ret``; parameters are ``%x`` by their names. ``{T}`` is
    the type of the arguments (``float``, or ``<16 x float>``), ``{R}`` that of the result, ``{I}`` that of integers as
    wide as the arguments, ``{M}`` that of masks, ``{S}`` how names of intrinsics end (``f32``, ``v16f32``), ``{1.5}`` a
    number of type ``{T}`` and ``{I:5}`` one of type ``{I}``. Intrinsics need no declaration. Or it is a whole function,
    ``define double @f(double %x) { … }``, with any control flow, which is called for one number after the other.

    ``cuda`` is an expression of the parameters in CUDA C, or the body of a function that has a ``return``; ``{T}`` and
    ``{R}`` are types.

    >>> @scalar_op(
    ...     dtypes=["float32", "float64"],
    ...     llvm='''
    ...         %bottom = fadd {T} {1.0}, %x
    ...         %y = fdiv {T} %x, %bottom
    ...         ret {T} %y
    ...     ''',
    ...     cuda="x / (1 + x)",
    ... )
    ... def saturate(x):
    ...     return x / (1 + x)
    >>> evaluate(saturate(3.0))
    array(0.75)

    Raises GraphError for a name that is no identifier or is taken by another op, and for texts that are none;
    DeviceError with the user's line where a compiler refuses one; RunError, DTypeError and ShapeError where the
    function fails or gives what it should not.
    """

    def declare(f: Callable[..., Any]) -> OwnOp:
        own, place = name_of(f, name), place_of(f)
        try:
            parameters = _parameters(f)
            rows = tuple(dtype(each) for each in dtypes)
            op = _scalar_op(own, place, f, parameters, rows, None if result is None else dtype(result))
            op.llvm, op.cuda = _texts(llvm, rows), _texts(cuda, rows)
            _check_texts(op)
        except SymgraphError as error:
            raise located(type(error)(f"{own} ({place}): {error}"), []) from None
        find = _loops(rows, len(parameters), None if result is None else dtype(result))
        made = enter(OwnOp(op, f, place, lambda values: promoted(find, values)))
        return made.vjp(vjp) if vjp is not None else made

    return declare


def _scalar_op(
    name: str,
    place: str,
    f: Callable[..., Any],
    parameters: Sequence[str],
    rows: Sequence[DType],
    gives: DType | None,
) -> ScalarOp:
    find = _loops(tuple(rows), len(parameters), gives)

    def infer(*types: TensorType) -> TensorType:
        given = tuple(each.dtype for each in types)
        takes, row = find(*given)
        if takes != given:
            raise DTypeError(f"takes {', '.join(map(str, takes))}; a node does not promote its inputs")
        return TensorType(row, broadcast_shapes(*[each.shape for each in types]))

    def meaning(*arrays: Any) -> Any:
        given = [seen(x) for x in arrays]
        found = np.asarray(called(f, given, {}, name, place))
        _, row = find(*(dtype(x.dtype) for x in given))
        shape = np.broadcast_shapes(*(x.shape for x in given))
        if found.dtype != row.numpy or found.shape != shape:
            kind = DTypeError if found.dtype != row.numpy else ShapeError
            wanted = f"{row.name}{list(shape)}"
            raise kind(f"{name} ({place}): it gave {found.dtype}{list(found.shape)} and should give {wanted}")
        return found

    meaning.__name__ = name
    infer.__signature__ = signature_of(f)  # type: ignore[attr-defined]
    return ScalarOp(name, infer, meaning, elementwise=True, place=place, parameters=tuple(parameters))


@functools.cache
def _loops(rows: tuple[DType, ...], arity: int, gives: DType | None) -> Callable[..., Loop]:
    """The dtypes that such an op takes and the one it gives."""

    @functools.cache
    def find(*kinds: Any) -> Loop:
        (met,) = settled(kinds)
        row = next((each for each in rows if promote(met, each) is each), None)
        if row is None:
            raise DTypeError(f"takes {' or '.join(each.name for each in rows)} values, not {met.name}")
        return (row,) * arity, gives or row

    return find


def _parameters(f: Callable[..., Any]) -> tuple[str, ...]:
    if isinstance(f, np.ufunc):
        return tuple("xyzw"[: f.nin]) if f.nin <= 4 else tuple(f"x{n}" for n in range(f.nin))
    found = tuple(signature_of(f).parameters.values())
    if not found or keywords(f) or any(each.kind is each.VAR_POSITIONAL for each in found):
        raise GraphError("its function takes some arrays by their names, and nothing else")
    for each in found:
        if not re.fullmatch(r"[A-Za-z]\w*", each.name, re.ASCII):
            raise GraphError(f"{each.name!r} cannot be the name of a parameter in LLVM and CUDA C")
    return tuple(each.name for each in found)


def _texts(given: Texts | None, rows: Sequence[DType]) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, str):
        given = {row.name: given for row in rows if not row.is_complex}
    found = {}
    for key, text in given.items():
        row = dtype(key)
        if row not in rows or row.is_complex:
            raise GraphError(f"there is a text for {row.name}, which is not among the real dtypes of the op")
        if not isinstance(text, str) or not text.strip():
            raise GraphError(f"its text for {row.name} is {text!r:.40}")
        found[row.name] = textwrap.dedent(text.strip("\n")).rstrip()
    return found


def _check_texts(op: ScalarOp) -> None:
    for text in (op.llvm or {}).values():
        lines = [line for line in (each.partition(";")[0].strip() for each in text.splitlines()) if line]
        if is_function(text):
            if len(re.findall(r"^\s*define\b", text, re.MULTILINE)) > 1:
                raise GraphError("its LLVM text defines more than one function")
        elif not re.match(r"ret\s", lines[-1]) or any(re.match(r"(br|switch)\s|[\w.$-]+:", x) for x in lines):
            why = "lines for vectors have no labels and branches, and end in a ret; whole functions begin with define"
            raise GraphError(f"its LLVM text is neither lines nor a function: {why}")
    for text in (op.cuda or {}).values():
        if any(line.lstrip().startswith("#") for line in text.splitlines()):
            raise GraphError("its CUDA text is an expression or the body of a function, and has no #")


def is_function(text: str) -> bool:
    """Whether LLVM text is a whole function of numbers."""
    return re.search(r"^\s*define\b", text, re.MULTILINE) is not None
