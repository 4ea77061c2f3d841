"""Denormal numbers: kept as NumPy keeps them, and 0 where ``fast_math`` allows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.denormals import flushes, flushing
from symgraph.runtime.cpu import host, machine_of, object_file


def decay(dtype, **options):
    x = sg.placeholder(dtype, ("n",), name="x")
    return sg.function([x], 0.75 * x, options=sg.Options(backend="llvm", **options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormal_numbers_are_kept(dtype):
    tiny = np.finfo(dtype).tiny * np.linspace(0, 1, 41, dtype=dtype)

    assert (decay(dtype)(tiny) == tiny * np.dtype(dtype).type(0.75)).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_under_fast_math_they_are_0_and_nowhere_else(dtype, threads):
    f, least = decay(dtype, fast_math=True, threads=threads), np.finfo(dtype).tiny
    many = np.full(1 << 20, least / 2, dtype)
    for _ in range(4):  # with and without Python, and with the better code
        found = f(many)
        assert (found == 0).all() if flushes(host_that_flushes()) else (found == many * 0.75).all()
        assert (np.full(64, least) / 2 > 0).all(), "the thread computes as before"
    assert (f(np.full(3, least * 4, dtype)) == least * 3).all()


def host_that_flushes():
    return replace(host(), flushes=True)


@pytest.mark.parametrize(
    "triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin", "x86_64-unknown-linux-gnu"]
)
def test_a_thread_can_be_told_on_other_systems_too(triple):
    machine = machine_of(None if triple.startswith("x86") else "generic", triple)
    text, declared = flushing("kernel", "inside", machine)
    inside = "define internal void @inside(ptr %table, i64 %begin, i64 %end) noinline #0 {\nentry:\n  ret void\n}\n"
    attributes = f"attributes #0 = {{ {machine.attributes} }}\n"

    assert object_file(inside + text + "\n".join(declared) + "\n" + attributes, machine)
