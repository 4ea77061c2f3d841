"""Mandelbrot's set: a loop that ends when nothing in the picture moves any more, or after so many turns.

``python examples/mandelbrot.py picture.png`` writes the picture and says how large the set is. All points take their
turns together: `sg.while_loop` carries their numbers, and the condition looks at all of them. A point that has gone far
away is left where it is.

The area is about 1.5066 (T. Förstemann, "Numerical estimation of the area of the Mandelbrot set", 2012). Colours follow
the turns, less what a point went too far in the last one: ``log2(log2(abs(z)))``.
"""

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg

FAR = 16.0
"""Where a point is left; beyond 2 it never returns."""
LEFT, RIGHT, TOP = -2.0, 0.5, 1.15
"""The part of the plane that holds the set, which looks the same below the real axis."""


def turns(x: sg.Node, y: sg.Node, limit: int) -> tuple[sg.Node, sg.Node]:
    """How often ``z = z * z + c`` stays near, for ``c = x + 1j * y``, at most ``limit``, and the last ``|z|**2``."""

    def near(state: tuple[sg.Node, ...]) -> sg.Node:
        re, im, _ = state
        return re * re + im * im <= FAR**2

    def step(state: tuple[sg.Node, ...]) -> tuple[sg.Node, ...]:
        re, im, count = state
        stays = near(state)
        after = re * re - im * im + x, 2 * re * im + y, count + 1
        return tuple(sg.where(stays, new, old) for new, old in zip(after, state, strict=True))

    start = (sg.zeros_like(x), sg.zeros_like(x), sg.zeros_like(x, dtype="int64"))
    re, im, count = sg.while_loop(lambda state: sg.any(near(state)), step, start, max_steps=limit)
    return count, re * re + im * im


def main(height: int = 300, limit: int = 1000, options: sg.Options | None = None) -> dict[str, Any]:
    """Compute the upper half; return turns, picture and area, and write the picture where an argument names a file."""
    x, y = (sg.placeholder("float64", ("rows", "columns"), name=name) for name in "xy")
    count, size = turns(x, y, limit)
    smooth = sg.where(count < limit, count + 1 - sg.log2(sg.log2(sg.maximum(size, 4.0)) / 2), 0.0)
    # Three waves of turns, in red, green and blue; black within.
    waves = 0.5 - 0.5 * sg.cos(sg.log1p(smooth)[..., None] * np.array([2.2, 2.0, 1.7]))
    colours = (255 * waves).astype("uint8")
    escape = sg.function([x, y], (count, colours), name="escape", options=options)

    cell = TOP / height
    rows = cell * (height - 0.5 - np.arange(height))
    columns = np.arange(LEFT + cell / 2, RIGHT, cell)
    counts, upper = escape(*np.meshgrid(columns, rows))
    area = 2 * cell**2 * float(np.sum(counts == limit))
    picture = np.concatenate([upper, upper[::-1]])
    shades = np.array(list("   .:-=+*@"))
    for line in counts[:: max(1, height // 20), :: max(1, height // 40)]:
        print("".join(shades[np.minimum(np.log2(line).astype(int), 9)]))
    print(f"{np.mean(counts == limit):.1%} of {counts.size:,} points stay; the area is about {area:.4f}")
    return {"turns": counts, "rows": rows, "columns": columns, "picture": picture, "area": area}


def save(picture: np.ndarray, path: Path) -> None:
    """Write uint8[rows, columns, 3] as PNG: a head, the rows, each behind the number of its filter, and an end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    rows = np.pad(picture.reshape(height, -1), ((0, 0), (1, 0)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes())
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


if __name__ == "__main__":
    found = main()
    for name in sys.argv[1:2]:
        save(found["picture"], Path(name))
