"""Machine code of GPUs: what NVRTC makes of a text, kept on disk for the next process."""

from __future__ import annotations

import threading

from symgraph.codegen.cuda_printer import uncommented
from symgraph.errors import DeviceError
from symgraph.runtime import nvrtc
from symgraph.runtime.cache import Cache, folder

_KNOWN = 256
"""How many cubins a process remembers."""


class Cubins:
    """Texts as cubins; texts that differ in the user's lines alone have one."""

    def __init__(self, store: Cache | None = None) -> None:
        self._store = store or Cache(folder())
        self._known: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def of(self, text: str, architecture: int) -> bytes:
        """What a driver loads on devices of the architecture, 90 for ``sm_90``.

        Raises DeviceError where there is no NVRTC, or it does not compile the text.
        """
        key = _key(text, architecture)
        with self._lock:  # who wants the same waits for it
            found = self._known.get(key) or self._store.get(key)
            if found is None:
                found = nvrtc.compiled(text, architecture)
                self._store.put(key, found)
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = found
        return found


def nearest(capability: int) -> int:
    """The architecture whose code a device of a compute capability runs best, 90 for 9.0: its own, or where this NVRTC
    does not know it, the last before it of the same family.

    Raises DeviceError where there is none.
    """
    every = nvrtc.architectures()
    fit = [each for each in every if each // 10 == capability // 10 and each <= capability]
    if not fit:
        raise DeviceError(
            f"{nvrtc.version()} compiles for {', '.join(f'sm_{each}' for each in every)}, "
            f"and the GPU is of compute capability {capability // 10}.{capability % 10}"
        )
    return max(fit)


def _key(text: str, architecture: int) -> str:
    return "\n".join(["cubin", nvrtc.version(), *nvrtc.OPTIONS, f"sm_{architecture}", uncommented(text)])
