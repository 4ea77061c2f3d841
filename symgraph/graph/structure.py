"""What the user wrote where several values may stand: a value, or tuples, lists and dicts of values, nested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def flatten(structure: Any, is_leaf: Callable[[Any], bool]) -> list[Any]:
    """The leaves, left to right; None has none.

    Raises TypeError with what was found where a leaf or a structure was expected.
    """
    leaves: list[Any] = []
    pending = [structure]
    while pending:
        part = pending.pop()
        if part is None:
            continue
        if is_leaf(part):
            leaves.append(part)
        elif isinstance(part, dict):
            pending.extend(reversed(part.values()))
        elif isinstance(part, (tuple, list)):
            pending.extend(reversed(part))
        else:
            raise TypeError(part)
    return leaves


def unflatten(structure: Any, is_leaf: Callable[[Any], bool], leaves: list[Any]) -> Any:
    """The structure with its leaves replaced, in the order of ``flatten``."""
    return _built(structure, is_leaf, iter(leaves))


def _built(part: Any, is_leaf: Callable[[Any], bool], leaves: Iterator[Any]) -> Any:
    # No inner function that calls itself: it would hold results until the next garbage collection.
    if part is None:
        return None
    if is_leaf(part):
        return next(leaves)
    if isinstance(part, dict):
        return type(part)((key, _built(value, is_leaf, leaves)) for key, value in part.items())
    parts = (_built(each, is_leaf, leaves) for each in part)
    return type(part)(*parts) if hasattr(part, "_fields") else type(part)(parts)


def is_single(part: Any) -> bool:
    """Whether a part is a leaf, where anything may be one."""
    return part is not None and not isinstance(part, (dict, tuple, list))


def spelled(structure: Any) -> str:
    """A structure with a star for each leaf: ``(*, [*, *])``.

    >>> spelled((1, {"a": [2, 3]}))
    "(*, {'a': [*, *]})"
    """
    if structure is None:
        return "None"
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {spelled(value)}" for key, value in structure.items()) + "}"
    if isinstance(structure, (tuple, list)):
        inside = ", ".join(map(spelled, structure))
        return f"[{inside}]" if isinstance(structure, list) else f"({inside})"
    return "*"
