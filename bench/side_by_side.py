"""Workloads of one group in this process: every peer's results are compared, then all take turns.

run.py starts it with a request, a JSON object; a line of JSON comes out for each workload.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any

import numpy as np
from checks import difference, results, truth
from groups import cases
from peers import Peer, Ready, load
from peers.bandwidth import triad
from peers.denormals import denormals_as_zero
from peers.peer import Array
from workloads import Workload

TURN = 0.02
"""Seconds that a turn takes, at least."""
SLOW = 0.3
"""Seconds of a call from which on a peer takes three turns only."""


def main() -> None:
    request = json.loads(sys.argv[1])
    keep_freed_memory()
    peers = load(request["peers"], request["threads"])
    for _, workload in islice(cases(request), request["begin"], None):
        print(json.dumps(measured(workload, peers, request)), flush=True)


def measured(workload: Workload, peers: Mapping[str, Peer], request: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds a call for each round of each peer, and why there are none."""
    with denormals_as_zero() if workload.flushes else nullcontext():
        return _measured(workload, peers, request)


def _measured(workload: Workload, peers: Mapping[str, Peer], request: Mapping[str, Any]) -> dict[str, Any]:
    arrays = workload.arrays()
    expected = truth(workload, arrays)
    missing: dict[str, str] = {}
    wrong: dict[str, str] = {}
    ready: dict[str, Ready] = {}
    for name, peer in peers.items():
        try:
            made = peer.ready(workload, arrays)
            found = results(workload, made)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
            continue
        if why := difference(workload, found, expected):
            wrong[name] = why
        else:
            ready[name] = made
    moved = bytes_moved(arrays, expected, workload)
    moved_by_triad = None
    if workload.bound_by_memory:
        ready["triad"], moved_by_triad = triad(
            sum(x.size for x in arrays.values()) // len(arrays), workload.dtype
        )
    del expected, arrays
    clock = time.process_time if request["threads"] == 1 else time.perf_counter
    settle = {name: peers[name].settle for name in ready if name in peers}
    times = in_turn(ready, settle, clock, request["rounds"])
    return {
        "label": workload.label,
        "name": workload.name,
        "target": workload.target,
        "times": times,
        "missing": missing,
        "wrong": wrong,
        "bytes": moved if workload.bound_by_memory else None,
        "triad bytes": moved_by_triad,
    }


def in_turn(
    calls: Mapping[str, Ready],
    settle: Mapping[str, Callable[[], None]],
    clock: Callable[[], float],
    rounds: int,
) -> dict[str, list[float]]:
    """Seconds a call for each round; who begins one round is the last of the next."""
    timers = {name: _timer(call, clock) for name, call in calls.items()}
    repeats = {}
    for name, timer in timers.items():
        timer.timeit(3)
        settle.get(name, lambda: None)()
        repeats[name] = _repeats(timer)
        settle.get(name, lambda: None)()
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for turn in range(rounds):
        for name in order:
            if turn < 3 or repeats[name] > 1 or times[name][0] < SLOW:
                times[name].append(timers[name].timeit(repeats[name]) / repeats[name])
        order = [*order[1:], *order[:1]]
    return times


def _timer(call: Ready, clock: Callable[[], float]) -> timeit.Timer:
    """A loop around the bare call, since a function around it would cost as much as some of them take."""
    names = {f"x{n}": x for n, x in enumerate(call.arguments)}
    text = f"function({', '.join(names)})"
    if call.wait is not None:
        text = f"wait({text})"
    return timeit.Timer(text, timer=clock, globals={**names, "function": call.function, "wait": call.wait})


def _repeats(timer: timeit.Timer) -> int:
    repeats = 1
    while (seconds := timer.timeit(repeats)) < TURN / 5 and repeats < 10**6:
        repeats *= 4
    return max(1, round(repeats * TURN / seconds))


def bytes_moved(arrays: Mapping[str, Array], results: Sequence[Array], workload: Workload) -> int:
    return sum(x.nbytes for x in arrays.values()) + workload.dtype.itemsize * sum(x.size for x in results)


def keep_freed_memory() -> None:
    """From here on the C library keeps what is freed up to 30 MB, as in any process that has freed as much before."""
    for size in (10, 20, 30):
        np.ones(size << 17)


if __name__ == "__main__":
    main()
