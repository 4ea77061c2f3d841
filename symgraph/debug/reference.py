"""The list of ops, for the command line and for docs/ops.md: made from the declarations."""

from __future__ import annotations

import textwrap
from typing import Any

from symgraph.graph.operators import FUNCTIONS
from symgraph.ops.declare import Function

TITLES = {
    "arithmetic": "Arithmetic, rounding, choice, conversion",
    "comparison": "Comparisons, logic, bits",
    "transcendental": "Powers, logarithms, trigonometry",
    "math": "More elementwise functions",
    "activations": "Activations",
    "special": "Special functions",
    "reduce": "Reductions",
    "statistics": "Statistics",
    "scan": "Running sums and products",
    "quantile": "Quantiles",
    "histogram": "Histograms and differences",
    "sort": "Sorting, searching, sets",
    "nonzero": "Where values are not zero",
    "broadcast": "Broadcasting",
    "shape": "Manipulation",
    "join": "Joining and taking apart",
    "create": "Creation",
    "index": "Indexing",
    "update": "Replacing and scattering",
    "diagonals": "Diagonals",
    "linalg": "Products of vectors and matrices",
    "norm": "Norms",
    "solvers": "Linear systems",
    "inverses": "Inverses and determinants",
    "factorizations": "Factorisations",
    "spectra": "Eigenvalues and singular values",
    "least_squares": "Pseudo-inverses, least squares, rank",
    "matrix_functions": "Functions of matrices",
    "fourier": "Fourier transforms",
    "transforms": "Fourier transforms along one axis or two",
    "einsum": "Einstein summation",
    "losses": "Losses",
    "random_keys": "Random numbers: keys",
    "random_bits": "Random numbers: bits",
    "random_uniform": "Random numbers: uniform floats",
    "random_continuous": "Random numbers: floats",
    "random_gamma": "Random numbers: the gamma distribution and its kin",
    "random_vectors": "Random numbers: vectors",
    "random_discrete": "Random numbers: integers, booleans, places",
    "random_counts": "Random numbers: counts",
    "random_shuffles": "Random numbers: orders and choices",
    "custom": "Gradients of one's own",
}


def operations() -> dict[str, Function[..., Any]]:
    """Every public op by its name, aliases included."""
    return {name: f for name, f in FUNCTIONS.items() if isinstance(f, Function) and name[0] != "_"}


def ops_table() -> str:
    """A line for each op: signature and summary, under the title of its group."""
    lines = []
    for title, group in _groups():
        lines += ["", title]
        lines += [
            f"  {name + str(f.signature):<42} {f.summary}" for name, f in group.items() if name == f.name
        ]
        lines += [f"  {name:<42} the same as {f.name}" for name, f in group.items() if name != f.name]
    count = sum(name == f.name for name, f in operations().items())
    return "\n".join([f"{count} ops, each sg.NAME", *lines]) + "\n"


def ops_page() -> str:
    """docs/ops.md: signature, documentation and dtypes of every op."""
    parts = [
        "# The ops\n",
        "Made by `symgraph ops --markdown` from the declarations in `symgraph/ops/`; a test fails when it is stale.\n",
    ]
    for title, group in _groups():
        parts.append(f"## {title}\n")
        parts += [_entry(f, _aliases(f, group)) for name, f in group.items() if name == f.name]
    return "\n".join(parts)


def _entry(f: Function[..., Any], aliases: list[str]) -> str:
    doc = textwrap.dedent("    " + (f.__doc__ or "").strip()).strip()
    prose, _, example = doc.partition(">>>")
    blocks = [f"### `{f.name}{f.signature}`\n", prose.strip() + "\n"]
    if example:
        code, _, rest = f">>>{example}".partition("\n\n")
        blocks.append(f"```python\n{code.rstrip()}\n```\n")
        blocks += [rest.strip() + "\n"] if rest.strip() else []
    if aliases:
        blocks.append(f"Also called {', '.join(f'`{name}`' for name in aliases)}.\n")
    return "\n".join(blocks)


def _aliases(f: Function[..., Any], group: dict[str, Function[..., Any]]) -> list[str]:
    return [name for name, other in group.items() if other is f and name != f.name]


def _groups() -> list[tuple[str, dict[str, Function[..., Any]]]]:
    table = operations()
    known = {f.group for f in table.values()}
    order = [group for group in TITLES if group in known] + sorted(known - set(TITLES))
    return [
        (TITLES.get(group, group), {name: f for name, f in table.items() if f.group == group})
        for group in order
    ]
