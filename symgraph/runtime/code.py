"""Functions of machine code by their text: compiled together, cheaply at first and better in the background."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache as once
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from symgraph.runtime import elf
from symgraph.runtime.cache import Cache, folder
from symgraph.runtime.cpu import Loader, MissingText, compiled, host, version
from symgraph.runtime.identity import identity, is_unchanged

if TYPE_CHECKING:
    from symgraph.codegen.llvm_printer import Native

FIRST, BEST = 0, 2
"""Levels of LLVM's code generation: of what runs at once, and of what takes its place. Both compute the same bits."""


CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
"""How Python calls a function: with the address of its table, and the range of its first loop."""
_QUIET, _LEFT = 0.5, 64
"""Seconds without another task after which there is leisure; and so many tasks are left for it: the latest."""
_UNWRITTEN = 4 << 20
"""Bytes of object files that wait for leisure before they are on disk."""


class Follower(Protocol):
    def moved(self) -> None:
        """A function that it calls has another address."""


class Function:
    """A function of machine code; its address changes once there is better code, and the old one stays valid."""

    def __init__(self, name: str, address: int) -> None:
        self.name, self.address = name, address
        self._followers: set[weakref.ref[Follower]] = set()

    def follow(self, follower: Follower) -> None:
        """Who calls it is told of another address from now on, for as long as it is there."""
        self._followers.add(weakref.ref(follower, self._followers.discard))

    def move(self, address: int) -> None:
        self.address = address
        for each in tuple(self._followers):  # at once: another thread may begin to follow
            if (follower := each()) is not None:
                follower.moved()


class Unit:
    """What was compiled together, as another process can load it: which functions it has, the object file, whether that
    is as good as can be, and the text, packed."""

    __slots__ = ("code", "is_best", "names", "text")

    def __init__(self, names: Sequence[str], code: bytes, is_best: bool, text: bytes) -> None:
        self.names, self.code, self.is_best, self.text = names, code, is_best, text


class _Module:
    """What was compiled together."""

    def __init__(
        self,
        functions: Sequence[Function],
        first: str,
        best: Callable[[], str],
        *,
        is_best: bool,
        has_two: bool = False,
    ) -> None:
        self.functions, self.first, self._best = functions, first, best
        """The text that is compiled at first, and what gives the one of better code, functions under the same names."""
        self.has_two = has_two
        """Whether these differ."""
        self.is_best = is_best
        """Whether the better code runs."""
        self.is_asked = is_best
        """Or will, in a while."""

    @property
    def names(self) -> list[str]:
        return [function.name for function in self.functions]

    @cached_property
    def best(self) -> str:
        """The text of better code, under names of its own: one process holds the code of both."""
        return _better(self._best(), self.names)

    @cached_property
    def packed(self) -> bytes:
        packed: bytes = _packing().compress(self._best().encode(), 1)
        return packed


class Code:
    """All functions of this process."""

    def __init__(self, store: Cache) -> None:
        self._store, self._loader = store, Loader()
        self._modules: dict[str, _Module] = {}
        """By the names of their functions."""
        self._functions: dict[str, Function] = {}
        self._waiting, self._count = _nothing()
        self._leisure: deque[Callable[[], None]] = deque(maxlen=_LEFT)
        self._unwritten: dict[str, bytes] = {}
        """Object files that are not on disk yet."""
        self._worker: threading.Thread | None = None
        self._lock = threading.RLock()
        """Nobody else compiles or loads meanwhile."""
        atexit.register(self.settle)
        if hasattr(os, "register_at_fork"):  # no thread compiles while the process is copied
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._alone
            )

    def functions(self, kernels: Sequence[Native]) -> list[Function]:
        """The functions of kernels, those that are not known yet compiled as one module."""
        with self._lock:
            new = list(
                {kernel.name: kernel for kernel in kernels if kernel.name not in self._functions}.values()
            )
            if new:
                self._compile(new)
            return [self._functions[kernel.name] for kernel in kernels]

    def improve(self, functions: Sequence[Function]) -> None:
        """Better code for functions, in a while."""
        with self._lock:
            for function in functions:
                found = self._modules[function.name]
                if not found.is_asked:
                    found.is_asked = True
                    self.later(partial(self._improve, found))

    def later(self, task: Callable[[], None]) -> None:
        """Do this in a while, in another thread."""
        with self._lock:
            self._put(task)
            self._begin()

    def at_leisure(self, task: Callable[[], None]) -> None:
        """Do this a while after the last of what is done meanwhile, or at the end of the process. Nobody is woken for
        it: the process is about to do something else. Where too much is left to do, the first of it is not done."""
        self._leisure.append(task)

    def made(self, text: str, level: int) -> bytes:
        """The object file of a module, from disk if it is there."""
        key = _key(text, level)
        code = self._store.get(key)
        if code is None:
            with self._lock:
                code = compiled(text, level)
            self._keep(key, code)
        return code

    def _keep(self, key: str, code: bytes) -> None:
        """It goes to disk in a while, for that takes as long as a small kernel does to be compiled."""
        self._unwritten[key] = code
        is_much = sum(map(len, tuple(self._unwritten.values()))) > _UNWRITTEN
        (self.later if is_much else self.at_leisure)(self._write)

    def _write(self) -> None:
        for key, code in tuple(self._unwritten.items()):
            self._store.put(key, code)
            self._unwritten.pop(key, None)

    def units(self, functions: Sequence[Function]) -> list[Unit] | None:
        """The code that runs in functions, each piece once; None where it is not on disk."""
        self._write()
        with self._lock:  # which may import what packs
            found = {id(each): each for each in (self._modules[function.name] for function in functions)}
            units = [self._unit(each) for each in found.values()]
        known = [unit for unit in units if unit is not None]
        return known if len(known) == len(units) else None

    def _unit(self, found: _Module) -> Unit | None:
        text, level = (found.best, BEST) if found.is_best else (found.first, FIRST)
        code = self._store.get(_key(text, level))
        return None if code is None else Unit(found.names, code, found.is_best, found.packed)

    def adopted(self, units: Sequence[Unit]) -> list[Function]:
        """The functions of units, those that are not known yet loaded. Raises NotLoaded."""
        with self._lock:
            for unit in units:
                if any(name not in self._functions for name in unit.names):
                    self._adopt(unit)
            return [self._functions[name] for unit in units for name in unit.names]

    def _adopt(self, unit: Unit) -> None:
        found = elf.load(unit.code, {})
        symbols = [_better_name(name) if unit.is_best else name for name in unit.names]
        if missing := [name for name in symbols if name not in found]:
            raise elf.NotLoaded(f"there is no {missing[0]}")
        functions = [Function(name, found[symbol]) for name, symbol in zip(unit.names, symbols, strict=True)]
        self._enter(_Module(functions, "", partial(_unpacked, unit.text), is_best=unit.is_best))

    def _enter(self, made: _Module) -> None:
        for function in made.functions:
            self._functions.setdefault(function.name, function)
            self._modules.setdefault(function.name, made)

    def _compile(self, kernels: Sequence[Native]) -> None:
        from symgraph.codegen.llvm_printer import module

        text, known = module(kernels, host()), [kernel.name for kernel in kernels]
        has_two = any(kernel.slow is not None for kernel in kernels)
        key = _same(text) if has_two else _key(_better(text, known), BEST)
        best = self._store.get(key) if key is not None else None

        def slow() -> str:
            return module([kernel.fastest for kernel in kernels], host())

        try:
            code = best or self.made(text, FIRST)
        except MissingText:
            text = slow()
            code, has_two = self.made(text, FIRST), False
        self._loader.load(code)
        names = [_better_name(name) if best else name for name in known]
        functions = [
            Function(name, self._loader.address(symbol)) for name, symbol in zip(known, names, strict=True)
        ]

        self._enter(_Module(functions, text, slow, is_best=best is not None, has_two=has_two))

    def _begin(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="symgraph compiler", daemon=True)
            self._worker.start()

    def _put(self, task: Callable[[], None] | None) -> None:
        self._waiting.append(task)
        self._count.release()

    def _work(self) -> None:
        is_ending = False
        while self._waiting or self._leisure or not is_ending:
            asked = self._count.acquire(timeout=0 if is_ending else _QUIET if self._leisure else None)
            if asked and (task := self._waiting.popleft()) is not None:
                task()
            elif asked:
                is_ending = True
            elif self._leisure:
                self._leisure.popleft()()

    def _improve(self, found: _Module) -> None:
        with self._lock:
            made = self.made(found.best, BEST)
            if found.has_two and is_unchanged() and (key := _same(found.first)) is not None:
                self._keep(key, made)
            self._loader.load(made)
            addresses = [self._loader.address(_better_name(name)) for name in found.names]
            found.is_best = True
        for function, address in zip(found.functions, addresses, strict=True):
            function.move(address)

    def settle(self) -> None:
        """Wait for all that was asked for."""
        with self._lock:
            if self._leisure:
                self._begin()
        worker = self._worker
        if worker is not None:
            self._put(None)
            worker.join()
            self._worker = None
        self._write()

    def _alone(self) -> None:
        """In a copy of the process, which has no other thread."""
        self._waiting, self._count = _nothing()
        self._leisure.clear()
        self._unwritten.clear()  # which the other one writes
        self._worker = None
        self._lock.release()


def _nothing() -> tuple[deque[Callable[[], None] | None], threading.Semaphore]:
    """Tasks that wait, and how many."""
    return deque(), threading.Semaphore(0)


@once
def code() -> Code:
    """The functions of this process; what they become is kept on disk."""
    return Code(Cache(folder()))


def _packing() -> Any:
    """What packs texts."""
    import zlib

    return zlib


def _better_name(name: str) -> str:
    return f"{name}_better"


def _better(text: str, names: Sequence[str]) -> str:
    """The text with other names, since one process holds the code of both."""
    for name in names:
        text = text.replace(f"@{name}(", f"@{_better_name(name)}(")
    return text


def _unpacked(text: bytes) -> str:
    found: str = _packing().decompress(text).decode()
    return found


def _same(first: str) -> str | None:
    """By which better code is found without its text: that follows from the first one as long as the sources, which
    print both, are the same. None where that is not known."""
    name = identity()
    return _key(f"better than {name}\n{first}", BEST) if name is not None else None


def _key(text: str, level: int) -> str:
    machine = host()
    return "\n".join([version(), machine.triple, machine.cpu, machine.features, str(level), text])
