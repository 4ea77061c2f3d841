"""Functions of LLVM's text as test material: their code that is selected here beside LLVM's best."""

from __future__ import annotations

import re

import numpy as np

from symgraph.codegen.vectors import Body
from tests.codegen.test_x86 import both, left

LANES = (0, 1, 2, 4, 8, 16, 32, 64)
BYTES = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "half": 2, "float": 4, "double": 8}


class Text:
    """A function that reads and writes one place after the other."""

    def __init__(self):
        self.body, self.read, self.written = Body(fma=True), 0, 0

    def named(self, line):
        return self.body.named(line)

    def lines(self, text):
        """As they are; those of blocks begin with a label."""
        for line in text.strip().splitlines():
            self.body.lines.append(line.strip() if line.endswith(":") else f"  {line.strip()}")

    def at(self, base, offset):
        return self.named(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, one, lanes):
        """Of the next arguments."""
        place, self.read = self.at("%in", self.read), self.read + BYTES[one] * max(lanes, 1)
        return self.named(f"load {of(one, lanes)}, ptr {place}, align 1")

    def store(self, x, one, lanes):
        place, self.written = self.at("%out", self.written), self.written + BYTES[one] * max(lanes, 1)
        self.body.emit(f"store {of(one, lanes)} {x}, ptr {place}, align 1")

    def show(self, mask, lanes):
        """The bits of a mask."""
        wide = of("i8", lanes)
        self.store(self.named(f"zext {of('i1', lanes)} {mask} to {wide}"), "i8", lanes)

    def bits(self, lanes):
        """A mask of the next arguments: of each whether it is even."""
        x, wide = self.load("i8", lanes), of("i8", lanes)
        one = self.named(f"and {wide} {x}, {constant('i8', 1, lanes)}")
        return self.named(f"icmp eq {wide} {one}, {constant('i8', 0, lanes)}")

    def declared(self):
        """What is called of LLVM."""
        for line in self.body.lines:
            found = re.search(r"call (.*?) (@llvm[\w.]+)\((.*)\)", line)
            if found:
                types = re.findall(r"(<[^>]*>|ptr|i\d+|float|double) [^,]*(?:, |$)", found[3])
                self.body.declared.add(f"declare {found[1]} {found[2]}({', '.join(types)})")

    def check(self, *given, size=None, counts=(0,), functions=""):
        """The same bits, whatever is given."""
        self.declared()
        calls = both(self.body, functions)
        for each in given:
            for count in counts:
                best, first = (left(call, each, size or self.written, count) for call in calls)
                different = np.flatnonzero(best != first)[:8]
                assert not different.size, f"{different}: {best[different]} and {first[different]}"


def of(one, lanes):
    return f"<{lanes} x {one}>" if lanes else one


def constant(one, value, lanes):
    return f"splat ({one} {value})" if lanes else str(value)


def drawn(seed, size):
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def floats(seed, kind, size, below=np.inf):
    """Of all sizes, or between two; no NaN, for of these any bits will do."""
    rng = np.random.default_rng(seed)
    if below < np.inf:
        return (rng.random(size) * below).astype(kind)
    x = rng.normal(size=size) * 10.0 ** rng.integers(-9, 6, size)
    x[:6] = 0.0, -0.0, np.inf, -np.inf, 65520, 2**-25
    with np.errstate(over="ignore"):
        return x.astype(kind)
