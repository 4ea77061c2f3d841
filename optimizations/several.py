"""Steps that write several arrays, where a plan has a tuple first and then takes each of its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from symgraph.graph.node import Node
from symgraph.graph.op import ITEM
from symgraph.optimizations.plan import Call, Plan, Step


@dataclass(frozen=True, slots=True, eq=False)
class Several(Call):
    """A node whose result is a tuple, and those of its parts that others read."""

    items: tuple[Node, ...]

    @property
    def writes(self) -> tuple[Node, ...]:
        return self.items


def with_several(made: Plan, wanted: Callable[[Node], bool]) -> Plan:
    """The plan with such a step for each ``wanted`` node, but for those whose tuple itself is read, or a result.

    >>> from symgraph import linalg, placeholder
    >>> from symgraph.graph.graph import graph
    >>> from symgraph.optimizations.plan import plan
    >>> made = plan(graph([x := placeholder("float32", (3, 3), name="x")], [*linalg.slogdet(x)]))
    >>> print(made)
    plan main(x):
        v0 = call slogdet(x)
        v1 = call item(v0)
        v2 = call item(v0)
        return v1, v2
    >>> print(with_several(made, lambda node: node.op is linalg.slogdet.op))
    plan main(x):
        v0, v1 = call slogdet(x)
        return v0, v1
    """
    calls = {step.node for step in made.steps if isinstance(step, Call)} - set(made.results)
    items: dict[Node, list[Node]] = {x: [] for x in calls if wanted(x)}
    if not items:
        return made
    for step in made.steps:
        for x in items.keys() & set(step.needs):
            if isinstance(step, Call) and step.node.op is ITEM:
                items[x].append(step.node)
            else:
                del items[x]
    taken = {x for each in items.values() for x in each}
    steps: list[Step] = []
    for step in made.steps:
        if isinstance(step, Call) and step.node in items:
            steps.append(Several(step.node, tuple(sorted(items[step.node], key=_index))))
        elif not isinstance(step, Call) or step.node not in taken:
            steps.append(step)
    return replace(made, steps=tuple(steps))


def _index(item: Node) -> int:
    return item.attrs.index  # type: ignore[union-attr, no-any-return]
