"""Rows brought into order in CUDA C: a stable sort by 8 bits at a time, from the lowest.

A tile of numbers is one block's. Its warps have a stretch of it each, and go through it in its order: where lanes have
the same digit, those before come first. The places follow from counts alone, so that nothing depends on which thread
comes first; counts of a block are added up by atomic operations on integers.
"""

from __future__ import annotations

from functools import cache

from symgraph.codegen.cuda_forms import BLOCK, Form
from symgraph.codegen.cuda_functions import finished
from symgraph.codegen.cuda_printer import CudaKernel, Parameter
from symgraph.graph.types import dtype

TILE = 4096
"""Numbers that a block brings into order."""
DIGITS = 256
BITS = 8
"""Of a digit."""


@cache
def print_order_tile(*, wide: bool) -> CudaKernel:
    """All passes over one tile, from ``rows`` and ``order`` to ``rows_2`` and ``order_2`` and back."""
    return _kernel(
        "order_tile", _TILE, "rows order rows_2 order_2", ("n", "passes"), wide, written=4, alone=False
    )


@cache
def print_order_count(*, wide: bool) -> CudaKernel:
    """How often each digit stands in each tile."""
    return _kernel("order_count", _COUNT, "counts rows", ("n", "shift"), wide, written=1)


@cache
def print_order_sum(*, wide: bool) -> CudaKernel:
    """A block for each digit: how often it stands in the tiles before each, and in all."""
    return _kernel("order_sum", _SUM, "counts totals", ("tiles",), wide, written=2)


@cache
def print_order_move(*, wide: bool) -> CudaKernel:
    """Each number to its place."""
    arrays = "rows_2 order_2 rows order counts totals"
    return _kernel("order_move", _MOVE, arrays, ("n", "shift"), wide, written=2)


def _kernel(
    what: str,
    text: str,
    arrays: str,
    numbers: tuple[str, ...],
    wide: bool,
    *,
    written: int,
    alone: bool = True,
) -> CudaKernel:
    """The first arrays are written; if not ``alone``, they take turns at being read."""
    integer, row = ("long long", "int64") if wide else ("int", "int32")
    declared = [
        (
            Parameter(name, "array", dtype(row)),
            f"{'const ' * (n >= written)}{integer}*{' __restrict__' * alone} {name}",
        )
        for n, name in enumerate(arrays.split())
    ]
    helpers = {"sg_before": _BEFORE, "sg_same_digit": _SAME, "sg_order": _ORDER}
    note, _, body = text.partition("\n")
    lines = body.replace("INDEX", integer).replace("TILE", f"{TILE}{'ll' * wide}").rstrip("\n").split("\n")
    counts = [Parameter(name, "size") for name in numbers]
    return finished(what, lines, declared, counts, Form(wide, 1, BLOCK), helpers, note)


_BEFORE = """\
// What the threads of the block before this one have together; `all` is what all have. The block shares `sums`.
template <class I>
static __device__ I sg_before(const I x, I& all, I* sums)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    I sum = x;
    for (int k = 1; k < 32; k *= 2) {
        const I other = __shfl_up_sync(0xffffffff, sum, k);
        if (lane >= k) sum += other;
    }
    if (lane == 31) sums[warp] = sum;
    __syncthreads();
    I before = 0;
    all = 0;
    for (int k = 0; k < 8; ++k) {
        if (k == warp) before = all;
        all += sums[k];
    }
    __syncthreads();
    return before + sum - x;
}
"""

_SAME = """\
// The lanes of the warp that have the same digit as this one, of those that have one.
static __device__ unsigned sg_same_digit(const int digit, const bool has)
{
    unsigned same = __ballot_sync(0xffffffff, has);
    #pragma unroll
    for (int bit = 0; bit < 8; ++bit) {
        const unsigned set = __ballot_sync(0xffffffff, digit >> bit & 1);
        same &= digit >> bit & 1 ? set : ~set;
    }
    return same;
}
"""

_ORDER = """\
// How often each digit stands in what each warp has of a tile.
template <class I>
static __device__ void sg_count_digits(const I* rows, const I n, const I begin, const int shift, I (*at)[256])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int k = 0; k < 8; ++k) at[k][threadIdx.x] = 0;
    __syncthreads();
    for (int k = lane; k < 512 && begin + warp * 512 + k < n; k += 32) {
        atomicAdd((unsigned*)&at[warp][rows[begin + warp * 512 + k] >> shift & 255], 1u);
    }
    __syncthreads();
}

// Counts become places: each thread has a digit, whose first place is `start`.
template <class I>
static __device__ void sg_place_digits(I start, I (*at)[256])
{
    for (int k = 0; k < 8; ++k) {
        const I count = at[k][threadIdx.x];
        at[k][threadIdx.x] = start;
        start += count;
    }
    __syncthreads();
}

// Each number of a tile to its place; of those with one digit in their order.
template <class I>
static __device__ void sg_move_digits(
    I* rows_2, I* order_2, const I* rows, const I* order, const I n, const I begin, const int shift, I (*at)[256])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int k = 0; k < 512 && begin + warp * 512 + k < n; k += 32) {
        const I e = begin + warp * 512 + k + lane;
        const bool has = e < n;
        const I row = has ? rows[e] : 0;
        const int digit = row >> shift & 255;
        const unsigned same = sg_same_digit(digit, has);
        const int before = __popc(same & ((1u << lane) - 1));
        if (has) {
            const I to = at[warp][digit] + before;
            rows_2[to] = row;
            order_2[to] = order[e];
        }
        __syncwarp();
        if (has && before == 0) at[warp][digit] += __popc(same);
        __syncwarp();
    }
}
"""

_TILE = """\
Some rows in order, those that are the same in the order in which they were named.
    __shared__ INDEX at[8][256], sums[8];
    for (INDEX pass = 0; pass < passes; ++pass) {
        const int shift = pass * 8;
        INDEX* const from = pass % 2 ? rows_2 : rows;
        INDEX* const from_order = pass % 2 ? order_2 : order;
        sg_count_digits<INDEX>(from, n, 0, shift, at);
        INDEX count = 0, all;
        for (int k = 0; k < 8; ++k) count += at[k][threadIdx.x];
        const INDEX start = sg_before<INDEX>(count, all, sums);
        sg_place_digits<INDEX>(start, at);
        sg_move_digits<INDEX>(pass % 2 ? rows : rows_2, pass % 2 ? order : order_2, from, from_order, n, 0, shift, at);
        __syncthreads();
    }
"""

_COUNT = """\
To bring rows into order: how often each digit stands in each tile.
    __shared__ INDEX at[8][256];
    sg_count_digits<INDEX>(rows, n, blockIdx.x * TILE, shift, at);
    INDEX count = 0;
    for (int k = 0; k < 8; ++k) count += at[k][threadIdx.x];
    counts[threadIdx.x * gridDim.x + blockIdx.x] = count;
"""

_SUM = """\
To bring rows into order: how often each digit stands in the tiles before each, and in all.
    __shared__ INDEX sums[8];
    INDEX sum = 0;
    for (INDEX k = 0; k < tiles; k += 256) {
        const bool has = k + threadIdx.x < tiles;
        INDEX* const at = counts + blockIdx.x * tiles + k + threadIdx.x;
        INDEX all;
        const INDEX before = sg_before<INDEX>(has ? *at : 0, all, sums);
        if (has) *at = sum + before;
        sum += all;
    }
    if (threadIdx.x == 0) totals[blockIdx.x] = sum;
"""

_MOVE = """\
To bring rows into order: each number to its place by one digit, in order where it is the same.
    __shared__ INDEX at[8][256], sums[8];
    const INDEX begin = blockIdx.x * TILE;
    sg_count_digits<INDEX>(rows, n, begin, shift, at);
    INDEX all;
    const INDEX start = sg_before<INDEX>(totals[threadIdx.x], all, sums);
    sg_place_digits<INDEX>(start + counts[threadIdx.x * gridDim.x + blockIdx.x], at);
    sg_move_digits<INDEX>(rows_2, order_2, rows, order, n, begin, shift, at);
"""
