"""Python's garbage collector, kept quiet while many nodes are made that all stay alive."""

from __future__ import annotations

import gc
import threading

_lock = threading.Lock()
_depth = 0
_was_enabled = False


class paused:
    """No collection inside: each would walk all nodes made so far and free none, which makes growth quadratic.

    If one is due at the end it is of what was made inside. The next of older things comes when Python has it come: here
    it would walk, before a first result, all that the modules have which were just imported.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        global _depth, _was_enabled
        with _lock:
            if _depth == 0:
                _was_enabled = gc.isenabled()
                gc.disable()
            _depth += 1

    def __exit__(self, *_: object) -> None:
        global _depth
        with _lock:
            _depth -= 1
            if _depth or not _was_enabled:
                return
            gc.enable()
        if gc.get_count()[0] > gc.get_threshold()[0] > 0:
            gc.collect(0)
