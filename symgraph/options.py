"""How a program is to be compiled and run, as a value."""

from dataclasses import dataclass

from symgraph.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one function or session; part of every cache key, so two equal ones mean the same code.

    ``watch`` raises on the first NaN, naming the line that made it.
    """

    watch: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.watch, bool):
            raise ArgumentError(f"Options: watch is {self.watch!r}; it must be True or False")
