"""What the passes did, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from symgraph.optimizations.pipeline import Stage
from symgraph.optimizations.rewrite import Fired
from symgraph.optimizations.rules import ALGEBRAIC


def report(stages: Sequence[Stage]) -> str:
    """For every pass its time, how many nodes it left, and the rules that fired, each with the user's line.

    ::

        simplify    0.2 ms    5 nodes -> 4
        stabilize   0.3 ms    4 nodes -> 1
          log of 1 + x        train.py:14   loss = sg.log(1 + sg.exp(x))
          log of 1 + exp      train.py:14   loss = sg.log(1 + sg.exp(x))
    """
    lines = []
    width = max(len(stage.name) for stage in stages)
    names = max((len(each.rule.name) for stage in stages for each in stage.fired), default=0)
    for before, stage in itertools.pairwise(stages):
        nodes = f"{len(before.graph.nodes())} nodes -> {len(stage.graph.nodes())}"
        lines.append(f"{stage.name:<{width}}  {1e3 * stage.seconds:6.1f} ms    {nodes}")
        exactly = [each for each in stage.fired if each.rule.keeps is not ALGEBRAIC]
        loosely = [each for each in stage.fired if each.rule.keeps is ALGEBRAIC]
        lines += _fired(exactly, names)
        if loosely:
            lines.append("  true of real numbers alone:")
            lines += _fired(loosely, names)
    return "\n".join(lines)


def _fired(fired: Iterable[Fired], width: int) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for each in fired:
        origin = each.before.origin
        place = f"{origin.place}   {origin.text}" if origin else ""
        counts[each.rule.name, place] = counts.get((each.rule.name, place), 0) + 1
    return [
        f"  {name:<{width}}  {place}{f'   ({count} times)' if count > 1 else ''}".rstrip()
        for (name, place), count in counts.items()
    ]
