"""Rules: two expressions that mean the same, and a claim about how much the same."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from symgraph.errors import GraphError
from symgraph.graph.node import Node
from symgraph.graph.op import PLACEHOLDER, Op
from symgraph.graph.origin import inherit
from symgraph.graph.types import DType
from symgraph.graph.walk import toposort
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.declare import ALL, FLOATS, INTEGERS
from symgraph.optimizations.pattern import Match, fill, match, may_match


class Keeps(enum.Enum):
    """What a rule keeps of the result."""

    BITS = "every bit"
    ROUNDING = "all but a few units in the last place (of a sum, its largest term); NaN and infinity stay"
    SHARPER = "what is right: never further from the truth"
    ALGEBRAIC = "what is true of real numbers, which is not all that is true of floats"


BITS, ROUNDING, SHARPER, ALGEBRAIC = Keeps


@dataclass(frozen=True, eq=False, repr=False)
class Rule:
    """``left`` becomes ``right``; made by ``rule``. What it takes to apply it is found out when it is first tried."""

    name: str
    left: Node | Op | None
    right: Node | Callable[[Match], Node | None]
    keeps: Keeps
    when: Callable[[Match], bool]
    ops: Callable[[Node], bool] | None
    dtypes: tuple[str, ...]
    _example: Node | Callable[[], Node] | None
    _wildcards: Sequence[Node]

    @property
    def root(self) -> Op | None:
        """The op that a node must have; None for any."""
        return self.left.op if isinstance(self.left, Node) else self.left

    @cached_property
    def _order(self) -> Sequence[Node]:
        return toposort([self.right]) if isinstance(self.right, Node) else ()

    @cached_property
    def _written(self) -> Sequence[Node]:
        """The wildcards that have the dtype of the pattern."""
        return [part for part in self._wildcards if part.row is self.written]

    @cached_property
    def _shares(self) -> bool:
        """Whether a node has the dtype of what stands for these wildcards."""
        return isinstance(self.left, Node) and bool(self._wildcards) and self._is_of(self.written, self.left)

    def _is_of(self, row: DType, part: Node) -> bool:
        """Whether all of a pattern is computed in a dtype, element by element."""
        if part.row is not row or not part.op.elementwise:
            return not part.inputs
        return all(self._is_of(row, x) for x in part.inputs if x.inputs)

    @property
    def example(self) -> Node | None:
        """An expression for which the rule holds."""
        return self._example() if callable(self._example) else self._example

    def can_hold(self, node: Node) -> bool:
        """False when the ops of the node and of its inputs tell that the rule does not hold."""
        if isinstance(self.left, Node) and not may_match(self.left, node):
            return False
        return self.ops is None or self.ops(node)

    def apply(self, node: Node, once: Callable[[Node], bool] = lambda node: True) -> Node | None:
        """What the rule makes of a node, of the same type; None where it does not hold.

        ``once`` tells whether a node is read only once in the program.
        """
        if self.ops is not None and not self.ops(node):
            return None
        if self._shares and node.row.name not in self.dtypes:
            return None
        found = match(self.left, node, once) if isinstance(self.left, Node) else Match(node, {}, once)
        if found is None or not self._admits(found) or not self.when(found):
            return None
        with inherit(node.origin):
            made = self.right(found) if callable(self.right) else self._filled(found, self.right)
            return None if made is None or made is node else _fitted(made, node, self)

    def __repr__(self) -> str:
        return f"<rule {self.name}>"

    @property
    def written(self) -> DType:
        """The dtype that the pattern is written in, and that stands for all in ``dtypes``."""
        return self._wildcards[0].row

    def _filled(self, found: Match, right: Node) -> Node:
        return fill(right, self._order, found, found[self._wildcards[0]].row, self.written)

    def _admits(self, found: Match) -> bool:
        """Whether what stands for the wildcards has a dtype of the rule's."""
        return all(found[part].row.name in self.dtypes for part in self._written)


def rule(
    name: str,
    left: Node | Op | None,
    right: Node | Callable[[Match], Node | None],
    *,
    keeps: Keeps = BITS,
    when: Callable[[Match], bool] = lambda found: True,
    ops: Callable[[Node], bool] | None = None,
    dtypes: Sequence[str] | None = None,
    example: Node | Callable[[], Node] | None = None,
) -> Rule:
    """The rule that an expression becomes another, of the same type.

    ``left`` is a pattern, or an op for all its nodes, or None for all nodes. ``right`` is a pattern over the same
    wildcards, or a function of the match, which may decline with None; so may ``when``, with False. ``ops`` saves time:
    it looks at nothing but the ops of a node and of its inputs, and says whether the rule can hold for any such node.
    ``dtypes`` are those in which the claim holds: by default those of the same kind as the pattern's own, or all.
    ``example`` is an expression that the rule changes, or a function that makes one, where the left side alone is none.

    Raises GraphError when the right side has a wildcard that the left one has not.
    """
    found = wildcards([left]) if isinstance(left, Node) else []
    if isinstance(left, Node) and isinstance(right, Node):
        known = set(found)
        strange = [x for x in wildcards([right]) if x not in known]
        if strange:
            raise GraphError(f"rule {name!r}: the right side has {strange[0].name}, and the left has not")
    if dtypes is None:
        dtypes = _DTYPES[found[0].row.kind] if isinstance(left, Node) else ALL
    if example is None and isinstance(left, Node):
        example = left
    return Rule(name, left, right, keeps, when, ops, tuple(dtypes), example, found)


_DTYPES = {"float": FLOATS, "int": INTEGERS, "uint": INTEGERS, "bool": ("bool",)}
"""Those of a rule by the kind of dtype in which its pattern is written."""


_KNOWN, _SETS = 1 << 12, 1 << 6
"""How many combinations of ops a set of rules remembers, and how many other sets."""


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules in the order in which they are tried."""

    name: str
    rules: tuple[Rule, ...]
    _known: dict[tuple[Op, ...], list[Rule]] = field(default_factory=dict, init=False, repr=False)
    _left: dict[Rules, Rules] = field(default_factory=dict, init=False, repr=False)

    def left(self, node: Node) -> Rules:
        """Those that are not known to leave a node as it is."""
        known = node.settled
        if not isinstance(known, Rules):
            return self
        found = self._left.get(known)
        if found is None:
            if len(self._left) >= _SETS:
                self._left.clear()
            tried = set(known)
            rest = tuple([rule for rule in self.rules if rule not in tried])
            found = self._left[known] = Rules(f"{self.name} but {known.name}", rest)
        return found

    @property
    def roots(self) -> KeysView[Op | None]:
        """The ops that some rule is for; with None, where one is for any."""
        return self._rooted.keys()

    @cached_property
    def _rooted(self) -> dict[Op | None, list[tuple[int, Rule]]]:
        """The rules by those ops, each with its place."""
        found: dict[Op | None, list[tuple[int, Rule]]] = {}
        for place, each in enumerate(self.rules):
            found.setdefault(each.root, []).append((place, each))
        return found

    def of(self, node: Node) -> list[Rule]:
        """The rules that can hold for a node, by its op and the ops of its inputs."""
        inputs = node.inputs
        key = (node.op, *[x.op for x in inputs]) if len(inputs) <= 3 else (node.op,)
        found = self._known.get(key)
        if found is None:
            rooted = self._rooted
            found = [each for _, each in sorted(rooted.get(node.op, []) + rooted.get(None, []))]
            if len(inputs) <= 3:
                found = [rule for rule in found if rule.can_hold(node)]
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


def rules(name: str, *parts: Rule | Iterable[Rule]) -> Rules:
    """Rules, and those of other ``Rules``, as one."""
    flat = [each for part in parts for each in ([part] if isinstance(part, Rule) else part)]
    return Rules(name, tuple(flat))


def wildcards(patterns: Iterable[Node]) -> list[Node]:
    """The wildcards of patterns; conditions last, for the others say in which dtype a rule is written."""
    found = [part for part in toposort(patterns) if part.op is PLACEHOLDER]
    return sorted(found, key=lambda part: part.row.kind == "bool")


def _fitted(made: Node, node: Node, rule: Rule) -> Node:
    """The right side in the shape of the left, which an operand that vanished may have broadcast."""
    if made.type is node.type or made.type == node.type:
        return made
    assert made.row is node.row, f"rule {rule.name!r} made {made.type} of {node.type}"
    spread: Node = broadcast_to(made, node.shape)
    return spread
