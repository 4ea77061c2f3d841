"""Functions of CUDA C that are written line by line: their arrays, their numbers, and the loops of their threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256

from symgraph.codegen.cuda_body import CudaBody, c_type
from symgraph.codegen.cuda_forms import BLOCK, Form
from symgraph.codegen.cuda_printer import CudaKernel, Parameter, uncommented
from symgraph.codegen.layout import Step
from symgraph.graph.types import DType, dtype

Steps = tuple[Step, ...]
"""How far a turn of each loop goes in an array."""


class Function:
    """A function that is being written. Its parameters are the arrays, then the numbers in the order of their first
    use."""

    def __init__(self, *, wide: bool) -> None:
        self.body = CudaBody()
        self.wide = wide
        self.integer = "long long" if wide else "int"
        """The type of indices."""
        self._arrays: list[tuple[Parameter, str]] = []
        self._numbers: dict[str, Parameter] = {}

    def array(self, name: str, row: DType, *, written: bool = False, alone: bool = True) -> str:
        """An array; one that is not ``alone`` may lie where another one does."""
        declared = f"{'const ' * (not written)}{c_type(row)}*{' __restrict__' * alone} {name}"
        self._arrays.append((Parameter(name, "array", row), declared))
        return name

    def number(self, name: str) -> str:
        """An index or a size that the call says."""
        self._numbers.setdefault(name, Parameter(name, "size"))
        return name

    def line(self, text: str) -> None:
        self.body.emit(text)

    def constant(self, name: str, text: str) -> str:
        """A name for an index."""
        self.line(f"const {self.integer} {name} = {text};")
        return name

    @contextmanager
    def turns(self, count: str) -> Iterator[None]:
        """Turns that all threads of the grid share, numbered ``p``."""
        block = f"{BLOCK}{'ll' * self.wide}"
        start, step = f"blockIdx.x * {block} + threadIdx.x", f"gridDim.x * {block}"
        with self.body.nested(f"for ({self.integer} p = {start}; p < {count}; p += {step})"):
            yield

    def stand(self, position: str, loops: Sequence[str], vector: int = 1) -> None:
        """Where loops stand at a position that is counted in their order, the last in steps of so many."""
        for n in reversed(range(len(loops))):
            by = vector if n == len(loops) - 1 else 1
            size, times = self.count(loops[n : n + 1], by), f" * {by}" * (by > 1)
            if n == 0:
                self.constant(loops[0], f"{position}{times}")
                return
            self.constant(loops[n], f"{position} % {size}{times}")
            position = f"{position} / {size}"
            if n > 1:
                position = self.constant(f"before_{loops[n]}", position)

    def count(self, loops: Sequence[str], vector: int = 1) -> str:
        """How many turns loops have, the last one in steps of so many."""
        sizes = [self.number(f"n_{loop}") for loop in loops]
        if vector > 1:
            sizes[-1] = f"({sizes[-1]} / {vector})"
        return " * ".join(sizes) or "1"

    def offset(self, name: str, loops: Sequence[str], steps: Steps) -> list[str]:
        """How far after its first number an array's number lies where loops stand: the parts of a sum."""
        return [
            loop if step is Step.UNIT else f"{loop} * {self.number(f'{name}_{loop}')}"
            for loop, step in zip(loops, steps, strict=True)
            if step is not Step.NONE
        ]

    def done(self, what: str, form: Form, note: str = "") -> CudaKernel:
        """The function, whose name begins so and follows from its text; above it stands what it does."""
        return finished(
            what,
            self.body.taken(),
            self._arrays,
            list(self._numbers.values()),
            form,
            self.body.functions,
            note,
        )


def finished(
    what: str,
    lines: Sequence[str],
    arrays: Sequence[tuple[Parameter, str]],
    numbers: Sequence[Parameter],
    form: Form,
    helpers: Mapping[str, str],
    note: str,
) -> CudaKernel:
    """A function of arrays, each with how it is declared, and of numbers."""
    integer = "long long" if form.wide else "int"
    declared = [*(text for _, text in arrays), *(f"const {integer} {x.name}" for x in numbers)]
    signature, body = ",\n    ".join(declared), "\n".join(lines)
    digest = sha256(f"{form.block}\n{signature}\n{uncommented(body)}".encode()).hexdigest()[:16]
    name = f"{what}_{digest}"
    head = f'extern "C" __global__ void __launch_bounds__({form.block}) {name}'
    text = f"{_comment(note)}{head}(\n    {signature})\n{{\n{body}\n}}\nSG_KERNEL({name})\n"
    parameters = (*(x for x, _ in arrays), *numbers)
    return CudaKernel((name,), (False,), text, helpers, parameters, form)


def _comment(note: str) -> str:
    return "".join(f"// {line}\n" for line in note.splitlines())


def index_row(*, wide: bool) -> DType:
    return dtype("int64" if wide else "int32")


def total(parts: Sequence[str]) -> str:
    """A sum in C."""
    return " + ".join(parts) or "0"
