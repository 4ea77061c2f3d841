"""The examples, and arguments of their ``main`` that make them short."""

from pathlib import Path

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("[a-z]*.py"))
SMALL = {
    "attention": {"steps": 2},
    "digits": {"epochs": 1},
    "gaussian_process": {"points": 20},
    "hamiltonian": {"draws": 10, "chains": 4},
    "hidden_markov": {"length": 60, "turns": 3},
    "mandelbrot": {"height": 20, "limit": 30},
    "ode": {"steps": 40},
    "theano_style": {"steps": 2},
}
