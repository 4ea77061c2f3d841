"""Branches over functions of the user's, of which one is computed: ``cond`` and ``switch``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, located, recorded
from symgraph.graph.op import as_node, items
from symgraph.graph.structure import flatten, is_single, spelled, unflatten
from symgraph.graph.trace import arguments, capture
from symgraph.graph.types import BOOL, INT64, promote
from symgraph.ops.arithmetic import astype
from symgraph.ops.control import BRANCH
from symgraph.ops.declare import macro


@macro()
def cond(
    predicate: Any,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    *operands: Any,
) -> Any:
    """What ``if_true(*operands)`` gives where ``predicate``, one bool, holds, and else ``if_false(*operands)``.

    Only what is taken is computed. Both give the same structure of nodes, of one dtype and shape each. They may read
    nodes from outside. For a choice element by element, there is ``where``.

    >>> x = placeholder("float64", (), name="x")
    >>> y = cond(x > 0, lambda: sqrt(x), lambda: -x)
    >>> evaluate(y, {x: 9.0}), evaluate(y, {x: -2.0})
    (array(3.), array(2.))

    Raises DTypeError for a predicate that is not one bool, ArgumentError, DTypeError and ShapeError for results that
    do not agree.
    """
    predicate = as_node(predicate)
    if predicate.row is not BOOL or predicate.shape:
        raise DTypeError(f"the predicate is {predicate.type}; it must be one bool")
    ways = {"if_false": if_false, "if_true": if_true}
    return _branch(astype(predicate, INT64), ways, operands)


@macro()
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """What the function of ``branches`` whose number is ``index``, one integer, makes of the operands.

    Only that is computed. All give the same structure of nodes, of one dtype and shape each.

    >>> i = placeholder("int64", (), name="i")
    >>> y = switch(i, [lambda x: x, lambda x: x * x, lambda x: -x], 3.0)
    >>> evaluate(y, {i: 1})
    array(9.)

    Raises DTypeError for an index that is not one integer, ArgumentError, DTypeError and ShapeError for results that do
    not agree; the call raises OutOfBoundsError for a number that no branch has.
    """
    index = as_node(index)
    if index.row.kind not in ("int", "uint") or index.shape:
        raise DTypeError(f"the index is {index.type}; it must be one integer")
    if not branches:
        raise ArgumentError("needs a branch")
    return _branch(astype(index, INT64), {f"branch {n}": f for n, f in enumerate(branches)}, operands)


def _branch(index: Node, ways: Mapping[str, Callable[..., Any]], operands: Sequence[Any]) -> Any:
    """``ways`` are called by the names that errors have."""
    given = [as_node(x) for x in flatten(operands, is_single)]
    with arguments([x.tensor for x in given]) as stands, recorded() as made:
        own = unflatten(tuple(operands), is_single, list(stands))
        returned = [f(*own) for f in ways.values()]
        leaves = [flatten(each, is_single) for each in returned]
        names = list(ways)
        for name, each in zip(names, returned, strict=True):
            if spelled(each) != spelled(returned[0]):
                text = f"{names[0]} gives {spelled(returned[0])} and {name} gives {spelled(each)}"
                raise located(ArgumentError(f"{text}; structures must agree"), [])
        columns = [_agreeing(column, names) for column in zip(*leaves, strict=True)]
        outputs = [list(each) for each in zip(*columns, strict=True)] or [[] for _ in ways]
        cut = capture(stands, [x for each in outputs for x in each], made)
    if not outputs[0]:
        return returned[0]
    inputs, roots, count = [*stands, *cut.stands], list(cut.roots), len(outputs[0])
    graphs = tuple(
        graph(inputs, roots[n * count : (n + 1) * count], name=f"branch_{n}", inner=True)
        for n in range(len(ways))
    )
    results = items(BRANCH(index, *given, *cut.outer, branches=graphs))
    return unflatten(returned[0], is_single, list(results))


def _agreeing(column: Sequence[Any], names: Sequence[str]) -> list[Node]:
    """One result of each way; a number takes the dtype of the others."""
    rows = [x.row for x in column if isinstance(x, Node)]
    like = promote(*rows) if rows else None
    nodes = [as_node(x, like) for x in column]
    for name, x in zip(names, nodes, strict=True):
        text = f"{names[0]} gives {nodes[0].type} and {name} gives {x.type}"
        if x.row is not nodes[0].row:
            raise located(DTypeError(f"{text}; dtypes must agree (x.astype converts)"), [nodes[0], x])
        if x.type != nodes[0].type:
            raise located(ShapeError(f"{text}; sizes must agree"), [nodes[0], x])
    return nodes
