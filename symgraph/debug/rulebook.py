"""The page of rules: every rule, what it keeps, and what it makes of an example."""

from __future__ import annotations

from symgraph.debug.claims import instances
from symgraph.graph.attributes import inner_graphs, spell_all
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, PLACEHOLDER
from symgraph.graph.walk import toposort
from symgraph.ops.declare import FLOATS, INTEGERS
from symgraph.optimizations.algebra import ALGEBRA, FAST
from symgraph.optimizations.contractions import CONTRACTIONS, FAST_CONTRACTIONS
from symgraph.optimizations.fold import FOLD
from symgraph.optimizations.inline import INLINE
from symgraph.optimizations.moves import MOVING
from symgraph.optimizations.norms import NORMS
from symgraph.optimizations.products import FAST_PRODUCTS, PRODUCTS
from symgraph.optimizations.reductions import REDUCTIONS
from symgraph.optimizations.rules import Rule, Rules, rules
from symgraph.optimizations.selections import SELECTIONS
from symgraph.optimizations.sinking import SINKING
from symgraph.optimizations.sizes import SIZES
from symgraph.optimizations.slices import SLICES
from symgraph.optimizations.solvers import FAST_SOLVERS
from symgraph.optimizations.stabilize import STABILIZE

_SETS: tuple[tuple[str, Rules], ...] = (
    ("Inner graphs", INLINE),
    ("Folding", FOLD),
    ("Arithmetic", ALGEBRA),
    ("Selections, comparisons, logic, casts", SELECTIONS),
    ("Reductions", REDUCTIONS),
    ("Moves", MOVING),
    ("Slices", SLICES),
    ("Choosing before computing", SINKING),
    ("Products", PRODUCTS),
    ("Contractions", CONTRACTIONS),
    ("Sizes", SIZES),
    ("Stability", rules("STABLE", STABILIZE, NORMS)),
    ("Under fast_math alone", rules("FAST", FAST, FAST_PRODUCTS, FAST_CONTRACTIONS, FAST_SOLVERS)),
)
_INFIX = {
    "add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2), "matmul": ("@", 2),
    "less": ("<", 0), "less_equal": ("<=", 0), "greater": (">", 0), "greater_equal": (">=", 0),
    "equal": ("==", 0), "not_equal": ("!=", 0),
}  # fmt: skip


BAR = "\\|"


def rules_page() -> str:
    """docs/rules.md: a table for each set of rules."""
    parts = [
        "# The rules\n",
        "What the passes may write otherwise, in the order in which it is tried. Each rule claims what it keeps:\n",
        "- **bits**: every bit of every result (all NaNs are one)",
        "- **rounding**: all but a few units in the last place (in a sum, of its largest term); NaN and infinity stay",
        "- **sharper**: never further from the truth, which is computed in high precision to test the claim",
        "- **algebraic**: what is true of real numbers; only under `Options(fast_math=True)`\n",
        "The claims are tested on zeros of both signs, infinities, NaN, tiny, huge and drawn values, in every dtype",
        "that a rule admits. `symgraph rules --markdown` makes this page.\n",
    ]
    for title, table in _SETS:
        parts += [f"## {title}\n", "| rule | from | to | keeps | dtypes |", "|---|---|---|---|---|"]
        parts += [_row(each) for each in table]
        parts.append("")
    return "\n".join(parts)


def rules_table() -> str:
    """A line for each rule."""
    lines = []
    for title, table in _SETS:
        lines.append(title)
        for each in table:
            lines.append(f"  {each.keeps.name.lower():<9}  {each.name:<44} {spelt(example(each)[0])}")
        lines.append("")
    return "\n".join(lines)


def spelt(node: Node) -> str:
    """A node as an expression: ``log(1 + exp(x))``."""
    texts: dict[Node, tuple[str, int]] = {}
    for part in toposort([node]):
        texts[part] = _spelt(part, texts)
    return texts[node][0]


def _row(each: Rule) -> str:
    before, after = example(each)
    cells = [each.name, f"`{spelt(before)}`", f"`{spelt(after)}`", each.keeps.name.lower(), _dtypes(each)]
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def example(each: Rule) -> tuple[Node, Node]:
    """The two sides, or what the rule makes of its example where a side is computed."""
    if isinstance(each.left, Node) and isinstance(each.right, Node):
        return each.left, each.right
    names = ("float64", *each.dtypes)
    before = next(made for name in names if name in each.dtypes for made in instances(each, name))
    after = each.apply(before)
    assert after is not None, f"rule {each.name!r} never holds for its example"
    return before, after


def _dtypes(each: Rule) -> str:
    names = set(each.dtypes)
    groups = (("floats", FLOATS), ("integers", INTEGERS), ("complex", ("complex64", "complex128")))
    said = []
    for title, members in groups:
        if names >= set(members):
            said.append(title)
            names -= set(members)
    return ", ".join([*said, *(name for name in each.dtypes if name in names)])


def _spelt(part: Node, texts: dict[Node, tuple[str, int]]) -> tuple[str, int]:
    """The text of a node, and how tightly it binds."""
    name = part.op.name
    if part.op is PLACEHOLDER:
        return part.name or "", 9
    if part.op is CONSTANT:
        value = part.attrs.value  # type: ignore[union-attr]
        text = f"{value.item():g}" if value.ndim == 0 and value.dtype.kind in "iuf" else str(value.tolist())
        return text, 9 if not text.startswith("-") else 3
    inputs = [texts[x] for x in part.inputs]
    if name == "negative":
        return f"-{_bound(inputs[0], 3)}", 3
    if name in _INFIX:
        sign, strength = _INFIX[name]
        return f"{_bound(inputs[0], strength)} {sign} {_bound(inputs[1], strength + 1)}", strength
    graphs = {each: each.name for each in inner_graphs(part.attrs)} if part.attrs is not None else {}
    attributes = spell_all(part.attrs, graphs) if part.attrs is not None else []
    return f"{name}({', '.join([*(text for text, _ in inputs), *attributes])})", 9


def _bound(text: tuple[str, int], strength: int) -> str:
    return text[0] if text[1] >= strength else f"({text[0]})"
