"""The plan: which steps compute a graph, and which values they leave to each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from symgraph.errors import VerifyError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Dim
from symgraph.graph.graph import Graph, graph
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.control import INNER, BranchAttrs, LoopAttrs
from symgraph.ops.index import index
from symgraph.ops.keys import Slice
from symgraph.ops.shape import reshape, transpose
from symgraph.optimizations.alignment import Axes, Read
from symgraph.optimizations.expand import expanded, is_composite
from symgraph.optimizations.fuse import apart, fused
from symgraph.optimizations.groups import Cut, Group, is_view
from symgraph.optimizations.inner import apart_from, is_item
from symgraph.optimizations.picks import picked_first, picks_few


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Nodes that are computed together, over a space of rows and along each row."""

    name: str
    nodes: tuple[Node, ...]
    along: Mapping[Node, Axes]
    """The axes of the kernel along which each node lies."""
    over: Mapping[Node, Axes]
    """Those along which the argument of each reduction lies."""
    rows: Mapping[int, Dim]
    """The axes of the rows, outer ones first, and their sizes."""
    columns: Mapping[int, Dim]
    """The axes of the sweeps along each row."""
    reads: Mapping[Node, tuple[Read, ...]]
    """What each node reads, of the kernel or from outside."""
    needs: tuple[Node, ...]
    """What is read from outside."""
    writes: tuple[Node, ...]
    """The nodes that others read."""
    updates: frozenset[Node]
    """The variables that become some of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A node that a library computes."""

    node: Node

    @property
    def writes(self) -> tuple[Node, ...]:
        return (self.node,)

    @property
    def needs(self) -> tuple[Node, ...]:
        return self.node.deps


@dataclass(frozen=True, slots=True, eq=False)
class View(Call):
    """A node that is another seen otherwise: no memory of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Loop(Call):
    """A loop, whose turns are plans."""

    items: tuple[Node, ...]
    """Those of its results that others read."""
    body: Plan
    """From the number of the turn, carries, rows and what is read from outside to the next carries, and to the rows of
    ``items`` that are stacked."""
    condition: Plan | None

    @property
    def writes(self) -> tuple[Node, ...]:
        return self.items


@dataclass(frozen=True, slots=True, eq=False)
class Branch(Call):
    """Plans, of which one runs."""

    items: tuple[Node, ...]
    branches: tuple[Plan, ...]
    """From what is read from outside to the ``items``."""

    @property
    def writes(self) -> tuple[Node, ...]:
        return self.items


Step: TypeAlias = Kernel | Call | View | Loop | Branch


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Steps in the order in which they run, and what they leave at the end."""

    name: str
    given: tuple[Node, ...]
    steps: tuple[Step, ...]
    results: tuple[Node, ...]
    cuts: tuple[Cut, ...]

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return tuple(step for step in self.steps if isinstance(step, Kernel))

    def __str__(self) -> str:
        """A line for each step: its space, what it reads, computes and writes."""
        names = _names(self)
        lines = [f"plan {self.name}({', '.join(names[x] for x in self.given)}):"]
        for step in self.steps:
            written = ", ".join(names[x] for x in step.writes)
            read = ", ".join(names[x] for x in step.needs if x.op is not CONSTANT)
            lines.append(f"    {written} = {_what(step)}({read})")
            if isinstance(step, Kernel):
                lines.append(f"        {' '.join(node.op.name for node in step.nodes)}")
            lines += [f"        {line}" for inner in inner_plans(step) for line in str(inner).splitlines()]
        lines.append(f"    return {', '.join(names[x] for x in self.results)}")
        return "\n".join(lines)

    def to_networkx(self) -> Any:
        """The steps as a networkx graph; see `symgraph.optimizations.dag`."""
        from symgraph.optimizations.dag import to_networkx

        return to_networkx(self)

    def explain(self) -> str:
        """For each value that one kernel leaves to another, why the two are not one."""
        where = {node: kernel.name for kernel in self.kernels for node in kernel.nodes}
        lines = []
        for cut in self.cuts:
            pair = f"{where[cut.source]} -> {where[cut.reader]}"
            place = f"   {cut.reader.origin.place}" if cut.reader.origin else ""
            lines.append(f"{pair}: {cut.source.op.name}, read by {cut.reader.op.name}: {cut.reason}{place}")
        return "\n".join(dict.fromkeys(lines))


def inner_plans(step: Step) -> tuple[Plan, ...]:
    """The plans that run as parts of a step."""
    if isinstance(step, Loop):
        return (step.body,) if step.condition is None else (step.condition, step.body)
    return step.branches if isinstance(step, Branch) else ()


def plan(program: Graph, given: Iterable[Node] = (), *, fuse: bool = True, libraries: bool = True) -> Plan:
    """The steps for a graph; composites are computed as their bodies.

    Arrays are given for the graph's inputs and variables, or for ``given`` in their place, which may be more. Without
    ``fuse`` there is a step for each node. Without ``libraries`` kernels do what libraries would do as well; so they do
    in the turns of loops, where a call costs more than it computes.

    >>> from symgraph import exp, placeholder, sum
    >>> from symgraph.graph.graph import graph
    >>> x = placeholder("float32", ("n", "k"), name="x")
    >>> powers = exp(x)
    >>> print(plan(graph([x], [powers / sum(powers, axis=1, keepdims=True)])))
    plan main(x):
        v0 = kernel_0[n][k](x)
            exp sum divide
        return v0
    """
    given = tuple(given) or tuple(dict.fromkeys([*program.inputs, *program.variables()]))
    with paused():
        made = _planned(program, given, fuse, libraries)
    verify_plan(made)
    return made


def verify_plan(made: Plan) -> None:
    """Raise VerifyError where a step reads what nothing before it has written, or a value is written twice."""
    known: set[Node] = set(made.given)
    for step in made.steps:
        for x in step.needs:
            if x not in known and x.op is not CONSTANT:
                raise VerifyError(f"a step of {made.name} reads {x!r}, which no step before it writes")
        for x in step.writes:
            if x in known:
                raise VerifyError(f"a step of {made.name} writes {x!r}, which is there already")
            known.add(x)
    for x in made.results:
        if x not in known and x.op is not CONSTANT:
            raise VerifyError(f"nothing writes {x!r}, a result of {made.name}")


def _planned(
    program: Graph, given: tuple[Node, ...], fuse: bool, libraries: bool, *, inner: bool = False
) -> Plan:
    results = program.roots
    if any(is_composite(node) or picks_few(node) for node in program.nodes()):
        results = tuple(picked_first(expanded(results)))
    if inner:
        results = apart_from(results)
    groups, cuts = fused(results, libraries=libraries) if fuse else (apart(results), [])
    left = _left(groups, results)
    updated = [update.variable for update in program.updates]
    new = dict(zip(updated, results[len(results) - len(updated) :], strict=True))
    steps: list[Step] = []
    numbers = itertools.count()
    scattered: set[Node] = set()
    items = _inner_items(groups)
    for group in groups:
        if group.is_kernel:
            steps.append(_kernel(f"kernel_{next(numbers)}", group, left, new))
            continue
        (node,) = group.members
        if node in items:
            steps.append(_inner(node, items[node], fuse))
        elif not is_item(node):
            steps.append(_single(node, scattered))
    return Plan(program.name, given, tuple(steps), results, tuple(cuts))


def _left(groups: Iterable[Group], results: Iterable[Node]) -> set[Node]:
    """What steps leave to others, or at the end."""
    left = set(results)
    for group in groups:
        left |= group.sources
    return left


def _kernel(name: str, group: Group, left: set[Node], new: Mapping[Node, Node]) -> Kernel:
    rows = {axis: size for axis, size in group.sizes.items() if axis not in group.inner}
    columns = {axis: size for axis, size in group.sizes.items() if axis in group.inner}
    writes = tuple(node for node in group.members if node in left)
    sources = (read.source for node in group.members for read in group.reads[node])
    needs = tuple(dict.fromkeys(x for x in sources if x not in group.along))
    written = set(writes)
    updates = frozenset([variable for variable, x in new.items() if x in written])
    return Kernel(
        name,
        tuple(group.members),
        group.along,
        group.over,
        rows,
        columns,
        group.reads,
        needs,
        writes,
        updates,
    )


def _inner_items(groups: Iterable[Group]) -> dict[Node, list[Node]]:
    """The loops and branches, and the results of each that are wanted, by their numbers."""
    members = [node for group in groups if not group.is_kernel for node in group.members]
    found: dict[Node, list[Node]] = {node: [] for node in members if node.op in INNER}
    for node in members:
        if is_item(node):
            found[node.inputs[0]].append(node)
    return {node: sorted(each, key=lambda x: x.attrs.index) for node, each in found.items()}  # type: ignore[union-attr]


def _inner(node: Node, items: Sequence[Node], fuse: bool) -> Step:
    """A loop or a branch; what is not among the ``items`` is not computed unless they need it."""
    wanted = [x.attrs.index for x in items]  # type: ignore[union-attr]
    match node.attrs:
        case LoopAttrs(body=body, condition=condition, carries=carries):
            rows = [n for n in wanted if carries <= n < len(body.outputs)]
            outputs = [*body.outputs[:carries], *(body.outputs[n] for n in rows)]
            until = None if condition is None else _part(condition, condition.outputs, fuse)
            return Loop(node, tuple(items), _part(body, outputs, fuse), until)
        case BranchAttrs(branches=branches):
            parts = [_part(each, [each.outputs[n] for n in wanted], fuse) for each in branches]
            return Branch(node, tuple(items), tuple(parts))
    raise AssertionError(f"{node.op.name} holds no graph that runs")


def _part(body: Graph, outputs: Sequence[Node], fuse: bool) -> Plan:
    own = graph(body.inputs, outputs, name=body.name, inner=True)
    return _planned(own, body.inputs, fuse, libraries=False, inner=True)


def _single(node: Node, scattered: set[Node]) -> Step:
    """A view or a call; ``scattered`` are the views whose elements do not lie in order, so that a reshape copies."""
    if not is_view(node) or (node.op is reshape.op and node.inputs[0] in scattered):
        return Call(node)
    moves = node.op in (transpose.op, broadcast_to.op) or (node.op is index.op and not _is_block(node))
    if moves or node.inputs[0] in scattered:
        scattered.add(node)
    return View(node)


def _is_block(node: Node) -> bool:
    """Whether an index takes rows that follow each other, whole."""
    first, *others = node.attrs.items or (Slice(),)  # type: ignore[union-attr]
    return isinstance(first, Slice) and first.step in (None, 1) and all(item == Slice() for item in others)


def _names(made: Plan) -> dict[Node, str]:
    names = {x: x.name or x.op.name for x in made.given}
    for step in made.steps:
        for x in step.writes:
            names[x] = f"v{len(names) - len(made.given)}"
    for x in [*made.results, *(x for step in made.steps for x in step.needs)]:
        names.setdefault(x, x.op.name)
    return names


def _what(step: Step) -> str:
    if isinstance(step, Kernel):
        rows, columns = (", ".join(map(str, axes.values())) for axes in (step.rows, step.columns))
        return f"{step.name}[{rows}]" + (f"[{columns}]" if columns else "")
    if isinstance(step, Loop):
        length = step.node.attrs.length  # type: ignore[union-attr]
        return f"loop[{'' if length is None else length}]"
    if isinstance(step, Branch):
        return f"branch[{len(step.branches)}]"
    return f"{'view' if isinstance(step, View) else 'call'} {step.node.op.name}"
