"""Rewriting to a fixpoint: every node, inputs first, until no rule holds anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import NamedTuple

from symgraph.errors import GraphError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Dim, Size
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.node import Node, make, settle
from symgraph.graph.origin import inherit
from symgraph.graph.walk import rebuild, rename_sizes
from symgraph.ops.control import INNER
from symgraph.optimizations.inner import with_graphs
from symgraph.optimizations.rules import SHARPER, Rule, Rules, rules
from symgraph.optimizations.uses import Uses


class Fired(NamedTuple):
    """A rule, the node that it held for, and what that became."""

    rule: Rule
    before: Node
    after: Node


def rewriting(*sets: Rules) -> Callable[[Graph, list[Fired]], Graph]:
    """The pass that rewrites a graph by some rules; an update of a variable to itself is left out."""
    table = sets[0] if len(sets) == 1 else rules("+".join(each.name for each in sets), *sets)

    def run(program: Graph, log: list[Fired]) -> Graph:
        roots = rewrite(program.roots, table, log=log) if _concerns(table, program) else list(program.roots)
        count = len(program.outputs)
        values = zip(program.updates, roots[count:], strict=True)
        updates = [Update(each.variable, value) for each, value in values if value is not each.variable]
        idle = len(program.updates) - len(updates)
        if not idle and all(a is b for a, b in zip(roots, program.roots, strict=True)):
            return program
        return graph(program.inputs, roots[:count], updates, program.name)

    return run


def _concerns(table: Rules, program: Graph) -> bool:
    """Whether some rule may hold for a node of a program, or of a graph that one holds."""
    nodes = program.nodes()
    ops = {x.op for x in nodes}
    if not INNER.isdisjoint(ops):
        return True
    if None not in table.roots and table.roots.isdisjoint(ops):
        return False
    return any(table.left(node).of(node) for node in nodes)


def rewrite(
    roots: Iterable[Node], table: Rules, *, keep: Iterable[Node] = (), log: list[Fired] | None = None
) -> list[Node]:
    """The roots, with the rules applied wherever they hold, in normal form: none holds any more.

    Nodes in ``keep`` stay as they are, and nothing looks behind them. What fired is added to ``log``.

    Raises GraphError when rules undo each other.
    """
    log = log if log is not None else []
    kept = {node: node for node in keep}
    roots = list(roots)
    with paused():
        for _ in range(_SWEEPS):
            work = _Work(table, dict(kept), log, roots)
            found = [work.normal_form(root) for root in roots]
            if all(map(is_, found, roots)) or work.is_done():
                return found
            roots = found  # what was used elsewhere may no longer be
    raise GraphError(f"the rules of {table.name} do not come to rest")


_SWEEPS = 100


class _Work:
    def __init__(self, table: Rules, final: dict[Node, Node], log: list[Fired], roots: list[Node]) -> None:
        self._table = table
        self._final = final
        self._becomes: dict[Node, Node] = {}
        self._sizes: dict[Size, Dim] = {}
        self._log = log
        self._bodies: dict[Graph, Graph] = {}
        """What became of the graphs that nodes hold."""
        self.uses = Uses(roots, self._becomes)

    def normal_form(self, root: Node) -> Node:
        final, becomes = self._final, self._becomes
        path: list[Node] = []  # from the root to the node that is looked at
        left: list[Iterator[Node]] = [iter((root,))]  # the root, and what each on the path waits for
        while left:
            for node in left[-1]:
                if node in final:
                    continue
                if node in becomes:  # above itself
                    raise self._undone(node)
                path.append(node)
                left.append(iter(node.deps))
                break
            else:
                left.pop()
                if path:
                    self._known(path, left)
        return final[root]

    def is_done(self) -> bool:
        """Whether another sweep would change nothing."""
        return self.uses.still_declines(self._final)

    def _known(self, path: list[Node], left: list[Iterator[Node]]) -> None:
        """All is known that the last node on the path waits for."""
        node, becomes = path[-1], self._becomes
        if node not in becomes and (after := self._step(node)) is not node:
            if self.uses.now(after) is node:
                raise self._undone(node)
            becomes[node] = after
            self.uses.replaced(node, after)
            left.append(iter((after,)))
            return
        path.pop()
        self._final[node] = self._final[becomes[node]] if node in becomes else node

    def _undone(self, node: Node) -> GraphError:
        return GraphError(f"the rules of {self._table.name} undo each other at {node!r}")

    def _inside(self, body: Graph) -> Graph:
        """A graph that a node holds, rewritten too."""
        if body not in self._bodies:
            roots = rewrite(body.outputs, self._table, log=self._log)
            after = graph(body.inputs, roots, name=body.name, inner=True)
            self._bodies |= {body: after, after: after}
        return self._bodies[body]

    def _step(self, node: Node) -> Node:
        """The node on inputs in normal form, or what a rule makes of it; itself when nothing is left to do."""
        inputs = tuple([self._final[x] for x in node.inputs])
        same = not self._sizes and all(map(is_, inputs, node.inputs))
        built = node if same else rebuild(node, inputs, self._sizes)
        if built is not node:
            if node.op.binds_sizes:
                rename_sizes(node, built, self._sizes)
            return built
        if node.op in INNER and (attrs := with_graphs(node.attrs, self._inside)) is not node.attrs:
            with inherit(node.origin):
                return make(node.op, node.inputs, attrs)
        return self._ruled(node)

    def _ruled(self, node: Node) -> Node:
        """What the first rule that holds makes of a node. Rules that were seen to hold in no program are not tried."""
        left, uses = self._table.left(node), self.uses
        if not left.rules:
            return node
        uses.asked = False
        for rule in left.of(node):
            after = rule.apply(node, uses.once)
            if after is not None and (rule.keeps is SHARPER or not uses.grows(node, after, self._final)):
                self._log.append(Fired(rule, node, after))
                return after
        if not uses.asked:
            settle(node, self._table)
        return node
