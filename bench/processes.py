"""Measurements that need a process for each: first results, how they grow with the program, and memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from peers import environment

HERE = Path(__file__).parent
Row = dict[str, Any]

COMPILERS = ("symgraph", "numexpr", "numba", "JAX", "torch.compile", "PyTensor", "ONNX Runtime")
"""Those that do something before a first result; NumPy and torch run at once."""
DIFFERENTIATING = ("symgraph", "JAX", "torch.compile", "PyTensor")
PATIENCE = 60.0
"""Seconds of a processor that a measurement may take."""
ROUNDS = 5
LONG = 5.0
"""Seconds after which there are no more rounds of a first result."""
GROWN = 20.0
"""Seconds that the longest program may take."""
CACHES = {
    "SYMGRAPH_CACHE": "{}/symgraph",
    "JAX_COMPILATION_CACHE_DIR": "{}/jax",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "TORCHINDUCTOR_CACHE_DIR": "{}/torch",
    "NUMBA_CACHE_DIR": "{}/numba",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "PYTENSOR_FLAGS": "base_compiledir={}/pytensor",
}
"""What each keeps on disk, in a folder that begins empty."""
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "65536",  # what is freed goes back, so that the mark is of what is in use
    "NUMPY_MADVISE_HUGEPAGE": "0",
}


def first_results(workloads: Sequence[tuple[int, Any]], request: Mapping[str, Any]) -> Iterator[Row]:
    """Each in a fresh process, and in a second one that finds what the first has left on disk."""
    if not workloads:
        return
    peers = [name for name in request["peers"] if name in COMPILERS]
    imports = _row("imports beside NumPy and SciPy", "and a first function, x + 1", None)
    later = []
    with _bytecode({**request, "place": workloads[-1][0], "warm": True}, peers) as bytecode:
        for place, workload in workloads:
            first = _row(workload.label, workload.name, _target(workload, again=False))
            second = _row("second process, caches on", workload.name, _target(workload, again=True))
            for _ in range(min(ROUNDS, request["rounds"])):
                for peer in peers:
                    if peer in first["missing"] | first["wrong"] or sum(first["times"].get(peer, ())) > LONG:
                        continue
                    with _caches() as caches:
                        for row in (first, second):
                            asked = {**request, "peer": peer, "place": place, "warm": row is first}
                            found = _measured(asked, {**caches, **bytecode})
                            _note(row, peer, found)
                            if "imports" in found and row is first:
                                imports["times"].setdefault(peer, []).append(found["imports"])
            yield first
            later.append(second)
    yield from (*later, imports)


def growth(workloads: Sequence[tuple[int, Any]], request: Mapping[str, Any]) -> Iterator[Row]:
    """First results of a program that is twice as long each time, as long as a peer's patience lasts."""
    if not workloads:
        return
    peers = [name for name in request["peers"] if name in DIFFERENTIATING]
    given_up = dict[str, str]()
    with _bytecode({**request, "place": workloads[0][0]}, peers) as bytecode:
        for place, workload in workloads:
            row = _row(workload.label, workload.name, workload.target)
            row["absolute"] = True
            for peer in peers:
                if peer in given_up:
                    row["missing"][peer] = given_up[peer]
                    continue
                for _ in range(2):
                    if peer in row["missing"] or sum(row["times"].get(peer, ())) > GROWN:
                        break
                    with _caches() as caches:
                        asked = {**request, "peer": peer, "place": place}
                        found = _measured(asked, {**caches, **bytecode}, GROWN)
                    _note(row, peer, found)
                    if peer in row["missing"]:
                        given_up[peer] = row["missing"][peer]
            yield row


def memory(workloads: Sequence[tuple[int, Any]], request: Mapping[str, Any]) -> Iterator[Row]:
    """How much more a process takes for large arrays than for tiny ones, without arguments and results."""
    for place, workload in workloads:
        row = _row(workload.label, workload.name, None)
        row["absolute"], row["unit"] = True, "MB"
        for peer in request["peers"]:
            found = []
            for is_tiny in (True, False):
                with _caches() as caches:  # both compile, which takes memory too
                    asked = {**request, "peer": peer, "place": place, "tiny": is_tiny}
                    found.append(_measured(asked, {**caches, **MEMORY}))
            tiny, large = found
            if "value" in tiny and "value" in large:
                more = large["value"] - tiny["value"] - (large["kept"] - tiny["kept"])
                large = {"value": max(more, 0), "wrong": tiny["wrong"]}
            _note(row, peer, tiny if "missing" in tiny else large)
        yield row


def _target(workload: Any, again: bool) -> float | None:
    """The network of 8 layers is asked for in the second process, all else in the first."""
    return workload.target if again == workload.name.startswith("8-layer") else None


@contextlib.contextmanager
def _caches() -> Iterator[dict[str, str]]:
    """The variables that say where caches are: nowhere yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield {name: text.format(folder) for name, text in CACHES.items()}


@contextlib.contextmanager
def _bytecode(request: Mapping[str, Any], peers: Sequence[str]) -> Iterator[dict[str, str]]:
    """The variable that says where bytecode is: in a folder that a process of each peer, which is not counted, has
    filled. So all import as after an installation, whoever may write where they lie."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"PYTHONPYCACHEPREFIX": folder}
        for peer in peers:
            with _caches() as caches:
                _measured({**request, "peer": peer}, {**caches, **found})
        yield found


def _row(label: str, name: str, target: float | None) -> Row:
    empty: Row = {"times": {}, "missing": {}, "wrong": {}, "by the clock": True}
    return {"label": label, "name": name, "target": target, **empty}


def _note(row: Row, peer: str, found: Mapping[str, Any]) -> None:
    if "missing" in found:
        row["missing"][peer] = found["missing"]
    elif found["wrong"]:
        row["wrong"][peer] = found["wrong"]
    else:
        row["times"].setdefault(peer, []).append(found["value"])


def _measured(
    request: Mapping[str, Any], variables: Mapping[str, str], patience: float = PATIENCE
) -> dict[str, Any]:
    """What alone.py says; a process that takes too long is ended, with those that it has started."""
    asked = {"tiny": False, "warm": False, "patience": patience, **request}
    with subprocess.Popen(
        [sys.executable, str(HERE / "alone.py"), json.dumps(asked)],
        env={**environment(request["threads"]), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=5 * patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"missing": f"> {patience:.0f} s"}
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"missing": f"the process ended with {process.returncode}"}
