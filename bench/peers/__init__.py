"""Who is measured beside symgraph. A peer takes a workload and its arrays, and gives what is timed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping

from peers.peer import CannotSay, Peer, Ready

PEERS: Mapping[str, tuple[str, str]] = {
    "symgraph": ("peers.compilers", "Symgraph"),
    "NumPy": ("peers.numpy_and_numba", "NumPy"),
    "numexpr": ("peers.numpy_and_numba", "Numexpr"),
    "numba": ("peers.numpy_and_numba", "Numba"),
    "JAX": ("peers.compilers", "Jax"),
    "torch": ("peers.torches", "Eager"),
    "torch.compile": ("peers.torches", "Compiled"),
    "PyTensor": ("peers.compilers", "PyTensor"),
    "ONNX Runtime": ("peers.onnx_runtime", "OnnxRuntime"),
}
"""The module and the class of each; the module imports the library."""

OURS = "symgraph"


def load(names: Iterable[str], threads: int) -> dict[str, Peer]:
    """Those of them that are installed, each told on how many threads it runs."""
    found = {}
    for name in names:
        module, kind = PEERS[name]
        try:
            found[name] = getattr(importlib.import_module(module), kind)(threads)
        except ImportError:
            continue
    return found


def environment(threads: int) -> dict[str, str]:
    """The variables of a process that measures on so many threads; libraries read them when they are imported.

    Bytecode is written, as it is for users.
    """
    count = str(threads)
    return {
        **{name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        **{f"{name}_NUM_THREADS": count for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")},
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        "JAX_PLATFORMS": "cpu",
    }


def keep_to(threads: int) -> None:
    """This process and those that it starts run on so many cores from here on, where the system can say so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


__all__ = ["OURS", "PEERS", "CannotSay", "Peer", "Ready", "environment", "keep_to", "load"]
