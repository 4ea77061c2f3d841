"""A curve through noisy points by a Gaussian process, whose scales are those that make the points likeliest.

``python examples/gaussian_process.py`` maximises the log marginal likelihood with SciPy's L-BFGS, for which one
compiled function gives value and gradient: both go through a Cholesky factorisation. Then it prints the curve, and how
sure it is.

C. E. Rasmussen and C. K. I. Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006: algorithm 2.1 and
equation 5.8.
"""

import math

import numpy as np
from scipy import optimize

import symgraph as sg

NAMES = ("height", "length", "noise")


def kernel(x: sg.Node, z: sg.Node, logs: sg.Node) -> sg.Node:
    """How the heights of the curve at two sets of places go together: ``height² exp(-(x - z)² / 2 length²)``."""
    apart = (x[:, None] - z[None, :]) / sg.exp(logs[1])
    return sg.exp(2 * logs[0] - apart**2 / 2)


def factor(x: sg.Node, logs: sg.Node) -> sg.Node:
    """The Cholesky factor of the covariance of what is seen, noise included."""
    return sg.linalg.cholesky(kernel(x, x, logs) + sg.exp(2 * logs[2]) * sg.eye(x.shape[0]))


def log_likelihood(x: sg.Node, y: sg.Node, logs: sg.Node) -> sg.Node:
    """The log density of all that is seen."""
    lower = factor(x, logs)
    white = sg.linalg.solve_triangular(lower, y, lower=True)
    return -sg.sum(white**2 / 2 + sg.log(sg.linalg.diagonal(lower)) + math.log(2 * math.pi) / 2)


def prediction(x: sg.Node, y: sg.Node, at: sg.Node, logs: sg.Node) -> tuple[sg.Node, sg.Node]:
    """Mean and variance of the curve at other places."""
    lower = factor(x, logs)
    white = sg.linalg.solve_triangular(lower, y, lower=True)
    across = sg.linalg.solve_triangular(lower, kernel(x, at, logs), lower=True)
    return white @ across, sg.exp(2 * logs[0]) - (across**2).sum(axis=0)


def main(points: int = 60, options: sg.Options | None = None) -> dict[str, np.ndarray]:
    """Fit, print the curve, and return what was seen and found."""
    x, y = (sg.placeholder("float64", ("points",), name=name) for name in "xy")
    at = sg.placeholder("float64", ("places",), name="at")
    logs = sg.placeholder("float64", (3,), name="logs")
    loss = -log_likelihood(x, y, logs)
    look = sg.function([logs, x, y], [loss, sg.grad(loss, logs)], name="look", options=options)
    predict = sg.function([at, x, y, logs], prediction(x, y, at, logs), name="predict", options=options)

    rng = np.random.default_rng(0)
    xs = np.sort(rng.uniform(0, 10, points))
    xs = xs[(xs < 5) | (xs > 6.5)]  # nothing is seen between
    ys = np.sin(xs) + 0.3 * np.sin(3 * xs) + rng.normal(0, 0.15, len(xs))
    found = optimize.minimize(look, np.zeros(3), (xs, ys), jac=True, method="L-BFGS-B")
    print(f"log likelihood {-look(np.zeros(3), xs, ys)[0]:.3f} -> {-found.fun:.3f} in {found.nfev} looks")
    print(", ".join(f"{name} {value:.3f}" for name, value in zip(NAMES, np.exp(found.x), strict=True)))

    places = np.linspace(-1, 11, 49)
    mean, variance = predict(places, xs, ys, found.x)
    print("\n    x    mean        o: the mean, -: two standard deviations to either side")
    for place, middle, wide in zip(places, mean, 2 * np.sqrt(variance), strict=True):
        line = ["."] * 61
        for column in range(_column(middle - wide), _column(middle + wide) + 1):
            line[column] = "-"
        line[_column(middle)] = "o"
        print(f"{place:5.2f} {middle:7.3f}   {''.join(line)}")
    return {
        "x": xs, "y": ys, "logs": found.x, "likelihood": -found.fun, "slope": found.jac,
        "places": places, "mean": mean, "variance": variance,
    }  # fmt: skip


def _column(height: float) -> int:
    return int(np.clip(30 + 13 * height, 0, 60))


if __name__ == "__main__":
    main()
