"""The examples run and say what they claim."""

import importlib
import itertools
import runpy
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

import symgraph as sg
from symgraph.runtime import emulator

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_runs_as_a_script(path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(path)])  # those of the tests are not its
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


# Loops, random numbers and linear algebra


def example(name):
    return importlib.import_module(f"symgraph.examples.{name}")


def test_ode_finds_the_rates():
    ode = example("ode")
    found = ode.main()

    assert np.all(np.abs(found["found"] / ode.TRUE - 1) < 3 * found["errors"])
    assert np.all(found["errors"] < 0.05)
    assert np.all(np.abs(found["slope"]) < 1e-2)


def test_ode_is_integrated_to_the_fourth_order():
    ode = example("ode")
    p = sg.placeholder("float64", (6,), name="p")
    ends = [sg.stack(ode.integrated(p, steps)[0]) for steps in (250, 500, 1000)]
    coarse, fine, finest = sg.function([p], ends)(ode.TRUE)
    expected = integrate.solve_ivp(
        lambda t, x: (ode.TRUE[0] * x[0] - ode.TRUE[1] * x[0] * x[1], ode.TRUE[2] * x[0] * x[1] - ode.TRUE[3] * x[1]),
        (0, ode.YEARS), ode.TRUE[4:], method="DOP853", rtol=1e-12, atol=1e-12,
    ).y[:, -1]  # fmt: skip

    np.testing.assert_allclose(finest, expected, rtol=1e-6)
    assert np.all(12 < (coarse - expected) / (fine - expected))


def test_memory_of_the_ode_grows_as_the_root():
    ode = example("ode")

    assert 4.1 * ode.memory(1000, None) > ode.memory(4000, None) > 3.5 * ode.memory(1000, None)
    assert 3 * ode.memory(1000, "sqrt") > ode.memory(16000, "sqrt")


def test_gaussian_process_is_that_of_numpy():
    process = example("gaussian_process")
    found = process.main()
    x, y, at = (found[name] for name in ("x", "y", "places"))
    height, length, noise = np.exp(found["logs"])

    def kernel(x, z):
        return height**2 * np.exp(-((x[:, None] - z) ** 2) / (2 * length**2))

    seen, across = kernel(x, x) + noise**2 * np.eye(len(x)), kernel(x, at)
    covariance = kernel(at, at) - across.T @ np.linalg.solve(seen, across)
    likelihood = stats.multivariate_normal.logpdf(y, cov=seen)

    np.testing.assert_allclose(found["likelihood"], likelihood, rtol=1e-10)
    np.testing.assert_allclose(found["mean"], across.T @ np.linalg.solve(seen, y), atol=1e-9)
    np.testing.assert_allclose(found["variance"], np.diag(covariance), atol=1e-9)
    assert np.all(np.abs(found["slope"]) < 1e-3)
    assert abs(noise - 0.15) < 0.03


def test_likelihood_of_dice_is_the_sum_over_all_paths():
    markov = example("hidden_markov")
    rng = np.random.default_rng(0)
    steps, seen = np.log(rng.dirichlet(np.ones(3), 3)), np.log(rng.uniform(size=(7, 3)))
    total = -np.inf
    for path in itertools.product(range(3), repeat=7):
        moves = sum(steps[a, b] for a, b in itertools.pairwise(path))
        total = np.logaddexp(total, moves + seen[range(7), path].sum() - np.log(3))

    np.testing.assert_allclose(
        sg.function([], markov.log_likelihood(steps, sg.constant(seen)))(), total, rtol=1e-13
    )


def test_states_of_dice_are_those_of_forward_and_backward():
    markov = example("hidden_markov")
    found = markov.main()
    steps, faces = found["steps"], found["faces"]
    seen = markov.FACES[:, faces].T
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    for n, row in enumerate(seen):
        forward[n] = row * (forward[n - 1] @ steps if n else 1 / 3)
        forward[n] /= forward[n].sum()
    for n in reversed(range(len(seen) - 1)):
        backward[n] = steps @ (seen[n + 1] * backward[n + 1])
        backward[n] /= backward[n].sum()
    both = forward * backward

    np.testing.assert_allclose(found["probabilities"], both / both.sum(axis=1, keepdims=True), atol=1e-9)


def test_dice_are_told_apart():
    markov = example("hidden_markov")
    found = markov.main()
    going = np.zeros((3, 3))
    np.add.at(going, (found["states"][:-1], found["states"][1:]), 1)
    shown = np.zeros((3, 6))
    np.add.at(shown, (found["states"], found["faces"]), 1)

    assert np.all(np.diff(found["likelihoods"]) > -1e-9)
    np.testing.assert_allclose(found["steps"], markov.STEPS, atol=0.06)
    np.testing.assert_allclose(going / going.sum(1, keepdims=True), markov.STEPS, atol=0.03)
    np.testing.assert_allclose(shown / shown.sum(1, keepdims=True), markov.FACES, atol=0.03)
    assert np.mean(found["probabilities"].argmax(1) == found["states"]) > 0.75


def test_draws_of_schools_have_the_exact_moments():
    schools = example("hamiltonian")
    found = schools.main()
    rows = np.concatenate([found["average"][:, None], found["worth"]], axis=1)
    mean, deviation, error = schools.summary(rows)
    exact_mean, exact_deviation = schools.exact()

    assert np.all(np.abs(mean - exact_mean) < 4 * error)
    assert np.all(error < 0.03 * exact_deviation)
    np.testing.assert_allclose(deviation, exact_deviation, rtol=0.03)
    assert 0.8 < found["moves"].mean() < 0.99


def test_exact_moments_of_schools_are_those_of_the_density():
    schools = example("hamiltonian")
    q = sg.placeholder("float64", (9,), name="q")
    density = schools.known([q[:1], q[1:, None]]).sum()
    slope, curvature = sg.function([q], [sg.grad(density, q), sg.hessian(density, q)])(np.zeros(9))
    covariance = np.linalg.inv(-curvature)
    to_worth = np.concatenate(
        [schools.MEAN * np.eye(9)[:1], schools.MEAN * np.eye(9)[:1] + schools.SPREAD * np.eye(9)[1:]]
    )
    mean, deviation = schools.exact()

    np.testing.assert_allclose(to_worth @ covariance @ slope, mean, rtol=1e-10)
    np.testing.assert_allclose(np.sqrt(np.diag(to_worth @ covariance @ to_worth.T)), deviation, rtol=1e-10)


def test_spread_of_schools_is_what_the_literature_has():
    spread = example("hamiltonian").main()["spread"]

    assert abs(spread.mean() - 3.6) < 0.25
    assert abs(spread.std() - 3.2) < 0.4


def test_points_of_mandelbrots_set():
    mandelbrot = example("mandelbrot")
    x, y = (sg.placeholder("float64", ("points",), name=name) for name in "xy")
    count, size = sg.function([x, y], mandelbrot.turns(x, y, 500))(
        [0.0, -1.0, -2.0, 0.25, -0.12, 0.26, 0.4, 1.0, -0.75, -2.1], [0.0, 0, 0, 0, 0.75, 0, 0.4, 1, 0.1, 0]
    )

    assert [500] * 5 == count[:5].tolist()
    assert np.all(size[:5] <= 4)
    assert np.all(count[5:] < 100)
    assert np.all(size[5:] > mandelbrot.FAR**2)


def test_area_of_mandelbrots_set():
    mandelbrot = example("mandelbrot")
    found = mandelbrot.main()
    c = found["columns"] + 1j * found["rows"][::10, None]
    z, counts = np.zeros_like(c), np.zeros(c.shape, int)
    for _ in range(100):
        near = np.abs(z) <= mandelbrot.FAR
        z[near] = z[near] ** 2 + c[near]
        counts += near

    assert abs(found["area"] / 1.5066 - 1) < 0.01
    assert np.mean(counts == np.minimum(found["turns"][::10], 100)) > 0.999


def test_picture_of_mandelbrots_set_is_a_png(tmp_path):
    mandelbrot = example("mandelbrot")
    picture = mandelbrot.main(20, 30)["picture"]
    mandelbrot.save(picture, tmp_path / "m.png")
    data = (tmp_path / "m.png").read_bytes()
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind], at = body, at + 12 + length
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), "uint8").reshape(len(picture), -1)

    assert b"\x89PNG\r\n\x1a\n" == data[:8]
    assert [b"IHDR", b"IDAT", b"IEND"] == list(chunks)
    assert (picture.shape[1], picture.shape[0]) == struct.unpack(">II", chunks[b"IHDR"][:8])
    np.testing.assert_array_equal(rows[:, 1:].reshape(picture.shape), picture)


SMALL = {
    "ode": lambda options: example("ode").main(40, options),
    "gaussian_process": lambda options: example("gaussian_process").main(20, options),
    "hidden_markov": lambda options: example("hidden_markov").main(60, 3, options),
    "hamiltonian": lambda options: example("hamiltonian").main(10, 4, options),
    "mandelbrot": lambda options: example("mandelbrot").main(20, 30, options),
}


def assert_same(found, expected):
    assert set(expected) == set(found)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("name", SMALL)
def test_loops_of_numpy_calls_find_the_same(name):
    assert_same(SMALL[name](sg.Options(backend="numpy")), SMALL[name](None))


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


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
@pytest.mark.parametrize("name", [name for name in SMALL if name != "gaussian_process"])
def test_loops_on_the_simulator(name):
    assert_same(SMALL[name](SIMULATED), SMALL[name](None))
