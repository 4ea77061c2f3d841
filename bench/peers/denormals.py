"""A processor that takes denormal numbers as 0, and gives none, as XLA always tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """For this thread, whoever computes in it; torch is asked to say so. Raises ImportError without torch."""
    from torch import set_flush_denormal

    if not set_flush_denormal(True):
        raise ImportError("this processor cannot be told to take denormal numbers as 0")
    try:
        yield
    finally:
        set_flush_denormal(False)
