"""What must hold of loops: nothing is read before it is known, nothing lies outside of its array."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    Loop,
    LoopKernel,
    Param,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
    carries,
    operands,
    statements,
)
from symgraph.codegen.ranges import Facts, facts_of, holds
from symgraph.errors import ShapeError, VerifyError
from symgraph.graph.binding import substitute_dim
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.text import identifier
from symgraph.graph.types import TensorType, TupleType, Type
from symgraph.ops.reduce import ArgAttrs

MOST_TURNING = 6
"""Loop variables of one index whose ends are tried together."""


def verify_loops(kernel: LoopKernel) -> None:
    """Raise VerifyError for a value that is read before it is known, an index with a foreign variable or outside of
    its array, a dtype that does not fit, an array that is not written, a store that several turns of the loops
    make at one place, or what is carried where turns do not follow each other.

    An index is outside where that is proved of a turn at the ends of the loops; no other index is refused.
    """
    _check_names(kernel)
    _check_carries(kernel)
    known: dict[str, bool] = {}
    written: set[Param] = set()
    for statement, loops, swept in statements(kernel):
        for x in (statement.first,) if isinstance(statement, Carry) else operands(statement):
            if isinstance(x, Value) and x.name not in known:
                raise VerifyError(f"{kernel.name}: {x} is read before it is known: {statement}")
            if isinstance(x, Value) and known[x.name] and not swept:
                raise VerifyError(f"{kernel.name}: {x} is an element, and a row reads it: {statement}")
        _check_dtype(kernel, statement)
        match statement:
            case Load(_, param, index) | Store(param, index, _):
                _check_index(kernel, param, index, loops, statement)
        match statement:
            case Store(param, index, _):
                used = {variable for dim in index if isinstance(dim, Size) for variable in symbols(dim)}
                missing = [loop.variable for loop in loops if loop.variable not in used and loop.size != 1]
                if missing:
                    raise VerifyError(
                        f"{kernel.name}: every turn of {missing[0]} writes one place: {statement}"
                    )
                written.add(param)
            case Load(target) | Compute(target) | Reduce(target) | Carry(target):
                if isinstance(statement, Reduce | Carry) and not swept:
                    does = "a row is reduced" if isinstance(statement, Reduce) else "something is carried"
                    raise VerifyError(f"{kernel.name}: {does} outside of a sweep: {statement}")
                if target.name in known:
                    raise VerifyError(f"{kernel.name}: {target} is named twice: {statement}")
                known[target.name] = swept and not isinstance(statement, Reduce | Carry)
    for param in kernel.writes:
        if param not in written:
            raise VerifyError(f"{kernel.name}: nothing is written to {param.name}")


def _check_names(kernel: LoopKernel) -> None:
    """Arrays have names that text can say, and a loop's size is the same in every turn of the others."""
    names = [param.name for param in (*kernel.reads, *kernel.writes)]
    for name in names:
        if names.count(name) > 1:
            raise VerifyError(f"{kernel.name}: two arrays are called {name}")
        if identifier(name) != name:
            raise VerifyError(f"{kernel.name}: an array is called {name!r}, which is no name")
    for loops in [
        kernel.rows,
        *(kernel.rows + part.loops for part in kernel.body if isinstance(part, Sweep)),
    ]:
        variables = {loop.variable for loop in loops}
        if len(variables) < len(loops):
            raise VerifyError(f"{kernel.name}: a variable turns in two loops at once")
        for loop in loops:
            if not variables.isdisjoint(symbols(loop.size)):
                raise VerifyError(f"{kernel.name}: {loop.size}, the size of a loop, turns itself")


def _check_carries(kernel: LoopKernel) -> None:
    """A sweep that carries is the only one, and reduces nothing; what its first turn has is known before it, and what
    the next has in it."""
    if not carries(kernel):
        return
    sweeps = [part for part in kernel.body if isinstance(part, Sweep)]
    if len(sweeps) > 1 or any(isinstance(x, Reduce) for sweep in sweeps for x in sweep.body):
        raise VerifyError(f"{kernel.name}: a sweep carries, and there is another or it reduces")
    end = max((n for n, (_, _, swept) in enumerate(statements(kernel), 1) if swept), default=0)
    made = {x.target.name: swept for x, _, swept in statements(kernel)[:end] if not isinstance(x, Store)}
    for each in carries(kernel):
        if isinstance(each.first, Value) and made.get(each.first.name):
            raise VerifyError(f"{kernel.name}: {each.first} is not known before the sweep: {each}")
        if isinstance(each.after, Value) and each.after.name not in made:
            raise VerifyError(f"{kernel.name}: no turn knows {each.after}: {each}")


def _check_dtype(kernel: LoopKernel, statement: Statement) -> None:
    """What is stored is an element of its array, and what is declared is what the op gives."""
    found: Type
    match statement:
        case Load(target, param, _) | Store(param, _, target):
            if target.row is not param.type.dtype:
                raise VerifyError(
                    f"{kernel.name}: {target.row.name} is no element of {param.type}: {statement}"
                )
            return
        case Carry(target, first, after):
            if not target.row is first.row is after.row:
                raise VerifyError(
                    f"{kernel.name}: dtypes are {first.row.name} and {after.row.name}: {statement}"
                )
            return
        case Compute(target, op, args, attrs):
            types = [TensorType(x.row, ()) for x in args]
            fields = attrs.fields() if attrs is not None else {}
        case Reduce(target, op, arg):
            types, fields = [TensorType(arg.row, (1,))], {"axes": (0,), "keepdims": False}
            if op.attrs is ArgAttrs:
                fields = {"axis": 0, "keepdims": False}
    try:
        found = op.infer(*types, **fields)
    except Exception as error:  # type rules rely on what the op's public function lets through
        reason = str(error).partition("\n")[0]
        raise VerifyError(f"{kernel.name}: {op.name} refuses its inputs: {reason}: {statement}") from None
    if isinstance(found, TupleType) or found.dtype is not target.row:
        raise VerifyError(f"{kernel.name}: {op.name} gives {found}, not {target.row.short}: {statement}")


def _check_index(
    kernel: LoopKernel, param: Param, index: tuple[Dim, ...], loops: tuple[Loop, ...], statement: Statement
) -> None:
    if param not in (kernel.reads if isinstance(statement, Load) else kernel.writes):
        access = "read" if isinstance(statement, Load) else "written"
        raise VerifyError(f"{kernel.name}: {param.name} is not among what is {access}: {statement}")
    if len(index) != len(param.type.shape):
        raise VerifyError(f"{kernel.name}: {param.type} has {len(param.type.shape)} axes: {statement}")
    own = {loop.variable for loop in loops}
    every = {loop.variable for part in kernel.body if isinstance(part, Sweep) for loop in part.loops} | {
        loop.variable for loop in kernel.rows
    }
    for axis, (dim, size) in enumerate(zip(index, param.type.shape, strict=True)):
        strange = [x for x in symbols(dim) if x in every and x not in own]
        if strange:
            raise VerifyError(f"{kernel.name}: {strange[0]} does not turn here: {statement}")
        outside = _outside(dim, size, loops)
        if outside is not None:
            raise VerifyError(
                f"{kernel.name}: {outside} is outside of axis {axis} of {param.name}: {param.type}: {statement}"
            )


def _outside(index: Dim, size: Dim, loops: Sequence[Loop]) -> str | None:
    """``i + 1, which is n where i is n - 1``, for a turn in which the index is outside of an axis of this size, with
    any binding of the sizes for which the loops turn; None where none of the turns at the ends of loops is known to
    be one."""
    ranges = {loop.variable: loop.size for loop in loops}
    extent = ranges.get(index) if isinstance(index, Size) else None
    if (extent is not None and extent == size) or any(extent == 0 for extent in ranges.values()):
        return None
    turning = [variable for variable in ranges if variable in symbols(index)]
    if len(turning) > MOST_TURNING:
        return None
    facts = facts_of(ranges)
    for turn in product(*((0, ranges[variable] - 1) for variable in turning)):
        try:
            place = substitute_dim(index, dict(zip(turning, turn, strict=True)))
            left = holds(place - size, facts) or holds(-1 - place, facts)
        except ShapeError:  # it grew too large on the way, or divides by zero
            continue
        if left and _may_turn(facts):
            where = " and ".join(f"{variable} is {end}" for variable, end in zip(turning, turn, strict=True))
            return f"{index}, which is {place} where {where}," if turning else str(index)
    return None


def _may_turn(facts: Facts) -> bool:
    """Whether no size is 0 for every binding; of ``broadcast(n, min(n, 0))`` the second always is."""
    sizes = facts_of({})
    return not any(holds(least - 1 - size, sizes) for size, least in facts.least.items())
