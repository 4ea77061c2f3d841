"""The native format, ``.sg``: programs as text, and their arrays, in one file of arrays.

The file is a container of arrays (`symgraph.io.container`). ``manifest`` and ``program/NAME`` are bytes of text, and
``constant/DIGEST``, ``variable/NAME`` and ``default/NAME/POSITION`` are arrays of the programs. The metadata have the
format's version and the manifest's checksum; the manifest has the checksums of all others.

Reading executes, imports and unpickles nothing: the text is read as graphs are (`symgraph.graph.parse`), and says ops
by their names.
"""

from __future__ import annotations

import os
from typing import Any

from symgraph.api.function import CompiledFunction
from symgraph.errors import ArgumentError
from symgraph.graph.graph import Graph
from symgraph.io import atomic, container
from symgraph.io.loading import functions_of
from symgraph.io.saving import Saved, encoded
from symgraph.options import Options


def save(path: str | os.PathLike[str], what: Saved, *, lines: bool = True) -> None:
    """Write a compiled function, a graph, or several of them by name, to one file.

    The file has the program, its constants, the arguments' defaults, and the variables with their values, so that a
    training step goes on training. Functions that share variables do so when they are loaded. Options are given at
    load. Equal content gives equal bytes; to it belong your lines, which errors quote, unless ``lines`` is False. The
    file is there as a whole or not at all, whatever happens meanwhile.

    >>> import os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "count.sg")
    >>> count = variable(0, name="count")
    >>> tick = function([], count, updates={count: count + 1})
    >>> save(path, {"tick": tick, "peek": function([], count)})
    >>> again = load(path)
    >>> int(again["tick"]()), int(again["tick"]()), int(again["peek"]()), int(count.value)
    (0, 1, 2, 0)
    >>> folder.cleanup()

    Raises FileError where it cannot be written, and for what no file can say: outputs in classes of one's own,
    variables without values; ArgumentError for what is no function and no graph.
    """
    place = os.fspath(path)
    atomic.write(path, encoded(what, place, lines))


def load(path: str | os.PathLike[str], *, options: Options | None = None, mapped: bool = True) -> Any:
    """The function that a file holds, or the dict of functions.

    Variables are new ones, with the values that were saved; a second load gives others. ``options`` are those of the
    functions. Large arrays stay in the file, and take memory as they are read; with ``mapped`` False they are copied,
    which a file needs that somebody will change in place.

    Nothing in the file is executed. Ops of a user's own must have been declared before by the program that loads.

    Raises FileError, which names the file and the fault, for a file that is not whole, whose bytes are not those that
    were saved, or which says what this symgraph does not know.
    """
    return functions_of(container.read(path, mapped=mapped), options)


def to_bytes(what: Saved) -> bytes:
    """What ``save`` writes. Raises FileError, ArgumentError."""
    return b"".join(encoded(what, "the program"))


def from_bytes(content: bytes, options: Options | None = None) -> Any:
    """What ``load`` gives for a file of these bytes. Raises FileError."""
    return functions_of(container.decode(content, "the program"), options)


def reduced(function: CompiledFunction) -> tuple[Any, ...]:
    """How pickle and deepcopy make the function again: of the bytes of a file, and of its options.

    Raises ArgumentError for rules among the options, which are code; FileError for what no file can say.
    """
    if function._program.options.rules:
        text = "save it, and load it with options that have the rules"
        raise ArgumentError(f"{function.name} has rules of its own, which cannot be pickled: {text}")
    return from_bytes, (to_bytes(function), function._program.options)


def of_graph(graph: Graph, options: Options | None = None) -> CompiledFunction:
    """A graph as the function that ``load`` gives where it was saved. Raises FileError for variables without values."""
    made: CompiledFunction = from_bytes(to_bytes(graph), options)
    return made
