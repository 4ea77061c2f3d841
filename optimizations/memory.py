"""Lifetimes of buffers, and which of them share memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

ALIGNMENT = 64
"""Every offset is a multiple of it: a cache line, and the widest vector."""

Pairs = Sequence[tuple[int, int]]
"""Two buffers each, by position: the second may take over the memory of the first."""


def aligned(size: int) -> int:
    """The next multiple of `ALIGNMENT`.

    >>> aligned(0), aligned(1), aligned(64), aligned(65)
    (0, 64, 64, 128)
    """
    return -(-size // ALIGNMENT) * ALIGNMENT


class Buffer(NamedTuple):
    """A value that needs memory from the step that writes it to the last step that reads it, both included."""

    name: str
    size: int
    """Bytes."""
    first: int
    last: int


class Arena(NamedTuple):
    """Where each buffer lies. Buffers that are live at the same step do not overlap, unless they share."""

    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]
    """One for each buffer, multiples of `ALIGNMENT`; 0 where a buffer has no bytes."""
    size: int
    shared: tuple[tuple[int, int], ...] = ()
    """The second of each pair has taken over the memory of the first."""

    @property
    def lower_bound(self) -> int:
        """The most bytes that are live at one step: no arena is smaller."""
        return lower_bound(self.buffers, self.shared)

    @property
    def peak(self) -> int | None:
        """The first of the steps at which the most bytes are live; None where there is no buffer.

        >>> place([Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2), Buffer("c", 64, 2, 3)]).peak
        1
        """
        blocks, steps = _blocks(self.buffers, self.shared)
        live = _live(blocks, len(steps))
        return steps[live.index(max(live))] if live else None

    def live(self, step: int) -> tuple[Buffer, ...]:
        """The buffers that hold something at a step."""
        return tuple(b for b in self.buffers if b.size and b.first <= step <= b.last)

    def table(self) -> str:
        """Who lives where and when, from the bottom of the arena; a star marks what is live at the peak.

        >>> print(place([Buffer("x", 100, 0, 2), Buffer("y", 64, 1, 1), Buffer("z", 40, 2, 3)]).table())
        offset  size  steps
             0   100    0-2  x *
           128    64    1-1  y *
           128    40    2-3  z
        192 bytes, of which 192 are live at step 1
        """
        peak = self.peak
        highest = set() if peak is None else set(self.live(peak))
        rows = [("offset", "size", "steps", "")]
        for offset, b in sorted(
            zip(self.offsets, self.buffers, strict=True), key=lambda row: (row[0], row[1].first, row[1].last)
        ):
            star = " *" if b in highest else ""
            rows.append((str(offset), str(b.size), f"{b.first}-{b.last}", b.name + star))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join(
                [*(text.rjust(width) for text, width in zip(row, widths, strict=False)), row[3]]
            ).rstrip()
            for row in rows
        ]
        where = "" if peak is None else f", of which {self.lower_bound} are live at step {peak}"
        return "\n".join([*lines, f"{self.size} bytes{where}"])

    def svg(self, width: int = 960, height: int = 480) -> str:
        """A picture: steps to the right, offsets upward, one rectangle a buffer, a dashed line at the lower bound."""
        return _svg(self, width, height)


def place(buffers: Iterable[Buffer], pairs: Pairs = ()) -> Arena:
    """An offset for each buffer, and the size of the arena that holds them all.

    No two buffers that are live at the same step overlap, but for those of ``pairs`` that `in_place` chooses.
    Equal arguments give equal arenas.

    The best of several, tried until one is as small as the lower bound or enough time is spent: the smallest gap at
    the step that writes a buffer, or back from the end at the last that reads it (best fit; Knuth, "The Art of
    Computer Programming" 1, 2.5); the lowest gap for the buffers by size (Pisarchyk & Lee 2020, "Efficient memory
    management for deep neural net inference", arXiv:2001.03288), or by coarse classes of size and in each the
    longest-lived first (which Sekiyama et al. 2018, "Profile-guided memory optimization for deep neural networks",
    arXiv:1804.10001, choose first); and the same again with what ended too high placed earlier (Joslin & Clements
    1999, "Squeaky wheel optimization").

    >>> arena = place([Buffer("a", 256, 0, 1), Buffer("b", 64, 1, 2), Buffer("c", 250, 2, 3)])
    >>> arena.offsets, arena.size, arena.lower_bound
    ((0, 256, 0), 320, 320)
    """
    buffers = tuple(buffers)
    if not buffers:
        return Arena((), (), 0)
    wrong = [b for b in buffers if b.size < 0 or b.first > b.last]
    assert not wrong, wrong
    shared = in_place(buffers, pairs)
    blocks, steps = _blocks(buffers, shared)
    bottoms, size = _pack(blocks, len(steps))
    offsets = [0] * len(buffers)
    for block, bottom in zip(blocks, bottoms, strict=True):
        for member in block.members:
            offsets[member] = bottom
    return Arena(buffers, tuple(offsets), size, shared)


def lower_bound(buffers: Iterable[Buffer], pairs: Pairs = ()) -> int:
    """The most bytes that are live at one step, of aligned sizes; buffers that share count once.

    >>> lower_bound([Buffer("a", 100, 0, 1), Buffer("b", 100, 1, 2), Buffer("c", 100, 2, 3)])
    256
    """
    buffers = tuple(buffers)
    blocks, steps = _blocks(buffers, in_place(buffers, pairs))
    return max(_live(blocks, len(steps)), default=0)


def in_place(buffers: Sequence[Buffer], pairs: Pairs) -> tuple[tuple[int, int], ...]:
    """As many of ``pairs`` as can share at once: each buffer takes over one other at most, and is taken over once.

    A pair can share where the first was there before, dies at the step that writes the second, and has as many bytes.

    >>> step = [Buffer("x", 64, 0, 5), Buffer("y", 64, 2, 5), Buffer("out", 64, 5, 7), Buffer("more", 64, 5, 6)]
    >>> in_place(step, [(0, 2), (1, 2), (0, 3)])
    ((0, 3), (1, 2))
    """
    givers: dict[int, list[int]] = {}
    for dying, written in pairs:
        a, b = buffers[dying], buffers[written]
        if a.first < a.last == b.first and a.size == b.size > 0:
            givers.setdefault(written, []).append(dying)
    heir: dict[int, int] = {}
    source: dict[int, int] = {}
    for written in givers:
        _match(written, givers, heir, source)
    return tuple(sorted(heir.items()))


def _match(written: int, givers: dict[int, list[int]], heir: dict[int, int], source: dict[int, int]) -> None:
    """Finds a giver for one more buffer, where others may change theirs (augmenting paths; Kuhn 1955)."""
    found: dict[int, int] = {}  # giver: the buffer that would take it
    waiting = [written]
    for taker in waiting:
        for giver in givers[taker]:
            if giver in found:
                continue
            found[giver] = taker
            if giver in heir:
                waiting.append(heir[giver])
                continue
            next_giver: int | None = giver
            while next_giver is not None:
                taker = found[next_giver]
                before = source.get(taker)
                heir[next_giver], source[taker] = taker, next_giver
                next_giver = before
            return


# Blocks: what is placed as one piece


class _Block(NamedTuple):
    """Buffers that take over from each other; its steps are numbers of steps at which something is written."""

    members: tuple[int, ...]
    size: int
    first: int
    last: int


def _blocks(buffers: Sequence[Buffer], shared: Pairs) -> tuple[list[_Block], list[int]]:
    """What shares is one block, what has no bytes is in none; and the steps that count.

    These are the steps at which something is written: what is ever live together is so at one of them.
    """
    heir = dict(shared)
    heirs = set(heir.values())
    steps = sorted({b.first for b in buffers})
    number = {step: n for n, step in enumerate(steps)}
    blocks = []
    for n, b in enumerate(buffers):
        if n in heirs or not b.size:
            continue
        members = [n]
        while members[-1] in heir:
            members.append(heir[members[-1]])
        last = bisect_right(steps, buffers[members[-1]].last) - 1
        blocks.append(_Block(tuple(members), aligned(b.size), number[b.first], last))
    return blocks, steps


def _live(blocks: Sequence[_Block], steps: int) -> list[int]:
    """The live bytes at each step."""
    change = [0] * (steps + 1)
    for b in blocks:
        change[b.first] += b.size
        change[b.last + 1] -= b.size
    return list(accumulate(change[:-1]))


# Packing

_MANY = 4000
"""More blocks than that are placed in the order of time alone, which takes n log n."""
_EFFORT = 100_000
"""How many comparisons are made before no further order is tried: some 5 ms."""
_ROUNDS = 10

_ORDERS: tuple[Callable[[_Block], tuple[int, ...]], ...] = (
    lambda b: (-b.size.bit_length(), b.first - b.last, -b.size),
    lambda b: (-(b.size.bit_length() // 2), b.first - b.last, -b.size),
    lambda b: (-b.size, b.first - b.last),
)


def _pack(blocks: Sequence[_Block], steps: int) -> tuple[list[int], int]:
    """An offset for each block, and where the highest one ends."""
    bound = max(_live(blocks, steps), default=0)
    best, size = _by_time(blocks, steps, back=False)
    if size > bound:
        best, size = min((best, size), _by_time(blocks, steps, back=True), key=lambda found: found[1])
    if len(blocks) > _MANY:
        return best, size
    effort = 0
    tried: list[tuple[int, list[int], list[int]]] = []
    for key in _ORDERS:
        if size == bound or effort > _EFFORT:
            return best, size
        order = sorted(range(len(blocks)), key=lambda n: (*key(blocks[n]), n))
        offsets, top, spent = _first_fit(blocks, order, steps)
        effort += spent
        tried.append((top, offsets, order))
        if top < size:
            best, size = offsets, top
    _, offsets, order = min(tried, key=lambda each: each[0])
    for _ in range(_ROUNDS):
        if size == bound or effort > _EFFORT:
            break
        place = {n: at // 2 if offsets[n] + blocks[n].size > bound else at for at, n in enumerate(order)}
        order = sorted(order, key=place.__getitem__)
        offsets, top, spent = _first_fit(blocks, order, steps)
        effort += spent
        if top < size:
            best, size = offsets, top
    return best, size


def _first_fit(blocks: Sequence[_Block], order: Iterable[int], steps: int) -> tuple[list[int], int, int]:
    """Each block in the lowest gap that holds it; and the number of comparisons.

    The steps are cut into 16 windows, so that a short-lived block meets only what lives in its own.
    """
    cut = max(0, steps.bit_length() - 4)
    windows: list[list[tuple[int, int, int, int]]] = [[] for _ in range((steps >> cut) + 1)]
    everything: list[tuple[int, int, int, int]] = []
    offsets = [0] * len(blocks)
    highest = effort = 0
    for n in order:
        b = blocks[n]
        size, first, last = b.size, b.first, b.last
        left, right = first >> cut, last >> cut
        placed = windows[left] if left == right else everything
        effort += len(placed)
        bottom = 0
        for start, end, begins, ends in placed:
            if end > bottom and begins <= last and ends >= first:
                if start - bottom >= size:
                    break
                bottom = end
        offsets[n] = bottom
        highest = max(highest, bottom + size)
        row = (bottom, bottom + size, first, last)
        insort(everything, row)
        for window in windows[left : right + 1]:
            insort(window, row)
    return offsets, highest, effort


def _by_time(blocks: Sequence[_Block], steps: int, back: bool) -> tuple[list[int], int]:
    """Each block in the smallest gap that holds it when it is written; or back from the last step to the first."""
    spans = [(steps - 1 - b.last, steps - 1 - b.first) if back else (b.first, b.last) for b in blocks]
    starting: list[list[int]] = [[] for _ in range(steps)]
    ending: list[list[int]] = [[] for _ in range(steps + 1)]
    for n, (first, last) in enumerate(spans):
        starting[first].append(n)
        ending[last + 1].append(n)
    gaps = _Gaps()
    offsets = [0] * len(blocks)
    for step in range(steps):
        for n in ending[step]:
            gaps.give(offsets[n], blocks[n].size)
        for n in sorted(starting[step], key=lambda n: (-blocks[n].size, n)):
            offsets[n] = gaps.take(blocks[n].size)
    return offsets, gaps.highest


class _Gaps:
    """The free ranges below the highest range in use, found by size or by either end."""

    def __init__(self) -> None:
        self.highest = 0
        self._top = 0
        self._by_size: list[tuple[int, int]] = []
        self._start_of: dict[int, int] = {}  # end: start
        self._end_of: dict[int, int] = {}

    def take(self, size: int) -> int:
        at = bisect_left(self._by_size, (size, 0))
        if at == len(self._by_size):
            start = self._top
            self._top += size
            self.highest = max(self.highest, self._top)
            return start
        _, start = self._by_size[at]
        end = self._end_of[start]
        self._forget(start, end)
        if start + size < end:
            self._add(start + size, end)
        return start

    def give(self, start: int, size: int) -> None:
        end = start + size
        if start in self._start_of:
            below = self._start_of[start]
            self._forget(below, start)
            start = below
        if end in self._end_of:
            above = self._end_of[end]
            self._forget(end, above)
            end = above
        if end == self._top:
            self._top = start
        else:
            self._add(start, end)

    def _add(self, start: int, end: int) -> None:
        insort(self._by_size, (end - start, start))
        self._start_of[end], self._end_of[start] = start, end

    def _forget(self, start: int, end: int) -> None:
        del self._by_size[bisect_left(self._by_size, (end - start, start))]
        del self._start_of[end], self._end_of[start]


# The picture

_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _svg(arena: Arena, width: int, height: int) -> str:
    """A buffer's name is written in its rectangle where there is room, and shown on hovering where there is not."""
    begin = min((b.first for b in arena.buffers), default=0)
    steps = max((b.last for b in arena.buffers), default=begin) + 1 - begin
    across, up = width / steps, height / max(1, arena.size)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="monospace" font-size="10">'
    ]
    for n, (b, offset) in enumerate(zip(arena.buffers, arena.offsets, strict=True)):
        x, wide = (b.first - begin) * across, (b.last + 1 - b.first) * across
        y, tall = height - (offset + aligned(b.size)) * up, aligned(b.size) * up
        where = f"{b.size} bytes at {offset}, steps {b.first}-{b.last}"
        name = b.name.translate(_ESCAPED)
        room = tall >= 12 and wide >= 6 * len(b.name) + 6
        lines.append(
            f"<g><title>{where if room else f'{name}: {where}'}</title>"
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{tall:.2f}" '
            f'fill="hsl({n * 137 % 360} 60% 75%)" stroke="white" stroke-width="0.5"/>'
            + (f'<text x="{x + 3:.2f}" y="{y + tall / 2 + 3:.2f}">{name}</text>' if room else "")
            + "</g>"
        )
    bound = height - arena.lower_bound * up
    lines.append(
        f'<line x1="0" x2="{width}" y1="{bound:.2f}" y2="{bound:.2f}" stroke="black" stroke-dasharray="4"/>'
    )
    return "\n".join([*lines, "</svg>"])
