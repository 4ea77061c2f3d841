"""Rows that are longer than a block: what each sweep computes again, and what is kept from one for the next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from symgraph.codegen.loops import (
    Compute,
    Load,
    LoopKernel,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
    in_order,
    makers,
    of_kernel,
    operands,
)
from symgraph.optimizations.cost import weight

DEAR = 4.0
"""A value that costs so many plain operations is written and read again rather than computed again."""


class Row(NamedTuple):
    """What is done for one row."""

    sections: tuple[Statement | tuple[Statement, ...], ...]
    """Single statements, and the statements of sweeps."""
    kept: Mapping[str, Store | None]
    """The values that later sweeps read, and the array that has room for each; None where no array has."""


@of_kernel
def in_parts(kernel: LoopKernel) -> Row:
    """The sections of a row: each sweep computes what it stores and reduces, from arrays and from what is kept."""
    sweeps = [part for part in kernel.body if isinstance(part, Sweep)]
    if not sweeps:
        return Row(tuple(in_order(kernel)), {})
    return _Rows(kernel, {name for sweep in sweeps for name in _made(sweep.body)}).run()


class _Rows:
    def __init__(self, kernel: LoopKernel, swept: Collection[str]) -> None:
        self._kernel, self._makers, self._swept = kernel, makers(kernel), swept
        self._order = {id(x): n for n, x in enumerate(in_order(kernel))}

    def run(self) -> Row:
        kept = self._kept()
        done: set[str] = set()
        sections: list[Statement | tuple[Statement, ...]] = []
        for part in self._kernel.body:
            if isinstance(part, Sweep):
                section = self._needed(part, done)
                done |= {name for name in _made(section) if name in kept}
                sections.append(tuple(section))
            else:
                sections.append(part)
        homes = self._homes([x for x in sections if isinstance(x, tuple)], kept)
        return Row(tuple(sections), homes)

    def _kept(self) -> dict[str, Store | None]:
        """What a later sweep reads of an earlier one and is stored anyway, or dear."""
        kept: dict[str, Store | None] = {}
        earlier: set[str] = set()
        stored: dict[str, Store] = {}
        for sweep in self._sweeps():
            section = self._needed(sweep, set(kept))
            new = [x for x in section if isinstance(x, Store | Reduce) or x.target.name not in earlier]
            for x in (x for each in new for x in self._swept_operands(each) if x.name in earlier):
                if x.name in stored or self._cost(x) >= DEAR:
                    kept.setdefault(x.name, stored.get(x.name))
            earlier.update(_made(section))
            stored |= {
                x.value.name: x for x in sweep.body if isinstance(x, Store) and isinstance(x.value, Value)
            }
        return kept

    def _homes(
        self, sections: Sequence[Sequence[Statement]], kept: Mapping[str, Store | None]
    ) -> dict[str, Store | None]:
        """An array for what is kept where one is written over it at the last reading."""
        homes = dict(kept)
        taken = {store.param.name for store in kept.values() if store is not None}
        for name, home in kept.items():
            if home is not None:
                continue
            last = [
                section
                for section in sections
                if any(x.name == name for each in section for x in self._swept_operands(each))
            ][-1]
            for store in self._over(name, last):
                if store.param.name not in taken:
                    homes[name] = store
                    taken.add(store.param.name)
                    break
        return homes

    def _over(self, name: str, section: Sequence[Statement]) -> Iterator[Store]:
        """The stores of a section whose element is computed when the value is read for the last time, or later."""
        readers = [
            n for n, each in enumerate(section) if any(x.name == name for x in self._swept_operands(each))
        ]
        place = {x.target.name: n for n, x in enumerate(section) if isinstance(x, Compute)}
        row = self._makers[name].target.row
        for store in section:
            if (
                not isinstance(store, Store)
                or store.param.type.dtype is not row
                or not isinstance(store.value, Value)
            ):
                continue
            at = place.get(store.value.name)
            if at is not None and readers[-1] <= at:
                maker = section[at]
                assert isinstance(maker, Compute)
                if readers[-1] < at or isinstance(maker.op.numpy, np.ufunc):
                    yield store

    def _needed(self, sweep: Sweep, known: Collection[str]) -> list[Statement]:
        """What a sweep does, with what it reads of earlier sweeps done again."""
        section = [x for x in sweep.body if isinstance(x, Store | Reduce)]
        found = self._behind([x for each in section for x in self._swept_operands(each)], known)
        return [*sorted(found, key=lambda x: self._order[id(x)]), *section]

    def _behind(self, values: Sequence[Value], known: Collection[str] = ()) -> list[Statement]:
        """The statements that compute values from what is known."""
        found: dict[str, Statement] = {}
        waiting = list(values)
        while waiting:
            x = waiting.pop()
            if x.name not in found and x.name not in known:
                found[x.name] = self._makers[x.name]
                waiting += self._swept_operands(found[x.name])
        return list(found.values())

    def _cost(self, value: Value) -> float:
        made = self._behind([value])
        return sum(weight(x.op, len(x.args)) for x in made if isinstance(x, Compute))

    def _swept_operands(self, each: Statement) -> list[Value]:
        return [x for x in operands(each) if isinstance(x, Value) and x.name in self._swept]

    def _sweeps(self) -> Iterator[Sweep]:
        return (part for part in self._kernel.body if isinstance(part, Sweep))


def _made(section: Sequence[Statement]) -> list[str]:
    return [x.target.name for x in section if isinstance(x, Load | Compute)]
