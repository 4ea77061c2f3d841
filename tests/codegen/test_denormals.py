"""Denormal numbers: kept as NumPy keeps them, and 0 where ``flush_denormals`` or ``fast_math`` allows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.denormals import flushes, flushing
from symgraph.codegen.llvm_printer import Native, module
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
def test_where_they_may_be_0_they_are_and_nowhere_else(dtype, threads):
    f, least = decay(dtype, flush_denormals=True, threads=threads), np.finfo(dtype).tiny
    many = np.full(1 << 20, least / 2, dtype)
    for _ in range(4):  # with and without Python, and with the better code
        found = f(many)
        assert (found == 0).all() if flushes(host_that_flushes()) else (found == many * 0.75).all()
        assert (np.full(64, least) / 2 > 0).all(), "the thread computes as before"
    assert (f(np.full(3, least * 4, dtype)) == least * 3).all()


SMALL = np.float32(np.finfo("float32").tiny)
HALF = sg.constant(np.eye(9, dtype="float32") / 2)
STEPS = {
    "product": lambda x: x[:, None] * 0.5 @ sg.constant(np.full((1, 40), 0.5, "float32")),
    "batch of products": lambda x: x.reshape((3, 3, 1)) @ sg.constant(np.full((3, 1, 4), 0.25, "float32")),
    "update": lambda x: (x * 4).at[[0, 0, 1]].add(-x[:3] * 2.2),
    "running product": lambda x: sg.cumulative_prod(sg.concat([x[:1], sg.constant(np.float32([0.25, 1]))])),
    "carried loop": lambda x: sg.scan(lambda c, _: (c * 0.5, c), x, length=4)[1],
    "loop turn by turn": lambda x: sg.scan(lambda c, _: (c @ HALF, c), x, length=4)[1],
    "determinant": lambda x: sg.linalg.det(sg.diag(sg.stack([x[0], 0.25 + 0 * x[0]]))),
}  # fmt: skip
"""What makes denormal numbers of the least that are none."""


WAYS: list[dict[str, bool]] = [{}, {"flush_denormals": True}, {"fast_math": True}]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_flushes(step):
    x = sg.placeholder("float32", (9,), name="x")
    given, y = np.full(9, 2 * SMALL), STEPS[step](x)
    kept, *both = (sg.function([x], y, options=sg.Options(**more)) for more in WAYS)
    for _ in range(4):
        assert has_denormals(kept(given))
        for flushed in both:
            assert has_denormals(flushed(given)) != flushes(host_that_flushes())


def has_denormals(x):
    return bool(((x != 0) & (np.abs(x) < SMALL)).any())


def test_what_a_program_asks_for_is_shown():
    x = sg.placeholder("float32", (64, 64), name="x")
    texts = [
        sg.function([x], x @ x, options=sg.Options(fast_math=fast)).source("llvm") for fast in (False, True)
    ]

    assert [False, flushes(host_that_flushes())] == ["_flushing" in text for text in texts]


def host_that_flushes():
    return replace(host(), flushes=True)


@pytest.mark.parametrize(
    "triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin", "x86_64-unknown-linux-gnu"]
)
def test_a_thread_can_be_told_on_other_systems_too(triple):
    machine = machine_of(None if triple.startswith("x86") else "generic", triple)
    text = "define void @kernel(ptr %table, i64 %begin, i64 %end) #0 {\nentry:\n  ret void\n}\n"
    native = flushing(Native("kernel", text, frozenset()), replace(machine, flushes=True))

    assert "kernel_flushing" == native.name
    assert object_file(module([native], machine), machine)
