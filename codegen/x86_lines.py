"""What a function consists of that is no instruction: blocks, the edges between them, and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from symgraph.codegen.x86_values import Type


class Label(NamedTuple):
    name: str


class Jump(NamedTuple):
    """The end of a block: to the first label where a condition holds, else to the second."""

    condition: str
    """As jumps are called, after the flags; nothing where there is one way."""
    block: str
    first: str
    second: str


class Held(NamedTuple):
    """A value that lies in a register where a function is entered, or left."""

    kind: int
    register: int
    number: int


class Call(NamedTuple):
    """Another function of the module runs: only what it has to give back is there afterwards."""

    name: str
    """Written as the text does; of no function, but of a value that is its address, with a ``%``."""
    given: Sequence[Held]
    above: Sequence[int]
    """Values for which there was no register: they go to the stack."""
    results: Sequence[Held]


class Leave(NamedTuple):
    """The end of the function."""

    results: Sequence[Held] = ()


class Meeting(NamedTuple):
    """A register that holds another value for each block that is come from."""

    number: int
    part: int
    type: Type
    ways: Mapping[str, str]


Line: TypeAlias = "str | Label | Jump | Call | Leave"
"""An instruction with places for its operands; or what is more than one."""
