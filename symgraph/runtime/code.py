"""Functions of machine code by their text: compiled together, cheaply at first and better in the background."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache as once
from functools import partial
from typing import Protocol

from symgraph.codegen.llvm_printer import Native, module
from symgraph.runtime.cache import Cache, folder
from symgraph.runtime.cpu import Loader, compiled, host, version

FIRST, BEST = 0, 2
"""Levels of LLVM's code generation: of what runs at once, and of what takes its place. Both compute the same bits."""


class Follower(Protocol):
    def moved(self) -> None:
        """A function that it calls has another address."""


class Function:
    """A function of machine code; its address changes once there is better code, and the old one stays valid."""

    def __init__(self, name: str, address: int) -> None:
        self.name, self.address = name, address
        self.followers: weakref.WeakSet[Follower] = weakref.WeakSet()

    def move(self, address: int) -> None:
        self.address = address
        for follower in tuple(self.followers):
            follower.moved()


@dataclass(slots=True, eq=False)
class _Module:
    """What was compiled together."""

    text: str
    functions: list[Function]
    is_best: bool


class Code:
    """All functions of this process."""

    def __init__(self, store: Cache) -> None:
        self._store, self._loader = store, Loader()
        self._modules: dict[str, _Module] = {}
        """By the names of their functions."""
        self._functions: dict[str, Function] = {}
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
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
                if not found.is_best:
                    found.is_best = True
                    self.later(partial(self._improve, found))

    def later(self, task: Callable[[], None]) -> None:
        """Do this in a while, in another thread."""
        with self._lock:
            self._waiting.put(task)
            self._begin()

    def made(self, text: str, level: int) -> bytes:
        """The object file of a module, from disk if it is there."""
        key = _key(text, level)
        code = self._store.get(key)
        if code is None:
            code = compiled(text, level)
            self._store.put(key, code)
        return code

    def _compile(self, kernels: Sequence[Native]) -> None:
        text = module(kernels, host())
        best = self._store.get(_key(_better(text, kernels), BEST))
        code = best or self.made(text, FIRST)
        self._loader.load(code)
        names = [f"{kernel.name}_better" if best else kernel.name for kernel in kernels]
        functions = [
            Function(kernel.name, self._loader.address(name))
            for kernel, name in zip(kernels, names, strict=True)
        ]
        made = _Module(_better(text, kernels), functions, best is not None)
        for function in functions:
            self._functions[function.name], self._modules[function.name] = function, made

    def _begin(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="symgraph compiler", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            task()

    def _improve(self, found: _Module) -> None:
        with self._lock:
            self._loader.load(self.made(found.text, BEST))
            addresses = [self._loader.address(f"{each.name}_better") for each in found.functions]
        for function, address in zip(found.functions, addresses, strict=True):
            function.move(address)

    def settle(self) -> None:
        """Wait for all that was asked for."""
        worker = self._worker
        if worker is not None:
            self._waiting.put(None)
            worker.join()
            self._worker = None

    def _alone(self) -> None:
        """In a copy of the process, which has no other thread."""
        self._waiting, self._worker = queue.SimpleQueue(), None
        self._lock.release()


@once
def code() -> Code:
    """The functions of this process; what they become is kept on disk."""
    return Code(Cache(folder()))


def _better(text: str, kernels: Sequence[Native]) -> str:
    """The text with other names, since one process holds the code of both."""
    for kernel in kernels:
        text = text.replace(f"@{kernel.name}(", f"@{kernel.name}_better(")
    return text


def _key(text: str, level: int) -> str:
    machine = host()
    return "\n".join([version(), machine.triple, machine.cpu, machine.features, str(level), text])
