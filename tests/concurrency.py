"""Functions at the same time, and programs that threads share."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import symgraph as sg


def together(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def noticing(monkeypatch: Any, notice: Callable[[Any, dict[str, Any]], object]) -> None:
    """``notice`` sees each call of machine code when it is made, and what that was given by name."""
    from symgraph.runtime.native import NativeCall

    start = NativeCall.__init__

    def seen(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        notice(self, kwargs)

    monkeypatch.setattr(NativeCall, "__init__", seen)


def by_threads(program: Any, counts: Iterable[int]) -> list[list[Any]]:
    """What a drawn program gives with each of these numbers of threads."""
    given, arrays = zip(*program.inputs, strict=True) if program.inputs else ((), ())
    outputs = [node for node, _ in program.values]
    made = [sg.function(list(given), outputs, options=sg.Options(threads=count)) for count in counts]
    return [f._program.executor.run(list(arrays)) for f in made]
