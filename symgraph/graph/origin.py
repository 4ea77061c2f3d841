"""Which line of the user's made a node: noted beside the node, never part of its identity."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and a line of the user's program."""

    file: str
    line: int
    is_told: bool = field(default=False, compare=False)
    """Whether a text says so, whose names of files nothing opens."""

    @property
    def place(self) -> str:
        """``train.py:12``."""
        return f"{os.path.basename(self.file)}:{self.line}"

    @property
    def text(self) -> str:
        """What the user wrote there, as far as it can be read."""
        return "" if self.is_told else linecache.getline(self.file, self.line).strip()


_PACKAGE = Path(__file__).parent.parent
_OURS = tuple(
    {f"{folder}/" for path in (_PACKAGE, _PACKAGE.parent / "optimizations", _PACKAGE.parent / "codegen")
     for folder in (path, path.resolve())}
)  # fmt: skip
_EXAMPLES = tuple(f"{path}/" for path in (_PACKAGE / "examples", (_PACKAGE / "examples").resolve()))
_is_ours: dict[str, bool] = {}
_known: dict[tuple[str, int], Origin] = {}  # one object a line, not one a node
_inherited = threading.local()


def user_frame() -> FrameType | None:
    """The innermost frame that lies outside symgraph; None while symgraph itself is imported."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        ours = _is_ours.get(file)
        if ours is None:
            ours = _is_ours[file] = file.startswith(_OURS) and not file.startswith(_EXAMPLES)
        if not ours:
            return None if file.startswith("<frozen importlib") else frame
        frame = frame.f_back
    return None


def here() -> Origin | None:
    """The user's line that is running now; inside ``inherit``, the line inherited."""
    origin: Origin | None = getattr(_inherited, "origin", None)
    if origin is None and (frame := user_frame()) is not None:
        key = (frame.f_code.co_filename, frame.f_lineno)
        origin = _known.get(key) or _known.setdefault(key, Origin(*key))
    return origin


class inherit:
    """Nodes built inside belong to this line: how gradients and rewrites keep the user's lines."""

    __slots__ = ("_before", "_origin")

    def __init__(self, origin: Origin | None) -> None:
        self._origin = origin

    def __enter__(self) -> None:
        self._before: Origin | None = getattr(_inherited, "origin", None)
        _inherited.origin = self._origin or self._before

    def __exit__(self, *_: object) -> None:
        _inherited.origin = self._before


def is_inherited() -> bool:
    """Whether nodes are built on a line that ran before."""
    return getattr(_inherited, "origin", None) is not None


Row = tuple[str, str, Origin | None]


def describe(message: str, rows: list[Row]) -> str:
    """A message, then a line for each row and for the user's line that is running now.

    A row is a type, a name and where it was made: ``f32[4, 3]  x     train.py:12   x = placeholder(…)``.
    """
    now = here()
    if now is not None and not any(origin == now for _, _, origin in rows):
        rows = [*rows, ("", "", now)]
    kinds = max((len(kind) for kind, _, _ in rows), default=0)
    names = max((len(name) for _, name, _ in rows), default=0)
    lines = [message]
    for kind, name, origin in rows:
        place = f"{origin.place}   {origin.text}" if origin else "(unknown line)"
        lines.append(f"  {kind:<{kinds}}  {name:<{names}}  {place}".rstrip())
    return "\n".join(lines)
