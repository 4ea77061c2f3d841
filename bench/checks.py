"""Whether what a peer finds is right: beside NumPy's results in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from peers import Ready
from peers.numpy_and_numba import NUMPY
from peers.peer import Array, as_arrays, split
from workloads import Workload

STEPS = 3
"""How often a program that updates weights is called before they are looked at."""
LIMITS = {"float32": 2e-4, "float64": 1e-8}
"""How far results may be off, as a part of the largest number that is expected."""


def truth(workload: Workload, arrays: Mapping[str, Array]) -> list[Array]:
    """What NumPy finds in float64."""
    wide = {name: x.astype("float64") if x.dtype.kind == "f" else x for name, x in arrays.items()}
    if not workload.updates:
        return as_arrays(workload.program(NUMPY, *wide.values()))
    weights, data = split(workload, wide)
    found = []
    for _ in range(STEPS):
        result, weights = workload.program(NUMPY, *weights, *data)
        found += as_arrays(result)
    return [*found, *weights]


def results(workload: Workload, made: Ready) -> list[Array]:
    if not workload.updates:
        return made.arrays(made())
    found = [x for _ in range(STEPS) for x in made.arrays(made())]
    return [*found, *map(np.array, made.state())]


def difference(workload: Workload, found: Sequence[Array], expected: Sequence[Array]) -> str:
    """What is wrong with results; nothing if they are right. Of weights only the mean is asked to be near, since Adam
    turns the rounding error of a gradient that is nearly 0 into a whole step."""
    limit = LIMITS[workload.dtype.name]
    if len(found) != len(expected) and not workload.training:
        return f"{len(found)} results, not {len(expected)}"
    for a, b in zip(found, expected, strict=False):
        if a.shape != b.shape or a.dtype != workload.dtype:
            return f"{a.dtype}{list(a.shape)}, not {workload.dtype}{list(b.shape)}"
        off = np.abs(a - b)
        scale = np.abs(b)
        worst = off.mean() / scale.mean() if workload.updates else off.max() / scale.max()
        if not worst <= limit:
            return f"off by {worst:.2g}"
    return ""
