"""Loops and branches made smaller: what nobody reads is not computed, what does not change is computed before, and
loops over the same are one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from symgraph.graph.constants import MOVES
from symgraph.graph.dims import Dim
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.node import Node, make
from symgraph.graph.op import CONSTANT, ITEM, item
from symgraph.graph.trace import Names
from symgraph.graph.walk import rebuild, substitute, toposort
from symgraph.ops.control import INNER, LOOP, BranchAttrs, LoopAttrs
from symgraph.ops.linalg import matmul, tensordot
from symgraph.ops.reduce import sum
from symgraph.ops.transcendental import pow
from symgraph.optimizations.inner import is_item, with_graphs
from symgraph.optimizations.rewrite import Fired, rewrite
from symgraph.optimizations.rules import Rules


def tidying(table: Rules) -> Callable[[Graph, list[Fired]], Graph]:
    """The pass; what comes out of loops is rewritten by some rules."""

    def run(program: Graph, log: list[Fired]) -> Graph:
        if not any(node.op in INNER for node in program.nodes()):
            return program
        roots = rewrite(_tidied(program.roots, {}), table, log=log)
        count = len(program.outputs)
        pairs = zip(program.updates, roots[count:], strict=True)
        updates = [Update(each.variable, value) for each, value in pairs]
        return graph(program.inputs, roots[:count], updates, program.name)

    return run


def _tidied(roots: Sequence[Node], known: dict[Graph, Graph]) -> list[Node]:
    """The roots, with loops and branches as small as can be; those inside of them come first. ``known`` are graphs that
    were met before, since several nodes may hold one."""
    roots = _merged(list(roots))
    order = toposort(roots)
    wanted = _wanted(order, roots)
    new: dict[Node, Node] = {}
    results: dict[Node, Mapping[int, Node]] = {}
    for node in order:
        if is_item(node) and node.inputs[0] in results:
            new[node] = results[node.inputs[0]][node.attrs.index]  # type: ignore[union-attr]
            continue
        built = rebuild(node, tuple(new[x] for x in node.inputs))
        if node.op in INNER:
            built = make(node.op, built.inputs, with_graphs(built.attrs, lambda x: _tidied_inside(x, known)))
        new[node] = built
        if node in wanted and isinstance(built.attrs, LoopAttrs):
            results[node] = _smaller_loop(built, built.attrs, wanted[node])
        elif node in wanted and isinstance(built.attrs, BranchAttrs):
            results[node] = _smaller_branch(built, built.attrs, wanted[node])
    return [new[root] for root in roots]


def _tidied_inside(body: Graph, known: dict[Graph, Graph]) -> Graph:
    if body not in known:
        known[body] = graph(body.inputs, _tidied(body.outputs, known), name=body.name, inner=True)
    return known[body]


def _wanted(order: Iterable[Node], roots: Sequence[Node]) -> dict[Node, list[int]]:
    """The numbers of the results that are read, of each loop and branch whose results are read one by one."""
    found: dict[Node, set[int]] = {}
    whole = set(roots)
    for node in order:
        for x in node.inputs:
            if x.op in INNER and node.op is ITEM:
                found.setdefault(x, set()).add(node.attrs.index)  # type: ignore[union-attr]
            elif x.op in INNER:
                whole.add(x)
    return {node: sorted(numbers) for node, numbers in found.items() if node not in whole}


# A loop, taken apart


class _Carry(NamedTuple):
    stand: Node
    init: Node
    after: Node


class _Loop(NamedTuple):
    """What a loop consists of; results that are not its own are in ``known``."""

    attrs: LoopAttrs
    carries: Mapping[int, _Carry]
    """By the numbers of the results that they are at the end."""
    rows: Mapping[Node, Node]
    """What is gone through, by what stands for a row."""
    outer: Mapping[Node, Node]
    stacked: Mapping[int, Node]
    condition: Node | None
    known: Mapping[int, Node]

    @classmethod
    def of(cls, node: Node) -> _Loop:
        attrs = node.attrs
        assert isinstance(attrs, LoopAttrs)
        stands, end = attrs.body.inputs[1:], attrs.carries + attrs.rows
        outputs = attrs.body.outputs
        carries = {n: _Carry(stands[n], node.inputs[n], outputs[n]) for n in range(attrs.carries)}
        outer = dict(zip(stands[end:], node.inputs[end:], strict=True))
        condition = None
        if attrs.condition is not None:  # it may call by other names what the body takes
            names = dict(
                zip(attrs.condition.inputs[1:], [*stands[: attrs.carries], *stands[end:]], strict=True)
            )
            names[attrs.condition.inputs[0]] = attrs.body.inputs[0]
            (condition,) = substitute(attrs.condition.outputs, names)
        return cls(
            attrs,
            carries,
            dict(zip(stands[attrs.carries : end], node.inputs[attrs.carries : end], strict=True)),
            outer,
            {n: outputs[n] for n in range(attrs.carries, len(outputs))},
            condition,
            {},
        )

    @property
    def number(self) -> Node:
        return self.attrs.body.inputs[0]

    @property
    def roots(self) -> list[Node]:
        """What a turn computes."""
        asked = [] if self.condition is None else [self.condition]
        return [*(x.after for x in self.carries.values()), *self.stacked.values(), *asked]

    def with_roots(self, roots: Sequence[Node]) -> _Loop:
        left = iter(roots)
        carries = {n: x._replace(after=next(left)) for n, x in self.carries.items()}
        stacked = {n: next(left) for n in self.stacked}
        condition = None if self.condition is None else next(left)
        return self._replace(carries=carries, stacked=stacked, condition=condition)

    def build(self, wanted: Sequence[int]) -> dict[int, Node]:
        """What stands for the wanted results."""
        held = [x.stand for x in self.carries.values()]
        outputs = [*(x.after for x in self.carries.values()), *self.stacked.values()]
        body = graph(
            [self.number, *held, *self.rows, *self.outer], outputs, name=self.attrs.body.name, inner=True
        )
        condition = self.attrs.condition
        if condition is not None and self.condition is not None:
            inputs = [self.number, *held, *self.outer]
            condition = graph(inputs, [self.condition], name=condition.name, inner=True)
        inputs = [*(x.init for x in self.carries.values()), *self.rows.values(), *self.outer.values()]
        attrs = replace(
            self.attrs, body=body, condition=condition, carries=len(self.carries), rows=len(self.rows)
        )
        node = make(LOOP, tuple(inputs), attrs)
        places = {n: place for place, n in enumerate((*self.carries, *self.stacked))}
        count = len(self.attrs.body.outputs)
        places[count] = len(places)  # the number of turns
        return {n: self.known[n] if n in self.known else item(node, places[n]) for n in wanted}


def _smaller_loop(node: Node, attrs: LoopAttrs, wanted: Sequence[int]) -> dict[int, Node]:
    """What stands for the wanted results of a loop."""
    loop = _Loop.of(node)
    for change in (_with_constants, _without_still, _with_hoisted):
        loop = change(loop)
    return _without_dead(loop, wanted).build(wanted)


def _with_constants(loop: _Loop) -> _Loop:
    """Constants stand where they are read."""
    known = {stand: x for stand, x in loop.outer.items() if _is_constant(x)}
    if not known:
        return loop
    outer = {stand: x for stand, x in loop.outer.items() if stand not in known}
    return loop.with_roots(substitute(loop.roots, known))._replace(outer=outer)


def _is_constant(x: Node) -> bool:
    while x.op.name in MOVES and len(x.inputs) == 1:
        x = x.inputs[0]
    return x.op is CONSTANT


def _without_still(loop: _Loop) -> _Loop:
    """A carry that stays what it is is read from outside."""
    still = {n: x for n, x in loop.carries.items() if x.after is x.stand}
    if not still:
        return loop
    carries = {n: x for n, x in loop.carries.items() if n not in still}
    outer = {**loop.outer, **{x.stand: x.init for x in still.values()}}
    return loop._replace(carries=carries, outer=outer, known={n: x.init for n, x in still.items()})


def _without_dead(loop: _Loop, wanted: Sequence[int]) -> _Loop:
    """Nothing is computed that no wanted result asks for."""
    stacked = {n: x for n, x in loop.stacked.items() if n in wanted}
    by_stand = {x.stand: n for n, x in loop.carries.items()}
    alive = {n for n in loop.carries if n in wanted}
    roots = [*stacked.values(), *([] if loop.condition is None else [loop.condition])]
    roots += [loop.carries[n].after for n in alive]
    seen: set[Node] = set()
    while roots:
        found = [x for x in toposort(roots, stop=seen) if x not in seen]
        seen.update(found)
        late = {by_stand[x] for x in found if x in by_stand} - alive
        alive |= late
        roots = [loop.carries[n].after for n in late]
    carries = {n: x for n, x in loop.carries.items() if n in alive}
    rows = {stand: x for stand, x in loop.rows.items() if stand in seen}
    outer = {stand: x for stand, x in loop.outer.items() if stand in seen}
    return loop._replace(carries=carries, stacked=stacked, rows=rows, outer=outer)


def _with_hoisted(loop: _Loop) -> _Loop:
    """What depends on nothing that changes is computed before the loop."""
    order = toposort(loop.roots)
    runs = loop.condition is None and isinstance(loop.attrs.length, int) and loop.attrs.length > 0
    still = set(loop.outer)
    worth: set[Node] = set()
    for x in order:
        is_still = x.inputs and all(dep in still or dep.op is CONSTANT for dep in x.deps)
        if is_still and (runs or _is_safe(x)):
            still.add(x)
            if x.op.name not in MOVES and x.op not in INNER:
                worth.add(x)
    read = [x for y in order if y not in still for x in y.inputs] + loop.roots
    hoisted = dict.fromkeys(y for x in read for y in _computed(x, still, worth))
    if not hoisted:
        return loop
    names = Names((*loop.outer, *loop.rows, *(c.stand for c in loop.carries.values())))
    stands = {x: names.stand("before", x.tensor) for x in hoisted}
    outside = substitute(hoisted, loop.outer)
    outer = {**loop.outer, **dict(zip(stands.values(), outside, strict=True))}
    return loop.with_roots(substitute(loop.roots, stands))._replace(outer=outer)


def _computed(x: Node, still: set[Node], worth: set[Node]) -> Iterator[Node]:
    """What is worth to be computed before, seen through moves, which cost nothing in a kernel."""
    waiting = [x]
    while waiting:
        x = waiting.pop()
        if x in worth:
            yield x
        elif x in still:
            waiting += x.inputs


def _is_safe(node: Node) -> bool:
    """Whether the node raises nothing, so that it may be computed where no turn might ask for it."""
    if node.op is pow.op:
        return node.row.is_inexact
    return node.op.elementwise or node.op.name in MOVES or node.op in (matmul.op, tensordot.op, sum.op)


# A branch


def _smaller_branch(node: Node, attrs: BranchAttrs, wanted: Sequence[int]) -> dict[int, Node]:
    """What stands for the wanted results of a branch: ways that compute them alone, of what they read."""
    index, *given = node.inputs
    constant = {n for n, x in enumerate(given) if _is_constant(x)}
    ways = []
    for each in attrs.branches:
        known = {each.inputs[n]: given[n] for n in constant}
        ways.append(substitute([each.outputs[n] for n in wanted], known))
    read = [set(toposort(outputs)) for outputs in ways]
    kept = [
        n
        for n in range(len(given))
        if any(each.inputs[n] in seen for each, seen in zip(attrs.branches, read, strict=True))
    ]
    if index.op is CONSTANT and 0 <= (n := int(index.attrs.value)) < len(ways):  # type: ignore[union-attr]
        outside = dict(zip(attrs.branches[n].inputs, given, strict=True))
        return dict(zip(wanted, substitute(ways[n], outside), strict=True))
    branches = tuple(
        graph([each.inputs[n] for n in kept], outputs, name=each.name, inner=True)
        for each, outputs in zip(attrs.branches, ways, strict=True)
    )
    made = make(node.op, (index, *(given[n] for n in kept)), BranchAttrs(branches))
    return {n: item(made, place) for place, n in enumerate(wanted)}


# Loops over the same


def _merged(roots: list[Node]) -> list[Node]:
    """The roots, where loops that carry and go through the same are one: a loop, and the one that its gradient asks
    for, which stacks more."""
    while True:
        loops = [node for node in toposort(roots) if node.op is LOOP]
        for a, b in combinations(loops, 2):
            if (found := _union(a, b)) is not None:
                roots = substitute(roots, found)
                break
        else:
            return roots


def _union(a: Node, b: Node) -> dict[Node, Node] | None:
    """What stands for the results of two loops that are one; None where they are not."""
    one, other = _Loop.of(a), _Loop.of(b)
    if _shape(one) != _shape(other) or one.condition is not other.condition or one.number is not other.number:
        return None
    if set(one.carries.values()) != set(other.carries.values()):
        return None
    pairs = [*zip((one.rows, one.outer), (other.rows, other.outer), strict=True)]
    if any(mine[x] is not theirs[x] for mine, theirs in pairs for x in mine.keys() & theirs.keys()):
        return None
    if a in set(toposort(b.inputs)) or b in set(toposort(a.inputs)):
        return None
    carried = {x: n for n, x in one.carries.items()}
    stacked = {x: n for n, x in reversed(list(one.stacked.items()))}
    count = len(one.attrs.body.outputs)
    more = {n: x for n, x in other.stacked.items() if x not in stacked}
    whole = one._replace(
        rows={**one.rows, **other.rows},
        outer={**one.outer, **other.outer},
        stacked={**one.stacked, **{count + 1 + n: x for n, x in more.items()}},
    )
    own = {n: n for n in range(count + (one.condition is not None))}
    places = {n: carried[x] for n, x in other.carries.items()}
    places |= {n: count + 1 + n if n in more else stacked[x] for n, x in other.stacked.items()}
    if one.condition is not None:
        places[len(other.attrs.body.outputs)] = count
    made = whole.build([*own, *(n for n in places.values() if n not in own)])
    found = {item(b, n): made[place] for n, place in places.items()}
    return found | {item(a, n): made[n] for n in own}


def _shape(loop: _Loop) -> tuple[Dim | None, bool, Dim | None]:
    return loop.attrs.length, loop.attrs.reverse, loop.attrs.segment
