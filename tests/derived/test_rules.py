"""Every rule keeps what it claims to keep, and a false claim is found."""

import pytest

from symgraph.debug.claims import check_rule
from symgraph.errors import VerifyError
from symgraph.ops.arithmetic import abs
from symgraph.ops.transcendental import exp, log, sqrt
from symgraph.optimizations.algebra import FAST
from symgraph.optimizations.contractions import FAST_CONTRACTIONS
from symgraph.optimizations.inline import INLINE
from symgraph.optimizations.norms import NORMS
from symgraph.optimizations.passes import SIMPLIFY
from symgraph.optimizations.pattern import wild
from symgraph.optimizations.products import FAST_PRODUCTS
from symgraph.optimizations.rules import BITS, ROUNDING, SHARPER, rule, rules
from symgraph.optimizations.solvers import FAST_SOLVERS
from symgraph.optimizations.stabilize import STABILIZE

EVERY = rules(
    "EVERY", INLINE, SIMPLIFY, STABILIZE, NORMS, FAST, FAST_PRODUCTS, FAST_CONTRACTIONS, FAST_SOLVERS
)
x, y = wild("x y")


@pytest.mark.parametrize("each", list(EVERY), ids=lambda each: each.name.replace(" ", "-"))
def test_rule_keeps_what_it_claims(each):
    assert 0 < check_rule(each)


@pytest.mark.parametrize(
    "false",
    [
        rule("x + 0 is x, bit for bit", x + 0.0, x, keeps=BITS),  # -0.0 + 0.0 is 0.0
        rule("root of a square is x", sqrt(x * x), x, keeps=ROUNDING),  # not of -1
        rule(
            "log of a product", log(abs(x) * abs(y)), log(abs(x)) + log(abs(y)), keeps=SHARPER
        ),  # cancels near 1
    ],
    ids=lambda each: each.name.replace(" ", "-"),
)
def test_a_false_claim_is_found(false):
    with pytest.raises(VerifyError, match="does not keep"):
        check_rule(false)


def test_a_rule_that_never_holds_is_found():
    with pytest.raises(VerifyError, match="never holds"):
        check_rule(rule("never", exp(x), x, when=lambda found: False))


def test_names_tell_rules_apart():
    names = [each.name for each in EVERY]

    assert len(set(names)) == len(names)
    assert 150 <= len(names)
