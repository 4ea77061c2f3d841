"""Rows whose first sweep goes ahead: the same bits, and nothing is read past the last of them."""

import ctypes

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_printer import module
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.evaluate import bind_sizes
from symgraph.runtime.code import CALL
from symgraph.runtime.cpu import Loader, compiled, host
from symgraph.runtime.memory import Memory
from tests.codegen.test_llvm_bounds import Guarded
from tests.codegen.test_llvm_streams import kernel_of

LOADERS = []
"""They stay: with one its code goes, and what LLVM keeps of its machine."""


def layer_norm(x):
    centred = x - sg.mean(x, axis=-1, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


PROGRAMS = {
    "softmax": sg.softmax,
    "logsumexp": lambda x: sg.logsumexp(x, axis=-1),
    "layer norm": layer_norm,
    "root mean square": lambda x: x / sg.sqrt(sg.mean(x * x, axis=-1, keepdims=True)),
    "place": lambda x: x * sg.argmax(x, axis=-1, keepdims=True).astype(x.dtype),
}


def made_for(program, array):
    """A program's kernel, the arrays of a call of it, and their sizes."""
    xs, made = kernel_of(program, ("n", "m", "k")[: array.ndim], dtype=array.dtype.name)
    sizes = bind_sizes(xs, [array])
    lying = [
        array if node is xs[0] else np.zeros([evaluate_dim(n, sizes) for n in node.shape], node.dtype)
        for node in made.nodes
    ]
    return made, lying, sizes


@pytest.mark.parametrize("shape", [(20, 300), (3, 20, 300)])
def test_the_first_sweep_stands_before_the_rows_too(shape):
    def largest(program):
        made, lying, sizes = made_for(program, np.zeros(shape, "float32"))
        return made.printed_for(lying, sizes).fastest.text.count("fcmp ogt <1 x float>")

    assert largest(sg.softmax) == 2
    assert largest(lambda x: x - sg.max(x, axis=-1, keepdims=True)) == 2
    assert largest(lambda x: sg.max(x, axis=-1, keepdims=True)) == 1, (
        "there is nothing that could wait for it"
    )
    assert largest(lambda x: sg.softmax(sg.exp(x))) == 1, "an exponential is not written twice"


@pytest.mark.parametrize(
    "shape", [(0, 5), (1, 1), (1, 40), (2, 16), (7, 33), (3, 600), (4, 3, 70), (2, 1, 9)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits_in_both_texts_and_for_all_rows_at_once_or_each(name, dtype, shape):
    guarded = Guarded()
    _, array = guarded.array(shape, np.dtype(dtype), at_end=True)
    array[...] = np.random.default_rng(0).normal(size=shape)
    made, lying, sizes = made_for(PROGRAMS[name], array)
    native = made.printed_for(lying, sizes)
    arena = Memory().arena(made.needs(sizes).room or 0)
    (table,) = made.call(lying, sizes, 0).tables([x.ctypes.data for x in lying], arena, 0)
    words = (ctypes.c_int64 * len(table))(*table)
    found = []
    for text, level in ((native, 0), (native.fastest, 2)):
        LOADERS.append(Loader())
        LOADERS[-1].load(compiled(module([text], host()), level))
        run = CALL(LOADERS[-1].address(native.name))
        for some in (max(1, shape[0]), 1):
            for each in lying:
                if each is not array:
                    each[...] = 0
            for n in range(0, shape[0], some):
                run(ctypes.addressof(words), n, n + some)
            found.append([x.tobytes() for x in lying])

    assert all(each == found[0] for each in found)
