"""Cumulative sums and products, and linear recurrences, in CUDA C.

Where neighbours follow each other along the axis, threads share a row: each has some neighbours, what threads before it
have comes to it by shuffles and then over warps, and a row is gone through in turns. Elsewhere a thread has a row to
itself, and its neighbours have neighbouring rows. Where there are few rows they are cut into parts: one function leaves
what each part comes to, and the next begins with what the parts before come to. What is added to what, and in which
order, follows from sizes and strides alone.

Products of floats, and recurrences, are made from the beginning to the end by one thread: what overflows in between, or
becomes 0, does so as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache

from symgraph.codegen.cuda_body import c_literal, c_type
from symgraph.codegen.cuda_forms import BLOCK, WARP, Form
from symgraph.codegen.cuda_functions import Function, Steps, total
from symgraph.codegen.cuda_ops import from_memory, spelled, to_memory
from symgraph.codegen.cuda_printer import CudaKernel
from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_memory import computed_in
from symgraph.graph.op import Op
from symgraph.graph.types import DType
from symgraph.ops.arithmetic import add, multiply

_SOME = 16
"""So many numbers a thread reads at a time where it has a row to itself."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What the text of a function depends on."""

    kind: str
    """"sum", "prod", "recurrence" or "lagged" recurrence."""
    row: DType
    exclusive: bool
    steps: tuple[Steps, ...]
    """Of each array that is read, and of the one that is written, along the loops over rows and then along the axis."""
    threads: int
    """Of a row."""
    each: int
    """Neighbours that a thread has at a time, where threads share a row."""
    at_once: tuple[bool, ...]
    """Whether they are loaded, and stored, at once."""
    is_cut: bool
    wide: bool

    @property
    def rows(self) -> int:
        """Rows of a block whose threads share them."""
        return BLOCK // self.threads


def is_sequential(kind: str, row: DType) -> bool:
    """Whether one thread goes from the beginning of a row to its end."""
    return kind in ("recurrence", "lagged") or (kind == "prod" and not row.is_integer)


@cache
def print_scan(scan: Scan) -> CudaKernel:
    """What is written; of a row that is cut, each part begins with what those before come to."""
    return _Writer(scan).written()


@cache
def print_totals(scan: Scan) -> CudaKernel:
    """What each part of a row comes to."""
    return _Writer(scan).totals()


class _Writer:
    """The lines of a function."""

    def __init__(self, scan: Scan) -> None:
        self._scan, self._function = scan, Function(wide=scan.wide)
        self._near = computed_in(scan.row)
        self._type = c_type(self._near)
        self._loops = [f"e{n}" for n in range(len(scan.steps[0]) - 1)]
        self._op: Op = add.op if scan.kind == "sum" else multiply.op
        self._reads = ["a", "b"] if scan.kind in ("recurrence", "lagged") else ["x"]
        is_sum = self._op is add.op
        self._none = c_literal(self._near, -0.0 if is_sum and self._near.is_float else 0 if is_sum else 1)
        """What changes nothing: -0.0 + x is x for all x."""
        self._first = c_literal(self._near, 0 if is_sum else 1)
        """What an exclusive one begins with."""

    def written(self) -> CudaKernel:
        for name in self._reads:
            self._function.array(name, self._scan.row, alone=False)
        if self._scan.is_cut:
            self._function.array("totals", self._near)
        self._function.array("y", self._scan.row, written=True, alone=False)
        if self._scan.threads > 1:
            self._shared(self._scan_turns)
        else:
            self._alone(self._walk)
        what = {"sum": "cumsum", "prod": "cumprod"}.get(self._scan.kind, "recurrence")
        return self._function.done(what, self._form, _NOTES[what])

    def totals(self) -> CudaKernel:
        self._function.array("x", self._scan.row, alone=False)
        self._function.array("totals", self._near, written=True)
        if self._scan.threads > 1:
            self._shared(self._sum_turns)
        else:
            self._alone(self._sum)
        return self._function.done("totals", self._form, _NOTES["totals"])

    @property
    def _form(self) -> Form:
        return Form(self._scan.wide, self._scan.each, self._scan.threads, is_cut=self._scan.is_cut)

    # A thread for each row

    def _alone(self, inside: Callable[[], None]) -> None:
        function, scan = self._function, self._scan
        rows, parts = function.count(self._loops), ""
        if scan.is_cut:
            parts = f" * {function.number('parts')}"
        with function.turns(f"{rows}{parts}"):
            row = "p"
            if scan.is_cut:
                count = rows if len(self._loops) < 2 else f"({rows})"
                row = function.constant("row", f"p % {count}")
                function.constant("part", f"p / {count}")
            function.stand(row, self._loops)
            self._ends("p" if not scan.is_cut else "part")
            inside()

    def _ends(self, part: str) -> None:
        """Where a row, or the part of it, begins and ends."""
        function, size = self._function, self._function.number("n_j")
        if self._scan.is_cut:
            length = function.number("length")
            function.constant("begin", f"{part} * {length}")
            function.constant("end", f"min({size}, begin + {length})")
        else:
            function.constant("begin", "0")
            function.constant("end", size)

    def _walk(self) -> None:
        function, scan = self._function, self._scan
        if scan.kind in ("recurrence", "lagged"):
            self._recur()
            return
        function.line(f"{self._type} sum = {self._none};")
        if scan.is_cut:
            place = f"totals[k * {_factor(function.count(self._loops))} + row]"
            function.line("#pragma unroll 4")
            function.line(
                f"for ({function.integer} k = 0; k < part; ++k) sum = {self._together('sum', place)};"
            )
        with self._each_place():
            if scan.exclusive:
                self._store(f"j ? sum : {self._first}" if self._near.is_float else "sum")
            function.line(f"sum = {self._together('sum', 'x_own[k]')};")
            if not scan.exclusive:
                self._store("sum")

    def _sum(self) -> None:
        function = self._function
        function.line(f"{self._type} sum = {self._none};")
        with self._each_place():
            function.line(f"sum = {self._together('sum', 'x_own[k]')};")
        function.line(f"totals[part * {_factor(function.count(self._loops))} + row] = sum;")

    def _recur(self) -> None:
        """``h = b + a * h``, with the ``a`` of the place before where it is lagged."""
        function, lagged = self._function, self._scan.kind == "lagged"
        function.line(f"{self._type} h = 0;")
        if lagged:
            function.line(f"{self._type} before = 0;")
        with self._each_place():
            function.line(f"h = j ? b_own[k] + {'before' if lagged else 'a_own[k]'} * h : b_own[k];")
            if lagged:
                function.line("before = a_own[k];")
            self._store("h")

    @contextmanager
    def _each_place(self) -> Iterator[None]:
        """Some numbers are read before any is written over them, and what is done inside has them as ``x_own[k]``."""
        function, row = self._function, self._scan.row
        with function.body.nested(f"for ({function.integer} first = begin; first < end; first += {_SOME})"):
            function.line(f"{self._type} {', '.join(f'{name}_own[{_SOME}]' for name in self._reads)};")
            function.line("#pragma unroll")
            with function.body.nested(f"for (int k = 0; k < {_SOME}; ++k)"):
                function.constant("j", "first + k < end ? first + k : first")
                for n, name in enumerate(self._reads):
                    function.line(f"{name}_own[k] = {from_memory(self._at(name, n), row)};")
            function.line("#pragma unroll")
            with function.body.nested(f"for (int k = 0; k < {_SOME} && first + k < end; ++k)"):
                function.constant("j", "first + k")
                yield

    # Threads that share a row

    def _shared(self, inside: Callable[[], None]) -> None:
        function, scan = self._function, self._scan
        rows = function.count(self._loops)
        function.line(f"__shared__ {self._type} sums[{BLOCK // WARP}];")
        function.constant("lane", f"threadIdx.x % {scan.threads}")
        if scan.is_cut:
            function.constant("part", "blockIdx.y")
        self._ends("part")
        step = f"{scan.rows}{'ll' * scan.wide}"
        by = f" * {step}" * (scan.rows > 1)
        head = f"for ({function.integer} p = blockIdx.x{by}; p < {rows}; p += gridDim.x{by})"
        with function.body.nested(head):
            if scan.rows > 1:
                function.line(f"const bool mine = p + threadIdx.x / {scan.threads} < {rows};")
                function.constant("row", f"mine ? p + threadIdx.x / {scan.threads} : p")
            else:
                function.constant("row", "p")
            function.stand("row", self._loops)
            inside()

    def _scan_turns(self) -> None:
        function, scan, before = self._function, self._scan, self._before()
        function.line(f"{self._type} sum = {self._none}, all;")
        if scan.is_cut:
            place = f"totals[row * {function.number('parts')} + k]"
            function.line(
                f"for ({function.integer} k = lane; k < part; k += {scan.threads}) "
                f"sum = {self._together('sum', place)};"
            )
            function.line(f"{before}(sum, all, sums);")
            function.line("sum = all;")
        with self._each_turn():
            self._load_own()
            with function.body.nested(f"for (int k = 1; k < {scan.each}; ++k)"):
                function.line(f"own[k] = {self._together('own[k - 1]', 'own[k]')};")
            function.line(f"const {self._type} less = {before}(own[{scan.each - 1}], all, sums);")
            function.line(f"const {self._type} base = {self._together('sum', 'less')};")
            function.line(f"sum = {self._together('sum', 'all')};")
            self._store_own()

    def _sum_turns(self) -> None:
        function, scan = self._function, self._scan
        function.line(f"{self._type} sum = {self._none}, all;")
        with self._each_turn():
            self._load_own()
            with function.body.nested(f"for (int k = 0; k < {scan.each}; ++k)"):
                function.line(f"sum = {self._together('sum', 'own[k]')};")
        function.line(f"{self._before()}(sum, all, sums);")
        function.line(f"if (lane == 0) totals[row * {function.number('parts')} + part] = all;")

    def _each_turn(self) -> AbstractContextManager[None]:
        """As many turns for all threads of a block, since they wait for each other."""
        scan, integer = self._scan, self._function.integer
        return self._function.body.nested(
            f"for ({integer} turn = begin; turn < end; turn += {scan.threads * scan.each})"
        )

    def _load_own(self) -> None:
        function, scan = self._function, self._scan
        mine = "mine && " * (scan.rows > 1)
        function.constant("first", f"turn + lane * {scan.each}")
        function.line(f"{self._type} own[{scan.each}];")
        if scan.at_once[0]:
            type_ = c_type(scan.row)
            function.line(f"sg_vector<{type_}, {scan.each}> from;")
            place = f"x + {self._offset('x', 0, 'first')}"
            function.line(f"if ({mine}first < end) from = sg_load<{type_}, {scan.each}>({place});")
            function.line("#pragma unroll")
            with function.body.nested(f"for (int k = 0; k < {scan.each}; ++k)"):
                new = from_memory("from.at[k]", scan.row)
                function.line(f"own[k] = {mine}first < end ? {new} : {self._none};")
            return
        function.line("#pragma unroll")
        with function.body.nested(f"for (int k = 0; k < {scan.each}; ++k)"):
            function.constant("j", "first + k")
            new = from_memory(self._at("x", 0), scan.row)
            function.line(f"own[k] = {mine}j < end ? {new} : {self._none};")

    def _store_own(self) -> None:
        function, scan = self._function, self._scan
        mine = "mine && " * (scan.rows > 1)
        new = self._together("base", "own[k]")
        if scan.exclusive:
            new = f"k ? {self._together('base', 'own[k - 1]')} : base"
            if self._near.is_float:
                new = f"first + k == 0 ? {self._first} : {new}"
        if scan.at_once[-1]:
            function.line(f"sg_vector<{c_type(scan.row)}, {scan.each}> to;")
            function.line("#pragma unroll")
            with function.body.nested(f"for (int k = 0; k < {scan.each}; ++k)"):
                function.line(f"to.at[k] = {to_memory(new, scan.row)};")
            function.line(
                f"if ({mine}first < end) sg_store(y + {self._offset('y', len(scan.steps) - 1, 'first')}, to);"
            )
            return
        function.line("#pragma unroll")
        with function.body.nested(f"for (int k = 0; k < {scan.each}; ++k)"):
            function.constant("j", "first + k")
            place = self._at("y", len(scan.steps) - 1)
            function.line(f"if ({mine}j < end) {place} = {to_memory(new, scan.row)};")

    def _before(self) -> str:
        """The name of the function that gives what the threads before have."""
        name = f"sg_before_{self._op.name}_{self._near.short}"
        functions = self._function.body.functions
        functions["sg_shuffle_up"] = _SHUFFLES
        text = _BEFORE.replace("NAME", name).replace("TYPE", self._type).replace("NONE", self._none)
        for x, y in (("other", "sum"), ("all", "other"), ("lead", "before")):
            text = text.replace(f"<{x}, {y}>", self._together(x, y))
        functions[name] = text
        return f"{name}<{self._scan.threads}>"

    # What both do

    def _together(self, x: str, y: str) -> str:
        near = self._near
        return spelled(self._op, [x, y], [near, near], near, self._function.body.functions)

    def _offset(self, name: str, array: int, place: str) -> str:
        steps = self._scan.steps[array]
        own = self._function.offset(name, self._loops, steps[:-1])
        last = {Step.NONE: [], Step.UNIT: [place]}.get(steps[-1])
        if last is None:
            last = [f"{place} * {self._function.number(f'{name}_j')}"]
        return total([*own, *last])

    def _at(self, name: str, array: int) -> str:
        return f"{name}[{self._offset(name, array, 'j')}]"

    def _store(self, x: str) -> None:
        place = self._at("y", len(self._scan.steps) - 1)
        self._function.line(f"{place} = {to_memory(x, self._scan.row)};")


def _factor(text: str) -> str:
    return f"({text})" if " " in text else text


_NOTES = {
    "cumsum": "The sums of the first numbers along an axis.",
    "cumprod": "The products of the first numbers along an axis.",
    "recurrence": "h = b + a * h along an axis.",
    "totals": "What each part of a row comes to.",
}

_SHUFFLES = """\
// What the thread has that is so many lanes before; all threads of a warp ask together.
template <class T>
static __device__ T sg_shuffle_up(const T x, const int lanes)
{
    if constexpr (sizeof(T) < 4) return (T)__shfl_up_sync(0xffffffff, (int)x, lanes);
    else return __shfl_up_sync(0xffffffff, x, lanes);
}

// What one of so many neighbours has.
template <class T>
static __device__ T sg_shuffle_from(const T x, const int lane, const int lanes)
{
    if constexpr (sizeof(T) < 4) return (T)__shfl_sync(0xffffffff, (int)x, lane, lanes);
    else return __shfl_sync(0xffffffff, x, lane, lanes);
}
"""

_BEFORE = """\
// What the threads of a row before this one come to; `all` is what all of them come to. The block shares `sums`.
template <int threads>
static __device__ TYPE NAME(const TYPE x, TYPE& all, TYPE* sums)
{
    const int lane = threadIdx.x % threads % 32;
    TYPE sum = x;
    for (int k = 1; k < threads && k < 32; k *= 2) {
        const TYPE other = sg_shuffle_up(sum, k);
        if (lane >= k) sum = <other, sum>;
    }
    TYPE before = sg_shuffle_up(sum, 1);
    if (lane == 0) before = NONE;
    if constexpr (threads <= 32) {
        all = sg_shuffle_from(sum, threads - 1, threads);
        return before;
    } else {
        const int warp = threadIdx.x / 32, first = threadIdx.x / threads * (threads / 32);
        if (lane == 31) sums[warp] = sum;
        __syncthreads();
        TYPE lead = NONE;
        all = NONE;
        for (int k = first; k < first + threads / 32; ++k) {
            if (k == warp) lead = all;
            const TYPE other = sums[k];
            all = <all, other>;
        }
        __syncthreads();
        return <lead, before>;
    }
}
"""
