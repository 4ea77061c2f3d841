"""Calls from Python that run hardly any Python: `entry.ll` as a function of Python's, and the states that it knows."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from symgraph.codegen.beside import text_beside
from symgraph.runtime.cache import Cache, folder
from symgraph.runtime.code import BEST, Function, code
from symgraph.runtime.cpu import Loader
from symgraph.runtime.fields import begin_of
from symgraph.runtime.identity import identity
from symgraph.runtime.kept import Kept, lies_in_order
from symgraph.runtime.memory import Pages

if TYPE_CHECKING:
    from symgraph.runtime.panels import Weight
    from symgraph.runtime.pool import Pool

Array = np.ndarray[Any, Any]

_EMPTY, _FORM, _BASE = 184, 94, 282
"""Where PyArray_Empty, PyArray_NewFromDescr and PyArray_SetBaseObject stand in NumPy's table of functions for C."""
_PAGED = 1 << 15
"""Bytes from which on results have pages: what is freed below that, the C library has at once for the next."""
_PAGES = 2
"""How many there are for each: one to write while the caller still has the other."""
_MOST = 16
"""For so many shapes of arguments there may be states."""
_ROW = 6
"""Words of a step."""
_BUSY, _CALLS = 1, 33
"""Words of a state."""
_FASTCALL = 0x80 | 0x02
"""METH_FASTCALL | METH_KEYWORDS"""


class Step:
    """One function of machine code, and the turns of its first loop."""

    __slots__ = ("chunk", "function", "slots", "tables", "turns")

    def __init__(
        self,
        function: Function,
        tables: Sequence[Sequence[int]],
        slots: Sequence[tuple[int, int, int]],
        turns: int,
        chunk: int,
    ) -> None:
        """``tables`` has the words of each thread's, addresses that a call decides as 0; ``slots`` the place of each of
        these, the argument or result that it is the address of, and how many bytes further; results count on from
        arguments. A thread does so many turns, a ``chunk``, at a time."""
        self.function, self.tables, self.slots, self.turns, self.chunk = function, tables, slots, turns, chunk


class Form:
    """The shape and dtype of an argument or result."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


class Watched:
    """An argument, or a variable that counts on from arguments, of which steps have a copy: they are for this array
    alone."""

    __slots__ = ("array", "slot", "weight")

    def __init__(self, slot: int, array: Array, weight: Weight) -> None:
        self.slot, self.array, self.weight = slot, array, weight


class Answer:
    """What a call gives: a result as it is, a tuple of them, or what ``wrap`` makes of that tuple."""

    __slots__ = ("is_single", "wrap")

    def __init__(
        self, is_single: bool = False, wrap: Callable[[tuple[Array, ...]], Any] | None = None
    ) -> None:
        self.is_single, self.wrap = is_single, wrap


Called: TypeAlias = Callable[..., object]
"""A step that is Python's: it takes all arguments, variables and results."""


class State:
    """What `entry.ll` knows of calls whose arguments have these forms and lie in order.

    Steps set the word ``trouble`` where they find an index out of bounds. What is ``watched`` has to be the same array
    in every call.
    """

    def __init__(
        self,
        arguments: Sequence[Form],
        results: Sequence[Form],
        steps: Sequence[Step | Called],
        alive: Sequence[object],
        kept: Kept,
        answer: Answer,
        *,
        trouble: Array,
        heavy: bool,
        watched: Sequence[Watched] = (),
    ) -> None:
        locked = heavy and bool(kept.written)
        enter, leave = kept.enter, kept.leave
        own = (arguments, results, steps, kept, enter, leave, answer, trouble)
        self._alive: list[object] = [*alive, *own]
        count = len(arguments) + len(kept.read) + len(results)
        slots, objects = self._words([0] * count), self._words([0] * count)
        at = [*(objects + 8 * n for n in range(len(arguments))), *kept.read]
        self._watched = [(at[x.slot], x) for x in watched]
        rows: list[tuple[int, ...]] = []
        patches: list[int] = []
        every = [table for step in steps if isinstance(step, Step) for table in step.tables]
        begin = self._words([word for table in every for word in table])
        self._steps = steps
        widest = max((len(step.tables) for step in steps if isinstance(step, Step)), default=1)
        is_cut = any(step.chunk < step.turns for step in steps if isinstance(step, Step))
        workers = _pool(widest) if is_cut else None
        for step in steps:
            if isinstance(step, Step):
                share, size = len(step.tables), 8 * len(step.tables[0])
                step.function.follow(self)
                rows.append((step.function.address, begin, step.turns, step.chunk, size, share))
                for _ in range(share):
                    for place, slot, offset in step.slots:
                        patches += (begin + 8 * place, slots + 8 * slot, offset)
                    begin += size
            else:
                rows.append((0, id(step), 0, 0, 0, 0))
        self._run = np.array([word for row in rows for word in row], np.int64)
        words = [
            0,
            0,
            len(arguments),
            self._words([word for row in self._described(arguments) for word in row]),
            len(results),
            self._words([word for row in self._described(results, paged=True) for word in row]),
            slots,
            objects,
            len(patches) // 3,
            self._words(patches),
            len(steps),
            begin_of(self._run),
            int(heavy),
            id(np.ndarray),
            _numpy_function(_EMPTY),
            len(kept.read),
            self._words(kept.read),
            0 if kept.guard is None else id(kept.guard),
            len(kept.written),
            self._words(kept.written),
            len(kept.locks),
            self._words([lock.address for lock in kept.locks]),
            id(enter) if locked else 0,
            id(leave),
            int(answer.is_single),
            0 if answer.wrap is None else id(answer.wrap),
            0 if workers is None else workers.share,
            0 if workers is None else workers.address,
            _numpy_function(_FORM),
            _numpy_function(_BASE),
            begin_of(trouble),
            len(watched),
            self._words([word for place, x in self._watched for word in (place, id(x.array))]),
            0,
        ]
        self.address = self._words(words)
        for x in watched:
            x.weight.readers.add(self)

    @property
    def calls(self) -> int:
        """How many there were."""
        return self._word(_CALLS).value

    @property
    def is_busy(self) -> bool:
        """Whether a call runs in it."""
        return self._word(_BUSY).value != 0

    def fits(self, arrays: Sequence[Array]) -> bool:
        """Whether what is watched of the arguments are these arrays."""
        return all(arrays[x.slot] is x.array for _, x in self._watched)

    def is_outdated(self) -> bool:
        """Whether a variable that it has a copy of is another array now."""
        return any(ctypes.c_int64.from_address(at).value != id(x.array) for at, x in self._watched)

    def leads_to(self, address: int) -> None:
        """The state to try after this one; 0 for none."""
        self._word(0).value = address

    def _word(self, n: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.address + 8 * n)

    def moved(self) -> None:
        """There is better code for some step; a call that runs may take the old one or the new."""
        for n, step in enumerate(self._steps):
            if isinstance(step, Step):
                self._run[_ROW * n] = step.function.address

    def _words(self, words: Sequence[int]) -> int:
        """The address of words that stay as long as the state."""
        made = np.array([*words, 0], np.int64)
        self._alive.append(made)
        return begin_of(made)

    def _described(self, forms: Sequence[Form], *, paged: bool = False) -> list[tuple[int, ...]]:
        """For each its dtype and shape; and how many pages there are, and the address of what is known of them."""
        shapes = self._words([size for form in forms for size in form.shape])
        rows: list[tuple[int, ...]] = []
        for form in forms:
            pages = self._pages(form.nbytes) if paged else ()
            rows.append((id(form.dtype), len(form.shape), shapes, *pages))
            shapes += 8 * len(form.shape)
        return rows

    def _pages(self, size: int) -> tuple[int, int]:
        if size < _PAGED:
            return 0, 0
        made = [Pages.of(size) for _ in range(_PAGES)]
        self._alive.append(made)
        return _PAGES, self._words([word for pages in made for word in (id(pages), pages.begin)])


class Entry:
    """A function of Python's that tries states, and does ``slow`` where none fits.

    ``slow`` tells of each of its calls with `seen`; for arguments that come again there is a state then, if ``learn``
    finds one.
    """

    def __init__(self, slow: Callable[..., Any], learn: Callable[[Sequence[Array]], State | None]) -> None:
        self._slow, self._learn = slow, learn
        self._states: dict[tuple[tuple[int, ...], ...], State] = {}
        """By the shapes of arguments; the last is tried first."""
        self._lock = threading.Lock()
        """Nobody else changes the states meanwhile, or how they are linked."""
        self._seen: dict[tuple[tuple[int, ...], ...], int] = {}
        self._cell = np.array([0, id(slow)], np.int64)
        self._call: Callable[..., Any] | None = None

    @property
    def call(self) -> Callable[..., Any]:
        """The function, once a state was found."""
        assert self._call is not None
        return self._call

    def seen(self, values: Sequence[Any]) -> bool:
        """Whether a state was found now, for a call with these arguments: at the second with their shapes, or as soon
        after it as there is machine code to look at it."""
        if not all(lies_in_order(x) for x in values):
            return False
        shapes = tuple([x.shape for x in values])
        self._give_up(shapes)
        count = self._seen.get(shapes, 0) + 1
        if count == 1 and len(self._seen) >= _MOST:
            return False
        if count == 2 and _NATIVE.method is None:
            _NATIVE.ask()
            return False
        self._seen[shapes] = count
        state = self._learn(values) if count == 2 else None
        if state is None:
            return False
        with self._lock:
            self._states[shapes] = state
            self._link()
        if self._call is None:
            assert _NATIVE.method is not None
            self._call = _function(_NATIVE.method, self._cell, self)
        return True

    def _give_up(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        """The state for arguments of these shapes, if it is outdated: there will be another at once."""
        with self._lock:
            state = self._states.get(shapes)
            if state is not None and state.is_outdated() and not state.is_busy:
                del self._states[shapes]
                self._link()
                self._seen[shapes] = 1

    def _link(self) -> None:
        """Calls try one state after the other."""
        behind = 0
        for state in self._states.values():
            state.leads_to(behind)
            behind = state.address
        self._cell[0] = behind


def _pool(share: int) -> Pool:
    """What lets so many threads share a loop, or one do it in parts; few programs have such loops."""
    from symgraph.runtime.pool import pool

    pool().want(share)
    return pool()


def _numpy_function(n: int) -> int:
    table: Any = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(get(table, None), ctypes.POINTER(ctypes.c_void_p))[n] or 0


class _Method(ctypes.Structure):
    """PyMethodDef"""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Native:
    """`entry.ll` as machine code, which other threads make meanwhile."""

    def __init__(self) -> None:
        self._loader, self._is_asked = Loader(), False
        self._lock = threading.Lock()
        self.method: _Method | None = None

    def ask(self) -> None:
        if not self._is_asked:
            self._is_asked = True
            code().later(self._make)

    def is_there(self) -> bool:
        """Whether it is machine code, or was in another process."""
        if self.method is None and (made := Cache(folder()).get(_key())) is not None:
            self._load(made)
        return self.method is not None

    def _make(self) -> None:
        made = code().made(text_beside(__file__, "entry.ll"), BEST)
        self._load(made)
        if identity() is not None and Cache(folder()).get(_key()) is None:
            Cache(folder()).put(_key(), made)

    def _load(self, made: bytes) -> None:
        with self._lock:
            if self.method is not None:  # functions have its address
                return
            self._loader.load(made)
            self.method = _Method(b"call", self._loader.address("entry"), _FASTCALL, None)


def _key() -> str:
    """By which a process finds it that does not know LLVM yet."""
    return f"entry.ll of {identity()}"


_NATIVE = _Native()


def is_ready() -> bool:
    """Whether calls can begin without Python at once."""
    return _NATIVE.is_there()


def get_ready(*, parts: bool) -> None:
    """They can in a while, in this process and in others; also those that do a step in ``parts``."""
    _NATIVE.ask()
    if parts:
        code().later(_begin_pool)


def _begin_pool() -> None:
    """For those who are to want it."""
    _pool(1)


def called(state: State, slow: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Python's that tries this state alone, and does ``slow`` where it does not fit; `entry.ll` has to be
    ready."""
    assert _NATIVE.method is not None
    cell = np.array([state.address, id(slow)], np.int64)
    return _function(_NATIVE.method, cell, (cell, state, slow))


def _function(method: _Method, cell: Array, owner: object) -> Callable[..., Any]:
    """`entry.ll` with a cell to look at; it keeps the owner of that."""
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.py_object, ctypes.py_object],
    )
    made: Callable[..., Any] = make(ctypes.addressof(method), capsule(begin_of(cell), None, None), owner)
    return made
