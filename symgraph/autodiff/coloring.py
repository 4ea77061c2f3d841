"""Colours for rows and columns, so that few passes find all nonzero slopes.

Columns that have no row in common can move together: each element of the outputs shows the slope of one of them. Rows
that have no column in common can be pulled back together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.autodiff.sparsity import Ids, Pattern, pattern


@dataclass(frozen=True, slots=True)
class Coloring:
    """Passes that find every entry of a pattern.

    ``pulled`` has for each row its reverse pass, and ``pushed`` for each column its forward pass, -1 for none. An entry
    that has both is found in the reverse pass if ``rows_first``, else in the forward pass.
    """

    pulled: Ids
    pushed: Ids
    rows_first: bool = True

    def is_pulled(self, found: Pattern) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """For each entry of the pattern whether it is found in a reverse pass."""
        places = self.pulled[found.rows] if self.rows_first else self.pushed[found.columns]
        return np.asarray((places >= 0) == self.rows_first, np.bool_)

    @property
    def pulls(self) -> int:
        return int(self.pulled.max(initial=-1)) + 1

    @property
    def pushes(self) -> int:
        return int(self.pushed.max(initial=-1)) + 1


def coloring(found: Pattern) -> Coloring:
    """Few passes: the fullest rows are pulled one by one and all columns pushed, or the other way round.

    Greedy colours in the order of the columns: Curtis, Powell and Reid 1974, "On the estimation of sparse Jacobian
    matrices", IMA J. Appl. Math. 13; optimal for banded matrices (Coleman and Moré 1983, "Estimation of sparse Jacobian
    matrices and graph coloring problems", SIAM J. Numer. Anal. 20). Both directions together: Coleman and Verma 1998,
    "The efficient computation of sparse Jacobian matrices using automatic differentiation", SIAM J. Sci. Comput. 19.
    """
    turned = found.transposed()
    best = Coloring(np.full(found.height, -1), np.arange(found.width))
    for across in (False, True):
        way = turned if across else found
        lengths = np.diff(way.starts)
        fullest = np.argsort(-lengths, kind="stable")
        for count in _counts(len(fullest)):
            longest = lengths[fullest[count]] if count < len(fullest) else 0
            if count + longest >= best.pulls + best.pushes:
                continue  # every other row of the longest takes a pass for each entry
            alone = np.full(way.height, -1)
            alone[fullest[:count]] = np.arange(count)
            together = greedy(_without(way, alone >= 0))
            tried = Coloring(together, alone, False) if across else Coloring(alone, together)
            if tried.pulls + tried.pushes < best.pulls + best.pushes:
                best = tried
    return best


def greedy(found: Pattern) -> Ids:
    """For each column in turn the first colour that no column has with which it shares a row; -1 for an empty one."""
    turned = found.transposed()
    starts, rows = turned.starts.tolist(), turned.columns.tolist()
    taken = [0] * found.height  # by row, a bit for each colour
    colours = np.full(found.width, -1)
    for column, (start, stop) in enumerate(pairwise(starts)):
        if start == stop:
            continue
        own = rows[start:stop]
        used = 0
        for row in own:
            used |= taken[row]
        free = ~used & (used + 1)
        for row in own:
            taken[row] |= free
        colours[column] = free.bit_length() - 1
    return colours


def _counts(height: int) -> Iterator[int]:
    """How many of the fullest rows to try alone."""
    yield 0
    count = 1
    while count <= height:
        yield count
        count *= 2


def _without(found: Pattern, dropped: np.ndarray[Any, np.dtype[np.bool_]]) -> Pattern:
    rows = found.rows
    kept = ~dropped[rows]
    return pattern(rows[kept], found.columns[kept], (found.height, found.width))
