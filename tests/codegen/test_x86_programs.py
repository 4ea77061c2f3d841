"""What comes first of whole programs is made without LLVM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import x86
from symgraph.runtime.cpu import host

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")

RNG = np.random.default_rng()
"""Of numbers that are others each time: nobody has the code of these programs."""


def classifier(n):
    x, labels = sg.placeholder("float32", ("n", 20), name="x"), sg.placeholder("int64", ("n",), name="labels")
    w, v = (sg.placeholder("float32", shape, name=name) for shape, name in (((20, 30), "w"), ((30, 7), "v")))
    loss = -sg.log_softmax(sg.tanh(x @ w * n) @ v)[sg.arange(x.shape[0]), labels].mean()
    return [x, labels, w, v], [loss, *sg.grad(loss, [w, v])]


def pixels(n):
    x = sg.placeholder("uint8", ("n", 28), name="x")
    bright = x.astype("float32") / 255 > n % 1
    return [x], [bright, bright.sum(axis=1), sg.argmax(x, axis=1), sg.where(bright, x // 3, x % 5)]


def halves(n):
    x = sg.placeholder("float16", ("n", 9), name="x")
    return [x], [sg.exp(x) * n, sg.softmax(x), x.sum(axis=0)]


def short_integers(n):
    x, y = (sg.placeholder("int8", ("n",), name=name) for name in "xy")
    factor = int(1e6 * n) % 20_011
    return [x, y], [sg.maximum(x * y, 5), (x + y).astype("int64").sum(), x.astype("int16") * factor]


def a_loop(n):
    x = sg.placeholder("float64", ("n", 5), name="x")
    last, every = sg.scan(lambda carry, row: (carry * n + row, sg.sin(carry)), sg.zeros(5, "float64"), x)
    return [x], [last, every]


PROGRAMS = [classifier, pixels, halves, short_integers, a_loop]


def results(program, n, threads):
    """Of a first call."""
    inputs, outputs = program(n)
    sizes = ([6 if isinstance(n, sg.Size) else n for n in x.shape] for x in inputs)
    arrays = [np.ones(size, x.dtype) for size, x in zip(sizes, inputs, strict=True)]
    return sg.function(inputs, outputs, options=sg.Options(threads=threads))(*arrays)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_function_is_left_to_llvm(monkeypatch, program, threads):
    found, real = [], x86.assembled

    def watched(text):
        found.append(real(text))
        return found[-1]

    monkeypatch.setattr(x86, "assembled", watched)
    results(program, RNG.normal(), threads)

    assert found
    assert all(each is not None and each.is_whole for each in found)


WITHOUT = """
from symgraph.codegen.machine import Machine
from tests.codegen.test_x86_programs import PROGRAMS, results
Machine.is_assembled = False
for program in PROGRAMS:
    print(*(x.tobytes().hex() for x in results(program, 0.7, 1)))
"""


def test_llvm_makes_the_same_elsewhere():
    """As on a processor that is not known here."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={**os.environ, "SYMGRAPH_CACHE": "", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == run.stderr
    for line, program in zip(run.stdout.splitlines(), PROGRAMS, strict=True):
        assert line.split() == [x.tobytes().hex() for x in results(program, 0.7, 1)]
