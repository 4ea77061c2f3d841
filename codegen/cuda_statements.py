"""Statements of kernels as lines of CUDA C, in a scope: what is known, and where loops stand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from symgraph.codegen.cuda_body import CudaBody, c_literal, c_type
from symgraph.codegen.cuda_forms import Form
from symgraph.codegen.cuda_merges import Found
from symgraph.codegen.cuda_ops import from_memory, spelled, to_memory
from symgraph.codegen.layout import Access, Layout, Step, accesses
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.loops import Compute, Load, LoopKernel, Operand, Reduce, Statement, Store, Sweep, Value
from symgraph.graph.origin import Origin


class Statements:
    """What stands in the loops of a kernel; ``index`` has the texts of where they stand."""

    def __init__(self, kernel: LoopKernel, layout: Layout, form: Form, body: CudaBody) -> None:
        self._kernel, self._layout, self.form, self._body = kernel, layout, form, body
        self._integer = "long long" if form.wide else "int"
        self._steps = dict(zip(accesses(kernel), layout.steps, strict=True))
        self._numbers = {access: n for n, access in enumerate(self._steps)}
        self._rows_of = {x.name: x.type.dtype for x in (*kernel.reads, *kernel.writes)}
        self.names = _names([x.name for x in (*kernel.reads, *kernel.writes)])
        self._last = layout.rows + layout.columns - 1
        self._index: dict[int, str] = {}
        self._values: dict[str, str] = {}
        """The text that each value is read by."""
        self._read: dict[Access, str] = {}
        self._written: dict[Access, str] = {}
        """The numbers of vectors that are read, or written, in place of memory."""
        self._origin: Origin | None = None
        """The user's line that was named last."""
        self._count = 0

    @property
    def strides(self) -> Iterator[tuple[tuple[int, int], str]]:
        """The access and loop of each stride that a call says, and its name."""
        for n, (access, steps) in enumerate(self._steps.items()):
            for loop, step in enumerate(steps):
                if step is Step.FAR:
                    yield (n, loop), self._stride(access, loop)

    @contextmanager
    def _scoped(self) -> Iterator[None]:
        """What becomes known inside is forgotten after it."""
        known = dict(self._index), dict(self._values), dict(self._read), dict(self._written)
        try:
            yield
        finally:
            self._index, self._values, self._read, self._written = known

    def _line(self, name: str, text: str) -> str:
        """A new index, and its name."""
        self._count += 1
        self._body.emit(f"const {self._integer} {name}{self._count} = {text};")
        return f"{name}{self._count}"

    def _stand(self, position: str, loops: Iterable[int], sizes: Sequence[str]) -> None:
        """Loops stand where a position, counted in their order, says."""
        outer, *inner = list(zip(loops, sizes, strict=True)) or [(0, "1")]
        for loop, size in reversed(inner):
            self._index[loop] = self._line("i", f"{position} % {size}")
            position = self._line("i", f"{position} / {size}")
        self._index[outer[0]] = position

    @property
    def _of_elements(self) -> Sequence[Statement]:
        """The statements of a kernel without sweeps."""
        return [each for each in self._kernel.body if not isinstance(each, Sweep)]

    def _do(self, statements: Sequence[Statement]) -> None:
        for each in statements:
            self._statement(each)

    def _statement(self, each: Statement) -> None:
        match each:
            case Load(target=target, param=param, index=index):
                self._give(target, from_memory(self._loaded(Access(param.name, index)), target.row))
            case Compute(target=target, op=op, args=args, attrs=attrs):
                texts = [self._operand(x) for x in args]
                rows = [x.row for x in args]
                text = spelled(op, texts, rows, target.row, self._body.functions, attrs)
                self._give(target, text, each.origin)
            case Store(param=param, index=index, value=value):
                place = self._stored(Access(param.name, index))
                self._body.emit(f"{place} = {to_memory(self._operand(value), param.type.dtype)};")
            case Reduce(arg=arg):  # of one element, where there are no columns
                found = Found(self._body, each, has_total=False)
                found.take(self._operand(arg), "0")
                self._give(each.target, found.text, each.origin)

    def _give(self, target: Value, text: str, origin: Origin | None = None) -> None:
        """A value becomes known."""
        note = "" if origin is self._origin else _note(origin)
        self._origin = origin or self._origin
        if target.name in self._values:
            self._body.emit(f"{self._values[target.name]} = {text};{note}")
            return
        self._body.emit(f"const {c_type(computed_in(target.row))} {target.name} = {text};{note}")
        self._values[target.name] = target.name

    def _operand(self, x: Operand) -> str:
        if isinstance(x, Value):
            return self._values[x.name]
        text = c_literal(computed_in(x.row), x.value)
        return f"({text})" if text.startswith("-") else text

    def _loaded(self, access: Access) -> str:
        """A number of an array, or of the vector that was read of it."""
        return self._read.get(access) or self._place(access)

    def _stored(self, access: Access) -> str:
        return self._written.get(access) or self._place(access)

    def _place(self, access: Access) -> str:
        return f"{self.names[access.param]}[{self._offset(access)}]"

    def _offset(self, access: Access) -> str:
        """How many numbers after the beginning of its array the one at the index lies."""
        parts = []
        for n, step in enumerate(self._steps[access]):
            if step is not Step.NONE:
                at = self._index[n]
                parts.append(at if step is Step.UNIT else f"{_factor(at)} * {self._stride(access, n)}")
        return " + ".join(parts) or "0"

    def _stride(self, access: Access, loop: int) -> str:
        return f"{self.names[access.param]}_{self._numbers[access]}_{loop}"

    def _neighbours(
        self, loads: Sequence[Access], stores: Sequence[Access], inside: Callable[[], None]
    ) -> None:
        """What is done ``inside`` a loop over the numbers of a vector, at whose first the last loop stands: they are
        read at once before it, and written at once after it."""
        body, vector, last = self._body, self.form.vector, self._last
        if vector == 1:
            inside()
            return
        with self._scoped():
            for access in dict.fromkeys(x for x in loads if self._steps[x][last] is Step.UNIT):
                name, type_, pointer = self._vector(access)
                body.emit(f"const auto {name} = sg_load<{type_}, {vector}>({pointer});")
                self._read[access] = f"{name}.at[k]"
            lines = []
            for access in dict.fromkeys(x for x in stores if self._steps[x][last] is Step.UNIT):
                name, type_, pointer = self._vector(access)
                body.emit(f"sg_vector<{type_}, {vector}> {name};")
                self._written[access] = f"{name}.at[k]"
                lines.append(f"sg_store({pointer}, {name});")
            body.emit("#pragma unroll")
            with body.nested(f"for (int k = 0; k < {vector}; ++k)"), self._scoped():
                self._index[last] = f"({self._index[last]} + k)"
                inside()
            for line in lines:
                body.emit(line)

    def _vector(self, access: Access) -> tuple[str, str, str]:
        """A new name for neighbours in an array, the type of each, and where they begin."""
        self._count += 1
        name = self.names[access.param]
        return (
            f"{name}_{self._count}",
            c_type(self._rows_of[access.param]),
            f"{name} + {self._offset(access)}",
        )


def _factor(text: str) -> str:
    return text if re.fullmatch(r"\w+|\(.*\)", text) else f"({text})"


def _note(origin: Origin | None) -> str:
    """The user's line, as a comment."""
    if origin is None:
        return ""
    line = f"{origin.place}  {origin.text}".strip()
    line = re.sub(r"[^ -~]|\\", "?", line)  # a backslash at its end would comment out the next one
    return f"  // {line if len(line) <= _WIDEST else line[:_WIDEST] + ' ...'}"


_WIDEST = 90
"""Letters of the user's line."""


_OURS = re.compile(
    r"[eiknpstv]\d*|(sg|SG|_).*|.*_\d+|v\d+_kept|length|parts|part|row|mine|(block|grid|thread).*"
)
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
constexpr const_cast continue decltype default delete do double dynamic_cast else enum explicit
export extern false float for friend goto if inline int long mutable namespace new noexcept not
not_eq nullptr operator or or_eq private protected public register reinterpret_cast return short
signed sizeof static static_assert static_cast struct switch template this thread_local throw true
try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
begin end lane min max abs INFINITY NAN
"""
"""Of C++, and of what stands around statements."""


def _names(given: Sequence[str]) -> Mapping[str, str]:
    """A name in C for each array: its own where it is one, and nobody else's."""
    found: dict[str, str] = {}
    for name in given:
        own = re.sub(r"\W", "u", name, flags=re.ASCII)
        tried = itertools.chain((own, f"{own}_"), (f"a{n}_{own}_" for n in itertools.count()))
        found[name] = next(text for text in tried if not _is_taken(text) and text not in found.values())
    return found


def _is_taken(text: str) -> bool:
    return text in _WORDS.split() or _OURS.fullmatch(text) is not None
