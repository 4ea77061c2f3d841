"""What rewriting remembers of nodes: rules that leave one as it is in every program are not tried again."""

from symgraph import placeholder, sin, tanh
from symgraph.optimizations.rewrite import rewrite
from symgraph.optimizations.rules import rule, rules

x = placeholder("float64", ("n",), name="x")


def noting(tried, op=sin.op, looks=lambda found: None):
    """A rule that changes nothing and notes for which nodes it was asked; ``looks`` may look at the program."""

    def asked(found):
        tried.append(found.root)
        looks(found)

    return rule("noted", op, asked, example=lambda: sin(x))


def test_a_rule_is_asked_once_for_a_node_that_it_leaves_as_it_is():
    tried = []
    table, y = rules("noting", noting(tried)), sin(x)

    assert rewrite([y], table)[0] is y
    assert rewrite([tanh(y)], table)[0] is tanh(y)
    assert len(tried) == 1


def test_a_rule_that_asks_who_reads_a_node_is_asked_in_every_program():
    tried, alone = [], []
    y = tanh(sin(x))
    table = rules("asking", noting(tried, tanh.op, lambda found: alone.append(found.once(y.inputs[0]))))
    rewrite([y], table)
    rewrite([y, y.inputs[0]], table)

    assert alone[0] and not alone[-1]


def test_of_more_rules_the_new_ones_are_asked():
    tried, more = [], []
    first, y = rules("first", noting(tried)), sin(x)
    rewrite([y], first)
    rewrite([y], rules("both", first, noting(more)))

    assert (len(tried), len(more)) == (1, 1)


def test_of_fewer_rules_none_is_asked_and_more_stay_known():
    tried, others = [], []
    fewer, y = rules("fewer", noting(tried)), sin(x)
    more = rules("more", fewer, noting(others))
    rewrite([y], more)
    rewrite([y], fewer)
    rewrite([y], more)

    assert (len(tried), len(others)) == (1, 1)
