"""Composites become their bodies, and what these have in common is simplified: every op that is left has a meaning of
its own."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.graph.node import Node
from symgraph.graph.walk import expand, toposort, transform
from symgraph.ops.reduce import max, supremum
from symgraph.optimizations.passes import EXPANDED
from symgraph.optimizations.rewrite import rewrite


def expanded(roots: Iterable[Node]) -> list[Node]:
    """The roots without composites.

    >>> from symgraph import placeholder, softplus
    >>> (root,) = expanded([softplus(placeholder("float32", (), name="x"))])
    >>> sorted({node.op.name for node in toposort([root]) if node.inputs})
    ['abs', 'add', 'exp', 'log1p', 'maximum', 'negative']
    """
    roots = list(roots)
    if not any(map(is_composite, toposort(roots))):
        return roots
    return _with_one_largest(rewrite(transform(roots, _plain), EXPANDED))


def _plain(node: Node) -> Node:
    """What a composite is on its inputs; these are plain, and what it is made of becomes so."""
    if not is_composite(node):
        return node
    (made,) = transform([expand(node)], _plain, dict(zip(node.inputs, node.inputs, strict=True)))
    return made


def is_composite(node: Node) -> bool:
    """Whether a node has no meaning but its body's."""
    return node.op.numpy is None and node.op.body is not None


def _with_one_largest(roots: list[Node]) -> list[Node]:
    """The roots with `max` for a `supremum` of the same, where they ask for both: over nothing they raise anyhow, and
    what a supremum is for is NaN where one of the numbers is."""
    asked = {(node.inputs, node.attrs): node for node in toposort(roots) if node.op is max.op}
    if not asked:
        return roots
    return transform(
        roots,
        lambda node: asked.get((node.inputs, node.attrs), node) if node.op is supremum.op else node,
    )
