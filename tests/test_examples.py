"""The examples run and say what they claim."""

import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import symgraph as sg
from symgraph.runtime import emulator

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_runs_as_a_script(path, capsys):
    runpy.run_path(str(path), run_name="__main__")

    assert capsys.readouterr().out


def test_digits_learns():
    assert importlib.import_module("symgraph.examples.digits").main(epochs=15) >= 0.96


def test_black_scholes_is_right():
    table = importlib.import_module("symgraph.examples.black_scholes").main()
    spot, strikes, years, rate, sigma = 100.0, np.arange(80.0, 125.0, 5.0), 0.5, 0.02, 0.25
    d1 = (np.log(spot / strikes) + (rate + sigma**2 / 2) * years) / (sigma * np.sqrt(years))
    d2 = d1 - sigma * np.sqrt(years)
    discount = strikes * np.exp(-rate * years)
    price = spot * stats.norm.cdf(d1) - discount * stats.norm.cdf(d2)

    np.testing.assert_allclose(table["price"], price, rtol=1e-12)
    np.testing.assert_allclose(table["delta"], stats.norm.cdf(d1), rtol=1e-12)
    np.testing.assert_allclose(
        table["gamma"], stats.norm.pdf(d1) / (spot * sigma * np.sqrt(years)), rtol=1e-11
    )
    np.testing.assert_allclose(table["vega"], spot * stats.norm.pdf(d1) * np.sqrt(years), rtol=1e-11)
    np.testing.assert_allclose(table["rho"], discount * years * stats.norm.cdf(d2), rtol=1e-11)


def test_theano_style_learns():
    losses, accuracy = importlib.import_module("symgraph.examples.theano_style").main()

    assert losses[-1] < 0.75 * losses[0]
    assert accuracy > 0.9


def test_tf1_style_finds_the_line():
    fitted = importlib.import_module("symgraph.examples.tf1_style").main()

    assert abs(fitted["slope"] - 3) < 0.05
    assert abs(fitted["offset"] + 1) < 0.05
    assert 200 == fitted["steps"]


def test_attention_learns():
    losses = importlib.import_module("symgraph.examples.attention").main()

    assert losses[-1] < 0.3 * losses[0]


# On the simulator of a GPU, the same numbers


SIMULATED = sg.Options(device="cuda-sim")


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_black_scholes_on_the_simulator():
    example = importlib.import_module("symgraph.examples.black_scholes")
    for name, column in example.main(SIMULATED).items():
        np.testing.assert_array_max_ulp(column, example.main()[name], 4)


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_attention_on_the_simulator():
    example = importlib.import_module("symgraph.examples.attention")

    np.testing.assert_allclose(example.main(6, options=SIMULATED), example.main(6), rtol=1e-5)


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_digits_on_the_simulator():
    example = importlib.import_module("symgraph.examples.digits")
    images, labels, *_ = example.load_digits()
    losses = {}
    for options in (SIMULATED, None):
        x, logits, weights = example.network()
        t = sg.placeholder("int64", ("batch",), name="t")
        loss = sg.cross_entropy(logits, t).mean()
        train = sg.function([x, t], loss, updates=example.adam(loss, weights), options=options)
        losses[options] = [train(images[n : n + 64], labels[n : n + 64]) for n in range(0, 640, 64)]

    np.testing.assert_allclose(losses[SIMULATED], losses[None], rtol=1e-5)
