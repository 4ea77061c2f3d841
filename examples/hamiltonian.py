"""Hamiltonian Monte Carlo in one compiled function: what eight schools' courses are worth, given what was measured.

``python examples/hamiltonian.py`` draws from two posterior distributions. In the first the spread between schools is
known, so that all is Gaussian and the exact answer stands beside; in the second it is found as well. A scan goes
through keys, one a draw; in it a loop moves position and momentum, by gradients that are taken where they are needed,
in the loop. Many chains run beside each other along the last axis.

R. M. Neal, "MCMC using Hamiltonian dynamics", *Handbook of Markov Chain Monte Carlo*, 2011, figure 2; data and model:
A. Gelman and others, *Bayesian Data Analysis*, 3rd ed., 2013, section 5.5.
"""

from collections.abc import Callable

import numpy as np

import symgraph as sg

EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
"""What was measured, in points of a test."""
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
"""The standard deviations of that."""
MEAN, SPREAD = 5.0, 8.0
"""The prior standard deviation of what courses are worth on average, and that between schools where it is known."""

Position = list[sg.Node]


def schools(mean: sg.Node, spread: sg.Node | float, each: sg.Node) -> sg.Node:
    """What each course is worth, f64[8, chains], of parameters that are standard normal before anything is seen."""
    return MEAN * mean + spread * each


def log_density(mean: sg.Node, spread: sg.Node | float, each: sg.Node) -> sg.Node:
    """Of each chain, but for a constant."""
    misses = (schools(mean, spread, each) - EFFECTS[:, None]) / ERRORS[:, None]
    return -(mean**2 + sg.sum(each**2 + misses**2, axis=0)) / 2


def known(position: Position) -> sg.Node:
    """The log density where the spread is known."""
    mean, each = position
    return log_density(mean, SPREAD, each)


def unknown(position: Position) -> sg.Node:
    """The log density where the spread is half Cauchy of scale 5 before; the parameter is its logarithm."""
    mean, each, log_spread = position
    return log_density(mean, sg.exp(log_spread), each) + log_spread - sg.log1p(sg.exp(2 * log_spread) / 25)


def sampled(
    density: Callable[[Position], sg.Node], start: Position, key: sg.Node, draws: int, step: float, leaps: int
) -> tuple[list[sg.Node], sg.Node]:
    """Positions, stacked along a new first axis, and which of the moves were made, bool[draws, chains]."""

    def kicked(position: Position, momentum: Position, time: float) -> Position:
        slopes = sg.grad(density(position).sum(), position)
        return [p + time * slope for p, slope in zip(momentum, slopes, strict=True)]

    def leap(_: sg.Node, state: tuple[Position, Position]) -> tuple[Position, Position]:
        position, momentum = state
        position = [q + step * p for q, p in zip(position, momentum, strict=True)]
        return position, kicked(position, momentum, step)

    def log_joint(position: Position, momentum: Position) -> sg.Node:
        moving = [sg.sum(p**2, axis=tuple(range(p.ndim - 1))) for p in momentum]
        return density(position) - sum(moving[1:], moving[0]) / 2

    def draw(position: Position, key: sg.Node) -> tuple[Position, tuple[Position, sg.Node]]:
        *for_momentum, for_choice = sg.unstack(sg.random.split(key, len(position) + 1))
        momentum = [
            sg.random.normal(each, q.shape, dtype="float64")
            for each, q in zip(for_momentum, position, strict=True)
        ]
        state = position, kicked(position, momentum, step / 2)
        moved, pushed = sg.fori_loop(0, leaps, leap, state)
        pushed = kicked(moved, pushed, -step / 2)
        gained = log_joint(moved, pushed) - log_joint(position, momentum)
        taken = sg.random.exponential(for_choice, gained.shape, dtype="float64") > -gained
        after = [sg.where(taken, new, old) for new, old in zip(moved, position, strict=True)]
        return after, (after, taken)

    _, (positions, taken) = sg.scan(draw, start, sg.random.split(key, draws))
    return positions, taken


def summary(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and the standard error of the mean, as the chains tell it, of [draws, ..., chains]."""
    means = x.mean(axis=0)
    return means.mean(axis=-1), x.std(axis=(0, -1)), means.std(axis=-1, ddof=1) / np.sqrt(means.shape[-1])


def exact() -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the average and of what each course is worth where the spread is known."""
    prior = np.array(np.block([[np.ones((1, 9))], [np.ones((8, 1)), np.ones((8, 8))]])) * MEAN**2
    prior[1:, 1:] += SPREAD**2 * np.eye(8)
    gain = np.linalg.solve(prior[1:, 1:] + np.diag(ERRORS**2), prior[1:]).T
    return gain @ EFFECTS, np.sqrt(np.diag(prior - gain @ prior[1:]))


def main(draws: int = 1000, chains: int = 16, options: sg.Options | None = None) -> dict[str, np.ndarray]:
    """Print what is found for both models, and return draws and moves of the first, and the spreads of the second."""
    mean, each = sg.zeros((chains,)), sg.zeros((8, chains))
    seed = sg.placeholder("int64", (), name="seed")
    (means, effects), taken = sampled(known, [mean, each], sg.random.key(seed), draws, 0.5, 8)
    outputs = [MEAN * means, schools(means[:, None], SPREAD, effects), taken]
    found = sg.function([seed], outputs, name="known", options=options)(0)
    averages, worth, moves = (x[draws // 10 :] for x in found)
    print(f"the spread is known: {moves.mean():.0%} of {moves.size:,} moves were made\n")
    print("                 drawn                       exact")
    middle, deviation = exact()
    sides = [np.concatenate(pair) for pair in zip(summary(averages[:, None]), summary(worth), strict=True)]
    for n, (a, b, error, c, d) in enumerate(zip(*sides, middle, deviation, strict=True)):
        name = f"school {n}" if n else "average"
        print(f"{name:10} {a:6.2f} ± {error:.2f}, sd {b:.2f}      {c:6.2f}, sd {d:.2f}")

    start = [mean, each, sg.zeros((chains,))]
    (means, _, logs), taken = sampled(unknown, start, sg.random.key(seed), draws, 0.3, 12)
    found = sg.function([seed], [MEAN * means, sg.exp(logs), taken], name="unknown", options=options)(1)
    average, spread, moves = (x[draws // 10 :] for x in found)
    print(f"\nthe spread is unknown: {moves.mean():.0%} of the moves were made")
    for name, x in (("average", average), ("spread", spread)):
        print("{:10} {:6.2f}, sd {:.2f}, ± {:.2f}".format(name, *summary(x)))
    return {"average": averages, "worth": worth, "moves": moves, "spread": spread}


if __name__ == "__main__":
    main()
