"""Python's garbage collector, kept quiet while many nodes are made that all stay alive."""

from __future__ import annotations

import gc
import sys
import threading

_lock = threading.Lock()
_depth = 0
_was_enabled = False
_modules = 0
"""How many there were when the pause began."""


class paused:
    """No collection inside: each would walk all nodes made so far and free none, which makes growth quadratic.

    If one is due at the end it is of what was made inside. The next of older things comes when Python has it come. But
    where modules were imported inside, which stay as long as the process, all that there is counts as old from then on:
    else what they hold would be walked once more, before some first result.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        global _depth, _was_enabled, _modules
        with _lock:
            if _depth == 0:
                _modules = len(sys.modules)
                _was_enabled = gc.isenabled()
                gc.disable()
            _depth += 1

    def __exit__(self, *_: object) -> None:
        global _depth
        with _lock:
            _depth -= 1
            if _depth or not _was_enabled:
                return
            # Asked before: counts are tuples, and to make one may begin a collection of older things.
            is_due = gc.get_count()[0] > gc.get_threshold()[0] > 0
            gc.enable()
        if is_due:
            gc.collect(0)
            if len(sys.modules) > _modules and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # which leaves it with the oldest
