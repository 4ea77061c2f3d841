"""What can go wrong, one class per kind; each is also the built-in exception that a NumPy user would expect.

::

    SymgraphError
    ├── DTypeError           TypeError            a dtype that an op or an argument does not take
    ├── ShapeError           ValueError           sizes, ranks or axes that do not fit together
    ├── GraphError           ValueError           an ill-formed graph: missing, unused, repeated or unknown inputs
    ├── ArgumentError        TypeError            a wrong number, name, structure or value of arguments
    ├── GradientError        ValueError           a derivative that does not exist
    ├── OutOfBoundsError     IndexError           an index outside its axis
    ├── ParseError           ValueError           text that is not a program; has the line and the column
    ├── LinAlgError          NumPy's              a matrix without the inverse or the factors that are asked for
    ├── RunError             RuntimeError         a program that failed while it ran
    ├── DeviceError          RuntimeError         a device or its compiler that is not there or refuses what it is given
    ├── MemoryLimitError     MemoryError          a limit of memory that no order of steps keeps
    ├── FileError            OSError              a file that cannot be read or written
    ├── UnsupportedOperator  NotImplementedError  what another format has and symgraph has not, or the reverse
    └── VerifyError          AssertionError       a broken invariant: a bug of symgraph's own
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


class SymgraphError(Exception):
    """Any of the errors below."""


class DTypeError(SymgraphError, TypeError):
    """A dtype that an op or an argument does not take."""


class ShapeError(SymgraphError, ValueError):
    """Sizes, ranks or axes that do not fit together."""


class GraphError(SymgraphError, ValueError):
    """An ill-formed graph: missing, unused, repeated or unknown inputs."""


class ArgumentError(SymgraphError, TypeError):
    """A wrong number, name, structure or value of arguments."""


class GradientError(SymgraphError, ValueError):
    """A derivative that does not exist."""


class OutOfBoundsError(SymgraphError, IndexError):
    """An index outside its axis."""


class ParseError(SymgraphError, ValueError):
    """Text that is not a program.

    >>> str(ParseError("expected a name", line=3, column=5))
    'line 3, column 5: expected a name'
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message, line, column)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = [f"{name} {n}" for name, n in (("line", self.line), ("column", self.column)) if n is not None]
        return f"{', '.join(where)}: {self.message}" if where else self.message


class LinAlgError(SymgraphError, np.linalg.LinAlgError):
    """A matrix without the inverse or the factors that are asked for: singular, say, or not positive definite."""


class RunError(SymgraphError, RuntimeError):
    """A program that failed while it ran."""


class DeviceError(SymgraphError, RuntimeError):
    """A device or its compiler that is not there, or refuses what it is given."""


class MemoryLimitError(SymgraphError, MemoryError):
    """A limit of memory that no order of steps keeps."""


class FileError(SymgraphError, OSError):
    """A file that cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An operator that cannot be imported or exported: its name, its node in the model or its line, and why.

    >>> print(Problem("ImageDecoder", "node decode", "there is no rule for it"))
    ImageDecoder (node decode): there is no rule for it
    """

    operator: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.operator} ({self.place}): {self.reason}"


class UnsupportedOperator(SymgraphError, NotImplementedError):
    """What of a model cannot be imported, or of a function exported.

    ``problems`` lists each operator with its node and the reason.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class VerifyError(SymgraphError, AssertionError):
    """A broken invariant: a bug of symgraph's own."""
