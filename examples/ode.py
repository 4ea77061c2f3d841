"""Hares and foxes: a differential equation in a loop, and its parameters found from what was observed.

``python examples/ode.py`` integrates Lotka and Volterra's equations by Runge and Kutta's classical method, one turn of
`sg.scan` a step; sees twenty years of it every half year, with noise; finds the rates and the populations at the
beginning again by Gauss and Newton's method, whose Jacobian is pushed through the loop; and says how much memory the
gradient of a long run takes.

A. J. Lotka, *Elements of Physical Biology*, 1925, ch. 8; E. Hairer, S. P. Nørsett and G. Wanner, *Solving Ordinary
Differential Equations I*, 2nd ed., Springer 1993, II.1.
"""

import numpy as np

import symgraph as sg

NAMES = (
    "hares are born",
    "hares are caught",
    "foxes are born",
    "foxes die",
    "hares at first",
    "foxes at first",
)
TRUE = np.array([1.0, 0.1, 0.075, 1.5, 10.0, 5.0])
YEARS, SEEN, NOISE = 20, 40, 0.1
"""The standard deviation of the noise is a share of what is seen."""

Populations = tuple[sg.Node, ...]


def rates(state: Populations, p: sg.Node) -> Populations:
    """How fast the hares and the foxes become more."""
    hares, foxes = state
    met = hares * foxes
    return p[0] * hares - p[1] * met, p[2] * met - p[3] * foxes


def runge_kutta(state: Populations, p: sg.Node, h: float) -> Populations:
    """The state after a time of ``h``, with an error of the order ``h**5``."""

    def later(slopes: Populations, time: float) -> Populations:
        return tuple(x + time * slope for x, slope in zip(state, slopes, strict=True))

    k1 = rates(state, p)
    k2 = rates(later(k1, h / 2), p)
    k3 = rates(later(k2, h / 2), p)
    k4 = rates(later(k3, h), p)
    return later(tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)), h)


def integrated(
    p: sg.Node, steps: int, checkpoint: str | int | None = None
) -> tuple[Populations, Populations]:
    """The populations in the end, and those after every step of so many in all the years, f64[steps]."""

    def step(state: Populations, row: None) -> tuple[Populations, Populations]:
        after = runge_kutta(state, p, YEARS / steps)
        return after, after

    return sg.scan(step, (p[4], p[5]), length=steps, checkpoint=checkpoint)


def memory(steps: int, checkpoint: str | int | None) -> int:
    """The bytes that the gradient of the number of foxes in the end takes, known before it is computed."""
    p = sg.placeholder("float64", (6,), name="p")
    (_, foxes), _ = integrated(p, steps, checkpoint)
    return sg.function([p], sg.grad(foxes, p)).memory().peak


def main(steps: int = 1000, options: sg.Options | None = None) -> dict[str, np.ndarray]:
    """Fit, print a table, and return what was found, with its standard errors and the gradient there."""
    logs = sg.placeholder("float64", (6,), name="logs")
    observed = sg.placeholder("float64", (SEEN, 2), name="observed")
    _, path = integrated(sg.exp(logs), steps, "sqrt")
    seen = sg.stack(path, axis=1)[steps // SEEN - 1 :: steps // SEEN]
    misses = (sg.log(seen) - sg.log(observed)).reshape(-1) / NOISE
    loss = (misses**2).sum() / 2
    look = sg.function([logs], seen, name="look", options=options)
    linear = sg.function(
        [logs, observed], [misses, sg.jacobian(misses, logs)], name="linear", options=options
    )
    slope = sg.function([logs, observed], [loss, sg.grad(loss, logs)], name="slope", options=options)

    rng = np.random.default_rng(0)
    data = look(np.log(TRUE)) * np.exp(NOISE * rng.standard_normal((SEEN, 2)))
    found = np.log(TRUE * rng.uniform(0.8, 1.25, 6))
    for turn in range(12):
        loss_now, _ = slope(found, data)
        print(f"turn {turn:2}   loss {loss_now:10.3f}")
        far, towards = linear(found, data)
        move = -np.linalg.lstsq(towards, far)[0]
        while slope(found + move, data)[0] > loss_now and np.abs(move).max() > 1e-7:
            move /= 2
        found = found + move
        if np.abs(move).max() <= 1e-7:
            break
    errors = np.sqrt(np.diag(np.linalg.inv(towards.T @ towards)))
    print(f"\n{'':20}{'true':>8}{'found':>9}")
    for name, true, value, error in zip(NAMES, TRUE, np.exp(found), errors, strict=True):
        print(f"{name:20}{true:8.3f}{value:9.4f} ± {value * error:.4f}")

    print("\nkilobytes that a gradient takes, keeping every state, and one in the root of their number:")
    for count in (1000, 4000, 16000):
        print(f"{count:6} steps{memory(count, None) / 1e3:10.1f}{memory(count, 'sqrt') / 1e3:8.1f}")
    return {"found": np.exp(found), "errors": errors, "slope": slope(found, data)[1]}


if __name__ == "__main__":
    main()
