"""Reductions in CUDA C: what a thread has found, and what the threads of a row have found together.

What is merged with what, and in which order, follows from the form of a kernel alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from symgraph.codegen.cuda_body import CudaBody, Function, c_type, define, operand, text_of
from symgraph.codegen.cuda_forms import WARP, Form
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.llvm_reductions import Reduction, reduction, registers
from symgraph.codegen.loops import Reduce, Value
from symgraph.codegen.vectors import Register
from symgraph.graph.op import Op
from symgraph.graph.types import INT64, DType
from symgraph.ops.reduce import prod, sum


class Found:
    """The variables of a thread for one reduction."""

    def __init__(self, body: CudaBody, each: Reduce, *, has_total: bool = True) -> None:
        self.each, self._body = each, body
        self._how = reduction(each, 0)
        self.state = [body.variable(x.row, x.text) for x in self._how.start(body)]
        self._total: list[Register] = []
        if self._how.has_total and has_total:
            self._total = [body.variable(x.row, x.text) for x in self._how.total(body)]

    @property
    def text(self) -> str:
        """What was found, as an expression."""
        return text_of(self._how.value(self.state))

    @property
    def has_total(self) -> bool:
        """Whether some turns go into something else; see `gather`."""
        return bool(self._total)

    def take(self, x: str, place: str) -> None:
        """One number more, and how many came before."""
        if self._how.wants_place:
            self.merge([f"(long long)({place})", x])
        else:
            self.merge([each.text for each in registers(operand(x, self.each.arg.row))])

    def merge(self, others: Sequence[str]) -> None:
        """What came after, found by another thread or in another part."""
        _become(self._body, self._how, self.state, [x.text for x in self.state], others)

    def merge_across(self, others: Sequence[str], is_later: str) -> None:
        """What another thread found, where that one does the same with what this one found: the lesser of the two came
        first."""
        own = [x.text for x in self.state]
        if self.each.op in (sum.op, prod.op):
            self.merge(others)
            return
        with self._body.nested(f"if ({is_later})"):
            _become(self._body, self._how, self.state, others, own)
        with self._body.nested("else"):
            _become(self._body, self._how, self.state, own, others)

    def gather(self) -> None:
        """What some turns gave goes into the total, and the next begin anew."""
        totals = zip(self.state, self._total, self._total[len(self.state) :], strict=False)
        for (x, total, lost), first in zip(totals, self._how.start(self._body), strict=False):
            function = _gathering(x.row)
            self._body.functions.update(function.texts)
            self._body.emit(f"{total.text} = {function.name}({total.text}, {x.text}, {lost.text});")
            self._body.assign(x, first)

    def finish(self) -> None:
        """All turns are done."""
        for x, total, lost in zip(self.state, self._total, self._total[len(self.state) :], strict=False):
            self._body.emit(f"{x.text} = {total.text} + {lost.text};")


def merged(body: CudaBody, form: Form, found: Sequence[Found]) -> None:
    """What the threads of a row have found becomes what all know; every thread of the block has to come here."""
    if form.threads == 1 or not found:
        return
    if form.upright:
        _merge_upright(body, found, form.threads)
        return
    _merge_in_step(body, found, min(WARP, form.threads))
    if form.threads > WARP:
        _merge_warps(body, found, form)


def _merge_in_step(body: CudaBody, found: Sequence[Found], lanes: int) -> None:
    """Over neighbouring lanes of a warp."""
    with body.nested(f"for (int k = 1; k < {lanes}; k *= 2)"):
        for each in found:
            others = [body.made(x.row, f"sg_shuffle_xor({x.text}, k)").text for x in each.state]
            each.merge_across(others, "threadIdx.x & k")


def _merge_warps(body: CudaBody, found: Sequence[Found], form: Form) -> None:
    """Over the warps of a row, whose lanes know the same."""
    warps = form.threads // WARP
    pairs = _shared(body, found, f"[{form.block // WARP}]")
    with body.nested(f"if (threadIdx.x % {WARP} == 0)"):
        for name, x in pairs:
            body.emit(f"{name}[threadIdx.x / {WARP}] = {x.text};")
    body.emit("__syncthreads();")
    own = f"threadIdx.x / {form.threads} * {warps} + " * (form.rows > 1)
    for name, x in pairs:
        body.emit(f"{x.text} = {name}[{own}threadIdx.x % {warps}];")
    _merge_in_step(body, found, warps)
    body.emit("__syncthreads();")


def _merge_upright(body: CudaBody, found: Sequence[Found], threads: int) -> None:
    """Over the warps of a block, whose lanes have a row each, the same in every warp."""
    pairs = _shared(body, found, f"[{threads}][{WARP}]")
    for name, x in pairs:
        body.emit(f"{name}[threadIdx.x / {WARP}][threadIdx.x % {WARP}] = {x.text};")
    body.emit("__syncthreads();")
    for name, x in pairs:
        body.emit(f"{x.text} = {name}[0][threadIdx.x % {WARP}];")
    names = {x.text: name for name, x in pairs}
    with body.nested(f"for (int k = 1; k < {threads}; ++k)"):
        for each in found:
            each.merge([f"{names[x.text]}[k][threadIdx.x % {WARP}]" for x in each.state])
    body.emit("__syncthreads();")


def _shared(body: CudaBody, found: Sequence[Found], extent: str) -> list[tuple[str, Register]]:
    """An array of the block for each variable."""
    pairs = [(f"shared_{x.text}", x) for each in found for x in each.state]
    for name, x in pairs:
        body.emit(f"__shared__ {c_type(x.row)} {name}{extent};")
    return pairs


def _become(
    body: CudaBody, how: Reduction, state: Sequence[Register], first: Sequence[str], then: Sequence[str]
) -> None:
    """The state is what two merge to."""
    to, op, row = state[0].text, how.each.op, how.each.arg.row
    sign = {sum.op: "+", prod.op: "*"}.get(op)
    if sign is not None and (computed_in(row).is_float or (row.is_complex and op is sum.op)):
        for x, a, b in zip(state, first, then, strict=True):
            body.emit(f"{x.text} = {a} {sign} {b};")
        return
    function = _merging(op, how.each.arg.row)
    body.functions.update(function.texts)
    rest = [x.text for x in state[1:]]
    given = [x for pair in zip(first, then, strict=True) for x in pair]
    body.emit(f"{to} = {function.name}({', '.join([*given, *rest])});")


def _like(op: Op, row: DType) -> Reduction:
    is_place = reduction(Reduce(Value("r", INT64), op, Value("x", row)), 0).wants_place
    return reduction(Reduce(Value("r", INT64 if is_place else row), op, Value("x", row)), 0)


@cache
def _merging(op: Op, row: DType) -> Function:
    """A function of two states, whose variables take turns."""
    how = _like(op, row)
    rows = [x.row for x in how.start(CudaBody()) for _ in range(2)]

    def what(body: CudaBody, *given: Register) -> tuple[Register, ...]:
        return tuple(how.merge(body, list(given[::2]), list(given[1::2])))

    return define(f"sg_merge_{op.name}_{row.short}", what, rows)


@cache
def _gathering(row: DType) -> Function:
    """A function of a total, what is added to it, and what was lost until now, which it changes."""
    how = _like(sum.op, row)

    def what(body: CudaBody, total: Register, x: Register) -> tuple[Register, Register]:
        found, lost = how.gather(body, [total, Register("second", row, 0)], [x])
        return found, lost

    return define(f"sg_gather_{row.short}", what, [row, row])
