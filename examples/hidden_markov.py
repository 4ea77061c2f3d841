"""A hidden Markov model: which of three dice is thrown, seen only by what they show, and how often they are exchanged.

``python examples/hidden_markov.py`` throws dice in a loop, and finds the probabilities of going from one to another
again from what was thrown. The forward algorithm is a scan in logarithms; what else one writes by hand is its gradient:

- with respect to the log probabilities of what is seen: the probability of each state at each time, given all of it
- with respect to the log probabilities of going from state to state: how often each such step is taken, expected

so that a turn of Baum and Welch's algorithm is one gradient, and no backward algorithm is written down.

L. R. Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77 (1989), equations 18-27 and 37-40; J. Eisner,
"Inside-outside and forward-backward algorithms are just backprop", EMNLP 2016 workshop on structured prediction.
"""

import numpy as np

import symgraph as sg

STEPS = np.array([[0.94, 0.05, 0.01], [0.04, 0.90, 0.06], [0.10, 0.02, 0.88]])
"""From row to column."""
FACES = np.array([[1, 1, 1, 1, 1, 1], [0.3, 0.3, 0.3, 1.7, 1.7, 1.7], [2.6, 2.6, 0.2, 0.2, 0.2, 0.2]]) / 6
"""How often each die shows each face."""


def thrown(key: sg.Node, length: int) -> tuple[sg.Node, sg.Node]:
    """States and faces, int64[length], from a first state that is any with the same probability."""
    steps, faces = np.log(STEPS), np.log(FACES)

    def throw(state: sg.Node, key: sg.Node) -> tuple[sg.Node, tuple[sg.Node, sg.Node]]:
        to_face, to_step = sg.random.split(key)
        face = sg.random.categorical(to_face, sg.constant(faces)[state])
        return sg.random.categorical(to_step, sg.constant(steps)[state]), (state, face)

    first, rest = sg.random.split(key)
    _, (states, seen) = sg.scan(throw, sg.random.randint(first, (), 3), sg.random.split(rest, length))
    return states, seen


def log_likelihood(log_steps: sg.Node, log_seen: sg.Node) -> sg.Node:
    """Of what is seen, whose log probability in each state at each time is f64[times, states]."""

    def forward(alpha: sg.Node, log_now: sg.Node) -> tuple[sg.Node, None]:
        return sg.logsumexp(alpha[:, None] + log_steps, axis=0) + log_now, None

    alpha, _ = sg.scan(forward, log_seen[0] - np.log(len(STEPS)), log_seen[1:])
    return sg.logsumexp(alpha)


def main(length: int = 4000, turns: int = 100, options: sg.Options | None = None) -> dict[str, np.ndarray]:
    """Throw, fit, print both matrices, and return the fitted one, likelihoods, states and their probabilities."""
    throw = sg.function([], thrown(sg.random.key(1), length), name="throw", options=options)
    states, faces = throw()

    seen = sg.placeholder("int64", ("times",), name="seen")
    log_steps = sg.variable(np.log((np.ones((3, 3)) + 3 * np.eye(3)) / 6), name="log_steps")
    log_seen = sg.constant(np.log(FACES.T))[seen]
    likelihood = log_likelihood(log_steps, log_seen)
    taken, posterior = sg.grad(likelihood, [log_steps, log_seen])
    better = sg.log(taken / taken.sum(axis=1, keepdims=True))
    learn = sg.function([seen], likelihood, updates={log_steps: better}, name="learn", options=options)
    look = sg.function([seen], [likelihood, posterior], name="look", options=options)

    likelihoods = [float(learn(faces)) for _ in range(turns)]
    for turn in range(0, turns, max(1, turns // 5)):
        print(f"turn {turn:3}   log likelihood {likelihoods[turn]:.3f}")
    last, probabilities = look(faces)
    right = np.mean(probabilities.argmax(1) == states)
    print(f"turn {turns:3}   log likelihood {last:.3f}; {right:.0%} of the states are told right\n")
    found = np.exp(log_steps.value)
    print("true" + 22 * " " + "found")
    for true, row in zip(STEPS, found, strict=True):
        print("".join(f"{p:6.3f}" for p in true) + 8 * " " + "".join(f"{p:6.3f}" for p in row))
    return {
        "steps": found, "likelihoods": np.array([*likelihoods, last]), "states": states, "faces": faces,
        "probabilities": probabilities,
    }  # fmt: skip


if __name__ == "__main__":
    main()
