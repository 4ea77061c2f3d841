"""What a kernel computes only where some row asks for it.

::

    total: f64 = reduce(sum, squares)
    fits: bool = less(total, f64(inf))
    for j in sweep(k):
        ...
        again: f64 = reduce(sum, scaled)
    chosen: f64 = where(fits, total, again)

Nothing but the ``where`` reads ``again``, so that the second sweep is left out where all rows fit. Each row still has
the bits that it would have alone: the others decide whether its ``again`` is computed, and it never reads that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from symgraph.codegen.loops import (
    Compute,
    LoopKernel,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
    in_order,
    operands,
)
from symgraph.ops.arithmetic import where

Item = tuple[Statement, ...]
"""A statement, or those of a sweep."""


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """Statements that are needed where some row has ``wanted`` for its condition."""

    condition: Value
    wanted: bool
    made: frozenset[str]
    """The names of what they compute."""


def guards(kernel: LoopKernel) -> tuple[Guard, ...]:
    """The guards of a kernel that save a sweep; no statement has two."""
    body = in_order(kernel)
    choices = [x for x in body if isinstance(x, Compute) and x.op is where.op]
    if not choices:
        return ()
    sweeps = [part.body for part in kernel.body if isinstance(part, Sweep)]
    swept = {x.target.name for each in sweeps for x in each if not isinstance(x, Store | Reduce)}
    asked = dict.fromkeys(
        (x.args[0].name, wanted)
        for x in choices
        if isinstance(x.args[0], Value) and x.args[0].name not in swept
        for wanted in (False, True)
    )
    if not asked:
        return ()
    made = {x.target.name: x for x in body if not isinstance(x, Store)}
    readers: dict[str, list[Statement]] = {name: [] for name in made}
    for each in body:
        for x in operands(each):
            if isinstance(x, Value) and x.name in made:
                readers[x.name].append(each)
    found = []
    for name, wanted in asked:
        members: set[str] = set()
        for target in reversed(made):
            if readers[target] and all(
                _is_branch(each, target, name, wanted)
                or (not isinstance(each, Store) and each.target.name in members)
                for each in readers[target]
            ):
                members.add(target)
        if any(isinstance(made[each], Reduce) for each in members):
            condition = next(
                x for each in body for x in operands(each) if isinstance(x, Value) and x.name == name
            )
            found.append(Guard(condition, wanted, frozenset(members)))
    return tuple(_apart(found))


def _is_branch(each: Statement, name: str, condition: str, wanted: bool) -> bool:
    """Whether a statement reads a value only where the condition is as wanted."""
    if not isinstance(each, Compute) or each.op is not where.op:
        return False
    asked, *branches = (x.name if isinstance(x, Value) else None for x in each.args)
    return asked == condition and branches[0 if wanted else 1] == name and branches.count(name) == 1


def _apart(found: Sequence[Guard]) -> Iterator[Guard]:
    """The largest of those that have statements in common."""
    taken: set[str] = set()
    for guard in sorted(found, key=lambda each: -len(each.made)):
        if taken.isdisjoint(guard.made):
            taken |= guard.made
            yield guard


def guarded(
    items: Sequence[Item], known: Sequence[Guard], kept: Collection[str] = ()
) -> list[tuple[Item, Guard | None]]:
    """The items, each with its guard, and what a guard has in common right before the first that reads it.

    A guard is left out where a sweep does something else too, or makes what is ``kept`` for others.
    """
    if not known:
        return [(item, None) for item in items]
    split = {guard for item in items for guard in known if _is_split(item, guard, kept)}
    found: list[tuple[Item, Guard | None]] = []
    waiting: dict[Guard, list[Item]] = {guard: [] for guard in known if guard not in split}
    for item in items:
        own = next((guard for guard in waiting if _needed(item) & guard.made), None)
        if own is not None:
            waiting[own].append(item)
            continue
        read = {x.name for each in item for x in operands(each) if isinstance(x, Value)}
        for guard, members in waiting.items():
            if members and read & guard.made:
                found += [(member, guard) for member in members]
                members.clear()
        found.append((item, None))
    return found


def _needed(item: Item) -> set[str]:
    """The names of what an item leaves to others; "" for a store."""
    if len(item) == 1:
        (each,) = item
        return {"" if isinstance(each, Store) else each.target.name}
    return {
        "" if isinstance(each, Store) else each.target.name
        for each in item
        if isinstance(each, Store | Reduce)
    }


def _is_split(item: Item, guard: Guard, kept: Collection[str]) -> bool:
    needed = _needed(item)
    if not needed & guard.made:
        return False
    made = {each.target.name for each in item if not isinstance(each, Store)}
    return not needed <= guard.made or bool(made & set(kept) - guard.made)
