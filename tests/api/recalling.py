"""A program that is written down and found again, for tests."""

import numpy as np

import symgraph as sg
from symgraph.runtime.code import code


def again(make, *args, calls=1):
    """What a function answers, and the same function as another process finds it."""
    first = make()
    for _ in range(calls):
        expected = first(*args)
    code().settle()
    return expected, make()


def is_planned(f):
    return "plan" in vars(f._program.executor) or "stages" in vars(f._program._passes)


def assert_same(a, b):
    for x, y in zip(
        a if isinstance(a, tuple | list) else [a], b if isinstance(b, tuple | list) else [b], strict=True
    ):
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


def network():
    x, t = (sg.placeholder("float32", ("n", size), name=name) for size, name in ((8, "x"), (3, "t")))
    w, v = (sg.placeholder("float32", shape, name=name) for shape, name in (((8, 16), "w"), ((16, 3), "v")))
    loss = ((sg.tanh(x @ w) @ v - t) ** 2).mean()
    return sg.function([x, t, w, v], [loss, *sg.grad(loss, [w, v])])


def arrays(n=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in ((n, 8), (n, 3), (8, 16), (16, 3))]
