"""Who reads what, while a program is rewritten: a rewrite does not pay where the parts stay for other readers."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from symgraph.graph.node import Node
from symgraph.graph.walk import toposort
from symgraph.optimizations.cost import node_cost


class Uses:
    """How many nodes read each node of the program as it is now; a result counts as read.

    Counting starts at the first question, for most programs raise none.
    """

    def __init__(self, roots: Sequence[Node], becomes: Mapping[Node, Node]) -> None:
        """``becomes`` tells what took the place of a node, and what of that."""
        self._roots, self._becomes = roots, becomes
        self._count: dict[Node, int] | None = None
        self._read_elsewhere: dict[Node, None] = {}
        """What has other readers, so that something was left undone."""
        self._too_dear: list[tuple[Node, Node]] = []
        """What was left as it is because of other readers, and what it would have become."""
        self.asked = False
        """Whether a rule has asked about readers since this was set to False."""

    def now(self, node: Node) -> Node:
        """What a node has become."""
        while node in self._becomes:
            node = self._becomes[node]
        return node

    def once(self, node: Node) -> bool:
        """Whether no more than one node reads this one."""
        self.asked = True
        alone = self._counted().get(self.now(node), 0) <= 1
        if not alone:
            self._read_elsewhere[node] = None
        return alone

    def grows(self, before: Node, after: Node, known: Container[Node]) -> bool:
        """Whether ``after`` costs more than what vanishes with ``before``; the nodes in ``known`` are there already."""
        if after in known:
            return False
        made = [node for node in toposort([after], stop=known) if node not in known]
        spent, saved = sum(map(node_cost, made)), node_cost(before)
        if spent <= saved:
            return False
        self.asked = True
        count = self._counted()
        read = {x for node in made for x in node.deps}
        vanishing = [x for x in set(before.deps) if x not in read]
        while vanishing:
            node = vanishing.pop()
            if count.get(node, 0) <= 1 and node not in read:
                saved += node_cost(node)
                vanishing += set(node.deps)
        if spent > saved:
            self._too_dear.append((before, after))
        return spent > saved

    def still_declines(self, known: Container[Node]) -> bool:
        """Whether all that was left undone would be again, now that the program is another."""
        dear, read = self._too_dear, self._read_elsewhere
        self._too_dear = []
        return all(self._counted().get(self.now(x), 2) > 1 for x in read) and all(
            self.grows(before, after, known) for before, after in dear
        )

    def replaced(self, before: Node, after: Node) -> None:
        """What reads one node reads another from now on."""
        count, now = self._count, self.now
        if count is None:
            return
        readers = count.pop(before, 0)
        if not readers:
            return
        old, new = set(before.deps), set(after.deps)
        is_new = after not in count and now(after) is after
        if is_new and len(old) == len(new) and {now(x) for x in old} == new:
            count[after] = readers  # of what reads what the other did
            return
        self._add(after, readers)
        for x in old:
            self._drop(x)

    def _counted(self) -> dict[Node, int]:
        if self._count is None:
            self._count = {}
            for root in self._roots:
                self._add(self.now(root), 1)
        return self._count

    def _add(self, node: Node, readers: int) -> None:
        assert self._count is not None
        count, now = self._count, self.now
        waiting = [node]
        while waiting:
            node = now(waiting.pop())
            known = count.get(node, 0)
            count[node] = known + readers
            if not known:
                waiting += set(node.deps)
            readers = 1  # of what it reads

    def _drop(self, node: Node) -> None:
        assert self._count is not None
        waiting = [node]
        while waiting:
            node = self.now(waiting.pop())
            self._count[node] -= 1
            if not self._count[node]:
                del self._count[node]
                waiting += set(node.deps)
