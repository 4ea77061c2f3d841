"""Writing a file so that it is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from symgraph.errors import FileError

_UNFINISHED = ".symgraph-{}.new"
_LEFT = 3600.0
"""Seconds after which a file that nobody finished was left by a process that was killed."""


def write(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write the parts, one behind the other, to a file that replaces what was there.

    They go to a file of another name in the same folder, to the disk, and then under their name: whoever opens the path
    finds the old content or the new one, even where this process is killed or the machine fails. A link is followed.

    Raises FileError.
    """
    try:
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        unfinished = os.path.join(folder, _UNFINISHED.format(os.urandom(8).hex()))
        if os.path.isdir(target):
            raise FileError(f"{path}: cannot be written: it is a folder")
        _clean(folder)
        try:
            with open(unfinished, "xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.chmod(unfinished, os.stat(target).st_mode & 0o777)
            os.replace(unfinished, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise
        _keep_names(folder)
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FileError(f"{path}: cannot be written: {why}") from error


def _keep_names(folder: str) -> None:
    """Have the new name on the disk too, where folders are files."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some file systems do not have this, and the file itself is whole
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _clean(folder: str) -> None:
    """Remove what killed processes left unfinished; the disk's own clock says how long ago."""
    with contextlib.suppress(OSError):
        left = list(Path(folder).glob(_UNFINISHED.format("*")))
        newest = max((path.stat().st_mtime for path in left), default=0.0)
        for path in left:
            if path.stat().st_mtime < newest - _LEFT:
                path.unlink()
