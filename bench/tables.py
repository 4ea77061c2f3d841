"""The tables of run.py, and what is asked for beside what was found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isnan, nan
from typing import Any

from peers import OURS

WIDTH = 46
SHORT = {"torch.compile": "compile", "ONNX Runtime": "ORT"}
Row = Mapping[str, Any]


class Table:
    """Lines as rows come; a head stands above each label."""

    def __init__(self, group: str, peers: Sequence[str]) -> None:
        self._group, self._others = group, [name for name in peers if name != OURS]
        self._label: str | None = None

    def line(self, row: Row) -> str:
        """Our figure, each peer's over ours (or itself, of absolute rows), and the best peer."""
        lines = []
        if row["label"] != self._label:
            self._label = row["label"]
            heads = "".join(f"{SHORT.get(name, name):>9}" for name in self._others)
            title = f"{self._group}, {row['label']}"
            lines += ["", f"{title:<{WIDTH}}{'ours':>9}{heads}  best peer"]
        cells = "".join(f"{_cell(row, name):>9}" for name in self._others)
        best = best_peer(row)
        last = f"{SHORT.get(best, best)} {ratio(row, best):.2f}" if best and row.get("unit") != "MB" else ""
        if (share := share_of_triad(row)) is not None:
            last += f"; {share:.0%} of triad"
        own = "wrong" if OURS in row["wrong"] else _shown(row, ours(row))
        lines.append(f"{row['name']:<{WIDTH}}{own:>9}{cells}  {last}".rstrip())
        return "\n".join(lines)


def ours(row: Row) -> float:
    return figure(row, OURS)


def figure(row: Row, name: str, *, least: bool = False) -> float:
    """The median of the rounds, or the least where others on the machine only add to what a clock shows."""
    times = row["times"].get(name)
    if not times:
        return nan
    return min(times) if least or row.get("by the clock") else statistics.median(times)


def ratio(row: Row, name: str, *, least: bool = False) -> float:
    """The peer's time over ours."""
    return figure(row, name, least=least) / figure(row, OURS, least=least)


def best_peer(row: Row) -> str:
    """The fastest of the peers that were right; nothing where there is none."""
    peers = [name for name, times in row["times"].items() if times and name not in (OURS, "triad")]
    return min(peers, key=lambda name: figure(row, name)) if peers and row["times"].get(OURS) else ""


def share_of_triad(row: Row) -> float | None:
    """Our bandwidth over that of the triad."""
    if not row.get("bytes") or not row["times"].get(OURS):
        return None
    return row["bytes"] / ours(row) / (row["triad bytes"] / figure(row, "triad"))


def _cell(row: Row, name: str) -> str:
    """Empty where the peer cannot say the program."""
    if name in row["wrong"]:
        return "wrong"
    if row["missing"].get(name, "").startswith(">"):
        return str(row["missing"][name])
    if row.get("absolute"):
        return _shown(row, figure(row, name))
    found = ratio(row, name)
    return "" if isnan(found) else f"{found:.2f}"


def _shown(row: Row, value: float) -> str:
    if isnan(value):
        return ""
    if row.get("unit") == "MB":
        return f"{value / 1e6:.1f} MB"
    scale, unit = next((each for each in _UNITS if value * each[0] >= 1), _UNITS[-1])
    digits = max(0, 3 - len(str(int(value * scale)))) if value * scale >= 1 else 3
    return f"{value * scale:.{digits}f} {unit}"


_UNITS = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"))


# What is asked for

MEANS = {"elementwise": 1.5, "rows": 1.3, "gradients": 1.2}
"""The geometric mean over the best peer."""
LEAST = {"elementwise": 0.9}
"""No workload is further behind the best peer."""
TRIAD = 0.9
"""Of the triad's bandwidth, what kernels bound by memory reach at 10^7 elements."""
GROWTH = 2.2
"""The time of a program twice as long."""


def of_group(group: str, rows: Sequence[Row]) -> list[str]:
    """For each label the mean over the best peer and the least; then what was wrong, and what of ours failed."""
    lines = []
    for label in dict.fromkeys(row["label"] for row in rows):
        mine = [
            row for row in rows if row["label"] == label and best_peer(row) and not row.get("by the clock")
        ]
        if mine:
            low = _least(mine)
            lines.append(
                f"{label}: best peer/ours {_mean(mine):.2f} (of minima {_mean(mine, least=True):.2f}),"
                f" worst {low['name']} {ratio(low, best_peer(low)):.2f} ({best_peer(low)})"
            )
    for name, ratios in grown(group, rows).items():
        lines.append(f"time(2n)/time(n), {name}: {', '.join(f'{each:.2f}' for each in ratios)}")
    for row in rows:
        lines += [
            f"wrong: {name} in {row['name']}, {row['label']}: {why}" for name, why in row["wrong"].items()
        ]
        for name, why in row["missing"].items():
            if (name == OURS or row.get("by the clock")) and not why.startswith((">", "CannotSay")):
                lines.append(f"none: {name} in {row['name']}, {row['label']}: {why}")
    return lines


def summary(groups: Mapping[str, Sequence[Row]]) -> list[str]:
    """A line for each figure that is asked for."""
    lines = []
    for group, rows in groups.items():
        compared = [row for row in rows if best_peer(row)]
        without = [row for row in rows if not row["times"].get(OURS)]
        lines.append(_verdict(f"{group}: workloads of {len(rows)} that ours fails", len(without), "<=", 0))
        if group in MEANS and compared:
            lines.append(
                _verdict(f"{group}: best peer/ours, geometric mean", _mean(compared), ">=", MEANS[group])
            )
        if group in LEAST and compared:
            row = _least(compared)
            name = f"{group}: the worst, {row['name']}, {row['label']}"
            lines.append(_verdict(name, ratio(row, best_peer(row)), ">=", LEAST[group]))
        large = [row for row in rows if row.get("bytes") and LARGE in row["label"] and row["times"].get(OURS)]
        if large:
            row = min(large, key=lambda row: share_of_triad(row) or nan)
            name = f"{group}: least share of the triad's bandwidth, {row['name']}, {row['label']}"
            lines.append(_verdict(name, share_of_triad(row) or nan, ">=", TRIAD))
        for row in rows:
            if row["target"] is None:
                continue
            name = f"{group}: {row['name']}, {row['label']}"
            if group == "forward":
                lines.append(
                    _verdict(f"{name}: best peer/ours", ratio(row, best_peer(row)), ">=", row["target"])
                )
            else:
                scale, unit = (1e6, "µs") if row["target"] < 1e-3 else (1e3, "ms")
                lines.append(_verdict(f"{name}, {unit}", scale * ours(row), "<=", scale * row["target"]))
        if ratios := grown(group, rows).get(OURS):
            lines.append(_verdict("growth: time(2n)/time(n), worst", max(ratios), "<=", GROWTH))
    return lines


LARGE = f"{10**7:,}"


def grown(group: str, rows: Sequence[Row]) -> dict[str, list[float]]:
    """For each peer the ratios between times of programs that follow each other."""
    if group != "growth":
        return {}
    times: dict[str, list[float]] = {}
    for row in rows:
        for name, each in row["times"].items():
            times.setdefault(name, []).append(min(each))
    return {name: [b / a for a, b in pairwise(each)] for name, each in times.items() if len(each) > 1}


def _mean(rows: Sequence[Row], *, least: bool = False) -> float:
    return statistics.geometric_mean([ratio(row, best_peer(row), least=least) for row in rows])


def _least(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: ratio(row, best_peer(row)))


def _verdict(name: str, value: float, sign: str, target: float) -> str:
    met = value >= target if sign == ">=" else value <= target
    return f"{name:<100}{value:>9.2f}  {sign} {target:<6g} {'ok' if met else 'MISSED'}"
