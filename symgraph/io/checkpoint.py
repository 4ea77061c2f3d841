"""Values of variables in files of safetensors: saved, restored in part or in whole, and kept by number."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.api.checkpoint import checkpoint as recomputing
from symgraph.api.program import OwnValues
from symgraph.api.session import Session
from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, FileError
from symgraph.io import container
from symgraph.io.container import Array, Container
from symgraph.io.saving import keyed, values_of

Values = Session | Mapping[str, Variable] | Iterable[Variable]
Path_ = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a restore found, by the names in the file."""

    restored: tuple[str, ...]
    missing: tuple[str, ...]
    """Variables that the file does not have."""
    extra: tuple[str, ...]
    """Arrays of the file that no variable has."""
    misfits: tuple[str, ...]
    """Arrays of another dtype or shape than their variables, with both."""

    def __str__(self) -> str:
        rows = {
            "restored": self.restored,
            "missing": self.missing,
            "extra": self.extra,
            "misfits": self.misfits,
        }
        return "\n".join(f"{name}: {', '.join(found)}" for name, found in rows.items() if found)


def save(what: Values, path: Path_, *, variables: Iterable[Variable] | None = None) -> None:
    """Write the values of variables to a file of safetensors, which is there as a whole or not at all.

    Arrays have the names of their variables, ``w_2`` for a second ``w``, or those of a mapping. Of a session they are
    its own values: of the variables that it has run with, or of ``variables``.

    >>> import os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "step.safetensors")
    >>> w = variable([1.0, 2.0], name="w")
    >>> checkpoint.save([w], path)
    >>> w.value = [0.0, 0.0]
    >>> print(checkpoint.restore([w], path), w.value)
    restored: w [1. 2.]
    >>> folder.cleanup()

    Raises FileError where it cannot be written, ArgumentError for what is no variable.
    """
    named = _named(what, variables)
    arrays = dict(zip(named, _values(what, list(named.values())), strict=True))
    container.write(path, arrays, {"format": _FORMAT, "checksum": _checksum(arrays)})


def restore(
    what: Values,
    path: Path_,
    *,
    variables: Iterable[Variable] | None = None,
    partial: bool = False,
    foreign: bool = False,
) -> Report:
    """Give variables the values that a file of safetensors has for their names, and say what was found.

    All of them change, or none: where one is missing or does not fit, FileError is raised. With ``partial`` those that
    fit change. What more the file has is reported and left alone. A session gets values of its own: for the variables
    that it has run with, or for ``variables``. ``foreign`` takes files that others than symgraph wrote, which have no
    checksum.

    >>> import os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "step.safetensors")
    >>> w, b, c = variable(1.0, name="w"), variable(2.0, name="b"), variable(3.0, name="c")
    >>> checkpoint.save([w, b], path)
    >>> print(checkpoint.restore([w, c], path, partial=True))
    restored: w
    missing: c
    extra: b
    >>> folder.cleanup()

    Raises FileError, also for a file that cannot be read, and ArgumentError for what is no variable.
    """
    named = _named(what, variables)
    found = container.read(path)
    if not foreign:
        _check(found)
    new: dict[Variable, Array] = {}
    misfits = []
    for name, each in named.items():
        array = found.arrays.get(name)
        if array is None:
            continue
        if array.dtype == each.dtype and array.shape == each.shape:
            new[each] = np.array(array, order="C")
        else:
            misfits.append(f"{name} ({array.dtype.name}{list(array.shape)} for {each.type})")
    report = Report(
        tuple(name for name, each in named.items() if each in new),
        tuple(name for name in named if name not in found.arrays),
        tuple(name for name in found.arrays if name not in named),
        tuple(misfits),
    )
    if not partial and (report.missing or report.misfits):
        text = (
            f"it does not have what is to be restored\n{report}\nrestore(..., partial=True) takes what fits"
        )
        raise FileError(f"{os.fspath(path)}: {text}")
    _set(what, new)
    return report


class Saver:
    """Checkpoints of one training run in a folder, by number: the last few of them.

    A file is called ``name-7.safetensors``. After each ``save`` those of the smallest numbers go, so that
    ``max_to_keep`` are left; None keeps all.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> w = variable(0.0, name="w")
    >>> saver = checkpoint.Saver([w], folder.name, max_to_keep=2)
    >>> for step in range(4):
    ...     w.value = float(step)
    ...     _ = saver.save(step)
    >>> saver.steps, saver.latest.name
    ([2, 3], 'checkpoint-3.safetensors')
    >>> print(saver.restore(2), w.value)
    restored: w 2.0
    >>> folder.cleanup()

    Raises ArgumentError for a name that could leave the folder, a number to keep that is not 1 or more, and what is no
    variable.
    """

    def __init__(
        self,
        what: Values,
        folder: Path_,
        *,
        max_to_keep: int | None = 5,
        name: str = "checkpoint",
        variables: Iterable[Variable] | None = None,
    ) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,100}", name) or name.startswith("."):
            text = "it is of letters, digits, _, - and ., and does not begin with a ."
            raise ArgumentError(f"Saver: {name!r:.60} cannot be the name of files: {text}")
        if max_to_keep is not None and (type(max_to_keep) is not int or max_to_keep < 1):
            raise ArgumentError(f"Saver: max_to_keep is {max_to_keep!r}; it must be 1 or more, or None")
        self._what = what if isinstance(what, Session | Mapping) else _checked(what)
        self._variables = None if variables is None else _checked(variables)
        self._folder, self._most, self._name = Path(folder), max_to_keep, name

    def save(self, step: int) -> Path:
        """Save under a number, remove what is too old, and give the file's path.

        This file is never removed, even where others have larger numbers. Raises FileError, and ArgumentError
        for a number below 0.
        """
        path = self._path(step)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self._folder}: cannot be made: {error.strerror}") from error
        save(self._what, path, variables=self._variables)
        if self._most is not None:
            older = [each for each in self.steps if each != step]
            for each in older[: len(older) + 1 - self._most]:
                with contextlib.suppress(OSError):  # somebody else has removed it
                    self._path(each).unlink()
        return path

    def restore(self, step: int | None = None, *, partial: bool = False) -> Report:
        """Restore what was saved under a number, or under the largest. Raises FileError."""
        path = self.latest if step is None else self._path(step)
        if path is None:
            raise FileError(f"{self._folder}: there is no {self._name}-….safetensors")
        return restore(self._what, path, variables=self._variables, partial=partial)

    @property
    def steps(self) -> list[int]:
        """The numbers of the files that are there, in order."""
        pattern = re.compile(rf"{re.escape(self._name)}-(0|[1-9][0-9]{{0,17}})\.safetensors")
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FileError(f"{self._folder}: cannot be read: {error.strerror}") from error
        return sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))

    @property
    def latest(self) -> Path | None:
        """The file of the largest number; None where there is none."""
        steps = self.steps
        return self._path(steps[-1]) if steps else None

    def _path(self, step: int) -> Path:
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < 10**18:
            raise ArgumentError(f"Saver: {step!r:.60} is no number of a step, 0 or more")
        return self._folder / f"{self._name}-{int(step)}.safetensors"


class _Checkpoint:
    """The decorator ``checkpoint``, for memory, and with ``save``, ``restore`` and ``Saver`` files of values."""

    save = staticmethod(save)
    restore = staticmethod(restore)
    Saver = Saver
    Report = Report

    def __init__(self) -> None:
        functools.update_wrapper(self, recomputing)

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return recomputing(f)

    def __repr__(self) -> str:
        return "<checkpoint: a decorator; save, restore, Saver>"


checkpoint = _Checkpoint()


_FORMAT = "symgraph checkpoint 1"


def _checksum(arrays: Mapping[str, Array]) -> str:
    """One checksum of names and arrays."""
    sums = [f"{name!r} {container.checksum(arrays[name])}" for name in sorted(arrays)]
    return container.checksum(np.frombuffer("\n".join(sums).encode(), "u1"))


def _check(found: Container) -> None:
    """Refuse a file that is not as it was saved."""
    if found.metadata.get("format") != _FORMAT:
        text = "restore(..., foreign=True) takes files of others"
        found.refuse(f"it is no checkpoint of symgraph's, or of a newer one; {text}")
    if not container.is_canonical(found):
        found.refuse("its header is not as symgraph writes it")
    if found.metadata.get("checksum") != _checksum(found.arrays):
        found.refuse("it is damaged: its checksum is another")


# Variables and their values


def _named(what: Values, variables: Iterable[Variable] | None) -> dict[str, Variable]:
    """The variables by the names that they have in a file."""
    if isinstance(what, Session):
        with what._lock:
            found = list(what._store._arrays)
        return keyed(_checked(found if variables is None else variables))
    if variables is not None:
        raise ArgumentError("variables are chosen of a session; else pass them alone: save([w, b], path)")
    if isinstance(what, Mapping):
        for name in what:
            if not isinstance(name, str):
                raise ArgumentError(f"{name!r:.60} is no name of a variable")
        return dict(zip(what, _checked(what.values()), strict=True))
    return keyed(_checked(what))


def _checked(variables: Any) -> list[Variable]:
    if isinstance(variables, Variable) or not isinstance(variables, Iterable):
        raise ArgumentError(f"a session or a list of variables is expected, not {variables!r:.60}")
    found = list(variables)
    for each in found:
        if not isinstance(each, Variable):
            raise ArgumentError(f"{each!r:.60} is no variable")
    return found


def _values(what: Values, variables: list[Variable]) -> list[Array]:
    if isinstance(what, Session):
        with what._lock:
            return what._store.read(variables)
    return values_of(variables)


def _set(what: Values, new: Mapping[Variable, Array]) -> None:
    if isinstance(what, Session):
        with what._lock:
            what._store.write(new)
        return
    with contextlib.ExitStack() as held:
        for each in sorted(new, key=id):
            held.enter_context(each.lock)
        OwnValues().write(new)
