"""How many vectors are worked on at a time, and which turns are code of their own."""

import ctypes

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.vectorized import lanes_of
from symgraph.graph.evaluate import bind_sizes
from symgraph.runtime.cpu import Loader, compiled, host
from symgraph.runtime.memory import Memory
from tests.codegen.test_llvm_streams import kernel_of

LOADERS = []
"""They stay: with one its code goes, and what LLVM keeps of its machine."""


def chain(x, y, z):
    """30 operations, each of which waits for the one before."""
    found = x
    for n in range(15):
        found = found * (y if n % 2 else z)
        found = found - x if n % 2 else found + y
    return found


def tree(x, y, z):
    """As many that do not."""
    some = [x * float(n) + y for n in range(8)] + [z * float(n) - y for n in range(7)]
    while len(some) > 1:
        some = [a * b for a, b in zip(some[::2], some[1::2], strict=False)] + some[len(some) // 2 * 2 :]
    return some[0]


def vectors(program, *shapes):
    _, made = kernel_of(program, *shapes)
    return lanes_of(made.loops, host()) // (host().bytes // 4)


@pytest.mark.skipif(host().registers < 32, reason="one vector is all that it has registers for")
def test_operations_that_wait_for_each_other_are_done_for_four_vectors():
    three = [("n",)] * 3

    assert vectors(chain, *three) == 4
    assert vectors(tree, *three) < 4
    assert vectors(lambda x, y, z: chain(x, y, z) + sg.exp(x), *three) < 4, "the exponential is no chain"
    assert vectors(lambda x, y, z: x * y + z, *three) == 1, "it waits for memory"


PROGRAMS = {
    "chain": chain,
    "light": lambda x, y, z: (2.0 * x + y / z, sg.sqrt(sg.abs(z))),
    "dear": lambda x, y, z: sg.exp(x) * sg.tanh(y) + sg.sin(z) / sg.cosh(x),
}


def test_light_turns_have_no_branch_and_dear_ones_are_compiled_once():
    def times(what, program):
        _, made = kernel_of(program, *[("n",)] * 3)
        return made.texts()[0].text.count(what)

    assert times("fdiv", PROGRAMS["light"]) == 2
    assert times("br i1", PROGRAMS["light"]) == 4, "two loops, and whether they begin"
    assert times("phi i64", lambda x, y, z: sg.exp(x) + sg.exp(y) * z) == (1 if host().masks else 2)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 64, 65, 200])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits_at_every_level_and_place(name, count):
    """Of an element, whichever turn it is in."""
    xs, made = kernel_of(PROGRAMS[name], *[("n",)] * 3)
    arrays = np.random.default_rng(0).uniform(0.1, 2, (3, count)).astype("float32")
    given = dict(zip(xs, arrays, strict=True))
    lying = [given[x] if x in given else np.zeros(count, x.dtype) for x in made.nodes]
    outs = [x for node, x in zip(made.nodes, lying, strict=True) if node not in given]
    call = made.call(lying, bind_sizes(xs, list(arrays)), 0)
    native = made.printed_for(lying, bind_sizes(xs, list(arrays)))
    (table,) = call.tables([x.ctypes.data for x in lying], Memory().arena(0), 0)
    words = (ctypes.c_int64 * len(table))(*table)
    found = []
    for level in (0, 2):
        LOADERS.append(Loader())
        LOADERS[-1].load(compiled(module([native.fastest if level else native], host()), level))
        address = LOADERS[-1].address(native.name)
        f = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)
        f(ctypes.addressof(words), 0, count)
        found.append([x.tobytes() for x in outs])
        for n in range(count):
            f(ctypes.addressof(words), n, n + 1)
        found.append([x.tobytes() for x in outs])

    assert all(each == found[0] for each in found)
