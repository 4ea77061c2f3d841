"""Kernels that update variables: they are prepared for denormal numbers, and nobody sees a difference in the bits."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.layout import Layout
from symgraph.codegen.llvm_denormals import looked_at
from symgraph.codegen.loops import Load
from symgraph.codegen.lower import updated_by
from symgraph.graph.evaluate import bind_sizes
from symgraph.optimizations.plan import plan
from symgraph.runtime import native
from symgraph.runtime.cpu import host, machine_of
from symgraph.runtime.native import NativeKernel

X86 = replace(host(), triple="x86_64-unknown-linux-gnu", flushes=False)
F32 = np.float32
EDGES = F32([0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 1.1754944e-38, 1, 3, 1e38, np.inf, -np.inf, np.nan])


def drawn(count, seed):
    """Numbers of all exponents and of both signs, and blocks of ordinary ones: not every turn meets small ones."""
    rng = np.random.default_rng(seed)
    any_bits = rng.integers(0, 1 << 32, count, dtype="uint32").view("float32")
    ordinary = rng.normal(size=count).astype("float32")
    found = np.where(np.arange(count) // 64 % 3 == 0, ordinary, any_bits)
    places = rng.integers(0, count, count // 8)
    found[places] = EDGES[rng.integers(0, len(EDGES), len(places))]
    return np.ascontiguousarray(found)


UPDATES = {
    "product": (lambda v, x: v * x, lambda v, x: v * x),
    "square": (lambda v, x: v * v * x, lambda v, x: v * v * x),
    "quotient": (lambda v, x: v / x, lambda v, x: v / x),
    "the other quotient": (lambda v, x: x / v, lambda v, x: x / v),
    "reciprocal": (lambda v, x: 1 / v + x, lambda v, x: 1 / v + x),
    "root": (lambda v, x: sg.sqrt(v) + x, lambda v, x: np.sqrt(v) + x),
    "number": (lambda v, x: v * 0.75 + x, lambda v, x: v * F32(0.75) + x),
    "divided by a number": (lambda v, x: v / 3.7 + x, lambda v, x: v / F32(3.7) + x),
    "choice": (
        lambda v, x: sg.where(v > x, v * 0.9, sg.abs(x) / sg.maximum(v, 0.5)),
        lambda v, x: np.where(v > x, v * F32(0.9), np.abs(x) / np.maximum(v, F32(0.5))),
    ),
}


@pytest.fixture
def best_text(monkeypatch):
    """The text that runs fastest is the first."""
    printed = native.print_native
    monkeypatch.setattr(
        native, "print_native", lambda *args, quick, **more: printed(*args, quick=False, **more)
    )


def same(found, expected):
    """The same bits; a NaN is a NaN."""
    nan = np.isnan(expected)
    return bool((np.isnan(found) == nan).all()) and found[~nan].tobytes() == expected[~nan].tobytes()


def updating(program, count):
    v, x = sg.variable(np.zeros(count, "float32"), name="v"), sg.placeholder("float32", (count,), name="x")
    options = sg.Options(backend="llvm", threads=1)
    return v, sg.function([x], None, updates={v: program(v, x)}, options=options)


STRIDES = {"in order": lambda x: x, "backwards": lambda x: x[::-1], "apart": lambda x: np.repeat(x, 3)[::3]}


@pytest.mark.parametrize("count", [1, 15, 16, 47, 1003, 20_000])
@pytest.mark.parametrize("name", UPDATES)
def test_the_bits_of_numpy(name, count, best_text):
    program, expected = UPDATES[name]
    v, update = updating(program, count)
    with np.errstate(all="ignore"):
        for seed, stride in enumerate(STRIDES.values()):
            old, x = drawn(count, seed), stride(drawn(count, seed + 10))
            v.value = old
            update(x)
            assert same(v.value, expected(old, x)), stride


def test_a_gradient_that_lies_across(best_text):
    shape = 70, 133
    v, x = (
        sg.variable(np.zeros(shape, "float32"), name="v"),
        sg.placeholder("float32", shape[::-1], name="x"),
    )
    old, given = drawn(70 * 133, 1).reshape(shape), drawn(133 * 70, 2).reshape(shape[::-1])
    update = sg.function([x], None, updates={v: v * 0.75 + v * x.T}, options=sg.Options(threads=1))
    v.value = old
    update(given)

    with np.errstate(all="ignore"):
        assert same(v.value, old * F32(0.75) + old * given.T)


@pytest.mark.parametrize("name", UPDATES)
def test_the_bits_of_the_first_text(name, as_first_compiled, monkeypatch):
    """Those of NaNs too."""
    printed, count, results = native.print_native, 5003, []
    for quick in (True, False):
        monkeypatch.setattr(
            native,
            "print_native",
            lambda *args, quick=quick, **more: printed(*args, **{**more, "quick": quick}),
        )
        v, update = updating(UPDATES[name][0], count)
        v.value = drawn(count, 3)
        update(drawn(count, 4))
        results.append(v.value.tobytes())

    assert results[0] == results[1]


def test_products_and_quotients_next_to_the_least_numbers(best_text):
    """Of numbers whose results are denormal, and half way between two of them."""
    rng, count = np.random.default_rng(5), 100_000
    small = rng.integers(1, 1 << 12, count).astype("float32") * F32(2.0**-140)
    power = np.ldexp(F32(1), -rng.integers(0, 24, count)).astype("float32")
    factors = power * rng.integers(1, 1 << 8, count).astype("float32")
    for name, expected in (("product", small * factors), ("quotient", small / factors)):
        v, update = updating(UPDATES[name][0], count)
        v.value = small
        update(factors)
        assert v.value.tobytes() == expected.tobytes()


def adam(m, s, g, p, t, xp, number):
    m, s = number(0.9) * m + number(0.1) * g, number(0.999) * s + number(0.001) * g * g
    first, second = number(1) - t * number(0.5), number(1) - t * number(0.25)
    return m, s, p - number(0.01) * (m / first) / (xp.sqrt(s / second) + number(1e-8))


@pytest.mark.parametrize("count", [10, 33, 1000, 4099])
def test_steps_of_adam(count, best_text):
    arrays = [drawn(count, seed) for seed in range(3)]
    arrays[1] = np.abs(arrays[1])
    names = [sg.variable(x, name=name) for x, name in zip(arrays, "msp", strict=True)]
    g, t = sg.placeholder("float32", (count,), name="g"), sg.placeholder("float32", (), name="t")
    m, s, p = names
    new = adam(m, s, g, p, t, sg, lambda x: x)
    step = sg.function(
        [g, t], None, updates=dict(zip(names, new, strict=True)), options=sg.Options(threads=1)
    )
    with np.errstate(all="ignore"):
        for turn in range(3):
            slope, time = drawn(count, 20 + turn), F32(1 / (turn + 2))
            arrays = list(adam(arrays[0], arrays[1], slope, arrays[2], time, np, F32))
            step(slope, time)
            for name, expected in zip(names, arrays, strict=True):
                assert same(name.value, expected), (turn, name)


def text_of(program, dtype="float32", machine=X86, *, updates=True):
    """The text that runs fastest of the one kernel of a program of a variable and a placeholder."""
    v, x = sg.variable(np.zeros(64, dtype), name="v"), sg.placeholder(dtype, (64,), name="x")
    y = program(v, x)
    made = sg.function([x], None, updates={v: y}) if updates else sg.function([x], y)
    (kernel,) = plan(made._program.stages[-1].graph, [x, v]).kernels
    return NativeKernel(kernel, machine=machine).texts()[0].text


def average(v, x):
    return 0.9 * v + 0.1 * x


def test_what_updates_a_variable_that_it_multiplies_is_prepared():
    assert "fptrunc" in text_of(average)
    assert "fptrunc" in text_of(lambda v, x: sg.sqrt(v) / 3 + x)


@pytest.mark.parametrize(
    "text",
    [
        lambda: text_of(average, updates=False),
        lambda: text_of(average, dtype="float64"),
        lambda: text_of(average, machine=replace(X86, flushes=True)),
        lambda: text_of(average, machine=machine_of("generic", "aarch64-unknown-linux-gnu")),
        lambda: text_of(lambda v, x: v - 0.01 * x),
        lambda: text_of(lambda v, x: 0.9 * v + sg.tanh(x)),
        lambda: text_of(lambda v, x: 0.9 * v + sg.sum(v * x)),
    ],
    ids=["no variable", "float64", "flushed", "no assists", "nothing decays", "tanh", "sweep"],
)
def test_nothing_else_is(text):
    assert "fptrunc" not in text()


def test_the_first_text_is_short():
    v, x = sg.variable(np.zeros(64, "float32"), name="v"), sg.placeholder("float32", (64,), name="x")
    update = sg.function([x], None, updates={v: average(v, x)})
    (kernel,) = plan(update._program.stages[-1].graph, [x, v]).kernels
    made, arrays = NativeKernel(kernel, machine=X86), [np.empty(64, "float32") for _ in range(3)]
    first = made.printed_for(arrays, bind_sizes([x], arrays[:1]))

    assert "fptrunc" not in first.text
    assert "fptrunc" in first.fastest.text
    assert first.name == first.fastest.name


def test_a_first_text_has_another_name_where_the_better_one_is_another():
    def first(*, updates):
        v, x = sg.variable(np.zeros(64, "float32"), name="v"), sg.placeholder("float32", (64,), name="x")
        made = (
            sg.function([x], None, updates={v: average(v, x)}) if updates else sg.function([x], average(v, x))
        )
        (kernel,) = plan(made._program.stages[-1].graph, [x, v]).kernels
        return NativeKernel(kernel, machine=X86).printed_for([np.empty(64, "float32") for _ in range(3)], {})

    assert first(updates=True).name != first(updates=False).name


@pytest.mark.skipif(not host().assists, reason="the processor computes with denormal numbers as with others")
def test_conversions_stay_in_machine_code():
    """LLVM would be right to make a product in float32 of them again."""
    _, update = updating(average, 64)
    update(np.zeros(64, "float32"))

    assert "cvtpd2ps" in update.source("asm")


def test_squares_are_small_before_others():
    """The gradient of Adam, but not that of momentum, whose average is looked at alone."""
    v, x = sg.variable(np.zeros(64, "float32"), name="v"), sg.placeholder("float32", (64,), name="x")

    def bits_of(y):
        (kernel,) = plan(sg.function([x], None, updates={v: y})._program.stages[-1].graph, [x, v]).kernels
        made = NativeKernel(kernel, machine=X86)
        made.texts()
        (layout,) = made._printed
        assert isinstance(layout, Layout)
        found = looked_at(made.loops, layout, X86, updated_by(kernel))
        loads = {each.target.name: each.param.name for each in made.loops.body if isinstance(each, Load)}
        return {loads[name]: bits for name, bits in found.items()}

    assert {"v": 0x70000000} == bits_of(average(v, x))
    assert {"v": 0x70000000, "x": 0x60000000} == bits_of(0.999 * v + 0.001 * x * x)
