"""Compiled code on disk, for the next process: a folder of files that any number of processes use at once.

Nothing is locked. An entry is written to a file of its own name and then renamed, so that it is there as a whole or not
at all; it begins with its checksum, and what does not agree with it is not there. Whatever goes wrong with files, the
code is compiled again, and nobody hears of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path

try:
    from _blake2 import blake2b  # hashlib brings OpenSSL along, for which a first result would wait
except ImportError:
    from hashlib import blake2b

_MAGIC = b"symgraph code 2\n"
_LIMIT = 256 << 20
"""Bytes; beyond them the entries that were not used for longest go."""
_SCANNED = 64
"""One of so many writings looks at how much there is."""


_LEFT = 3600.0
"""Seconds after which a file that nobody finished was left by a process that was killed."""


def folder() -> Path | None:
    """``SYMGRAPH_CACHE``, or a folder of symgraph's where this platform keeps caches; None where that is empty."""
    return _folder(*map(os.environ.get, ("SYMGRAPH_CACHE", "LOCALAPPDATA", "XDG_CACHE_HOME", "HOME")))


@cache
def _folder(given: str | None, windows: str | None, unix: str | None, home: str | None) -> Path | None:
    """The same as variables of those names, by which a home is found, have it."""
    if given is not None:
        return Path(given) if given else None
    with contextlib.suppress(RuntimeError):  # there may be no home
        if sys.platform == "win32":
            return Path(windows or Path.home() / "AppData/Local") / "symgraph" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/symgraph"
        return Path(unix or Path.home() / ".cache") / "symgraph"
    return None


def digest(content: bytes) -> bytes:
    """32 bytes that no other content has."""
    return blake2b(content, digest_size=32).digest()


class Cache:
    """Bytes by the text of a key."""

    def __init__(self, place: Path | None, limit: int = _LIMIT) -> None:
        self._place, self._limit = place, limit

    def get(self, key: str) -> bytes | None:
        """What was put there; None where nothing is, or something that nobody wrote like this."""
        path = self._path(key)
        if path is None:
            return None
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            return None
        head = len(_MAGIC) + 32
        if content[:head] != _head(content[head:]):
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # it was used
        return content[head:]

    def put(self, key: str, content: bytes) -> None:
        """Keep it, if the disk takes it."""
        path = self._path(key)
        if path is None:
            return
        with contextlib.suppress(OSError):
            place = os.path.dirname(path)
            os.makedirs(place, exist_ok=True)
            unfinished = os.path.join(place, f".{os.urandom(8).hex()}.new")
            try:
                with open(unfinished, "xb", opener=_ours) as file:
                    file.write(_head(content) + content)
                os.replace(unfinished, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
                raise
            name, _ = os.path.splitext(path)
            if int(name[-4:], 16) % _SCANNED == 0:
                self._evict()

    def _path(self, key: str) -> str | None:
        if self._place is None:
            return None
        name = digest(key.encode()).hex()
        return os.path.join(self._place, name[:2], f"{name[2:]}.o")

    def _evict(self) -> None:
        """Down to three quarters of the limit, where it is more; what a killed process left unfinished goes too."""
        assert self._place is not None
        found = []
        for path in self._place.glob("*/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        goal = self._limit * 3 // 4 if total > self._limit else total
        newest = max((time for time, _, _ in found), default=0.0)
        for time, size, path in sorted(found):
            if total > goal or (path.suffix == ".new" and time < newest - _LEFT):
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _ours(path: str, flags: int) -> int:
    """Open a file that nobody else may read or write."""
    return os.open(path, flags, 0o600)


def _head(content: bytes) -> bytes:
    return _MAGIC + digest(content)
