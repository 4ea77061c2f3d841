"""The passes, in the one order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from symgraph.graph.graph import Graph
from symgraph.optimizations.algebra import ALGEBRA, FAST
from symgraph.optimizations.contractions import CONTRACTIONS, FAST_CONTRACTIONS
from symgraph.optimizations.fold import FOLD
from symgraph.optimizations.inline import INLINE
from symgraph.optimizations.loops import tidying
from symgraph.optimizations.moves import MOVING
from symgraph.optimizations.norms import NORMS
from symgraph.optimizations.products import FAST_PRODUCTS, PRODUCTS
from symgraph.optimizations.reductions import REDUCTIONS
from symgraph.optimizations.rewrite import Fired, rewriting
from symgraph.optimizations.rules import BITS, rules
from symgraph.optimizations.scatters import SCATTERS
from symgraph.optimizations.selections import SELECTIONS
from symgraph.optimizations.sinking import SINKING
from symgraph.optimizations.sizes import SIZES
from symgraph.optimizations.slices import SLICES
from symgraph.optimizations.solvers import FAST_SOLVERS
from symgraph.optimizations.stabilize import STABILIZE
from symgraph.options import Options

Change: TypeAlias = Callable[[Graph, list[Fired]], Graph]

SIMPLIFY = rules(
    "SIMPLIFY",
    FOLD, ALGEBRA, SELECTIONS, REDUCTIONS, MOVING, SLICES, SINKING, SCATTERS, PRODUCTS, CONTRACTIONS, SIZES,
)  # fmt: skip
STABLE = rules("STABLE", SIMPLIFY, STABILIZE, NORMS)
EXPANDED = rules("EXPANDED", [each for each in SIMPLIFY if each.keeps is BITS])
"""What holds of the bodies of composites too, which say in which order to round."""


class Pass(NamedTuple):
    """A name, and a function from graph to graph that notes which rules fired."""

    name: str
    change: Change


_FIRST = (
    Pass("inline", rewriting(INLINE)),
    Pass("simplify", rewriting(SIMPLIFY)),
    Pass("stabilize", rewriting(STABLE)),
)
_LAST = Pass("loops", tidying(STABLE))


def standard(options: Options) -> tuple[Pass, ...]:
    """What every program goes through."""
    more = []
    if options.rules:
        more.append(Pass("own", rewriting(STABLE, rules("own", options.rules))))
    if options.fast_math:
        own = rules("own", options.rules)
        fast = (FAST, FAST_PRODUCTS, FAST_CONTRACTIONS, FAST_SOLVERS)
        more.append(Pass("fast", rewriting(STABLE, own, *fast)))
    return (*_FIRST, *more, _LAST)
