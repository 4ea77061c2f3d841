"""Draws have the bits that were published, the distributions of their names, and the same bits wherever they run."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

import symgraph as sg
from symgraph.ops.random_bits import threefry

random = sg.random
MANY = 20000
SEEDS = (1, 2)
LEAST = 1e-4
"""What the probability of a distance may be: with fixed seeds, tests pass always or never."""

BACKENDS = {
    "llvm": sg.Options(backend="llvm", threads=1),
    "threads": sg.Options(backend="llvm", threads=2),
    "numpy": sg.Options(backend="numpy"),
    "cuda-sim": sg.Options(device="cuda-sim"),
}


def run(node, options=None):
    return sg.function([], node, options=options)()


def of_a_key(draw):
    """A draw as a function of the two words of its key, so that many keys are one compilation."""
    key = sg.placeholder("uint32", (2,), name="key")
    return sg.function([key], draw(key))


def word(value):
    return sg.constant(value, "uint32")


# The generator


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_words(counter, key, expected):
    """``threefry2x32 20`` in the file kat_vectors of Random123."""
    words = threefry(*map(word, key), *map(word, counter))

    assert expected == tuple(int(sg.evaluate(x)) for x in words)
    assert expected == tuple(int(run(x)) for x in words)


def test_bits_are_those_of_jax():
    """``jax.random`` with ``jax_threefry_partitionable``, which is its default."""
    key = random.key(2**40 + 5)

    assert [256, 5] == run(key).tolist()
    assert [[841998169, 2557459351], [316930262, 1451589314], [2588430962, 3246284531]] == run(
        random.split(key, 3)
    ).tolist()
    assert [1351019653, 2616938832] == run(random.fold_in(key, 123456)).tolist()
    assert [206, 20, 129, 137, 204] == run(random.bits(key, 5, "uint8")).tolist()
    assert [25806, 34324, 3201, 36233, 17356] == run(random.bits(key, 5, "uint16")).tolist()
    assert [3616354601704340375, 1361205111854300866] == run(random.bits(key, 2, "uint64")).tolist()
    assert [4070199207, 4202968722, 1427181096] == run(random.bits(random.key(0), 3)).tolist()


def test_numbers_depend_on_key_and_place_alone():
    key = random.key(5)
    row = run(random.bits(key, 1200))

    assert np.array_equal(row[:6], run(random.bits(key, (2, 3))).ravel())
    assert np.array_equal(row, run(random.bits(key, (2, 2, 300))).ravel())
    x = sg.placeholder("float32", ("m", "n"), name="x")
    f = sg.function([x], random.bits(key, x.shape))
    assert np.array_equal(row, f(np.zeros((30, 40), "float32")).ravel())
    assert (3, 0) == f(np.zeros((3, 0), "float32")).shape


@pytest.mark.parametrize("seed", [0, 7, -1, -(2**63), 2**64 - 1])
def test_a_key_is_the_seed_in_two_words(seed):
    given = sg.placeholder("int64" if seed < 2**63 else "uint64", (), name="seed")
    expected = [seed % 2**64 >> 32, seed % 2**32]

    assert expected == run(random.key(seed)).tolist()
    assert expected == sg.function([given], random.key(given))(np.array(seed, given.dtype)).tolist()


def test_split_and_fold_in_agree():
    key = random.key(3)
    n = sg.placeholder("int32", ("n",), name="n")
    keys = sg.function([n], [random.split(key, n.shape[0]), random.fold_in(key, n)])

    split, folded = keys(np.arange(4, dtype="int32"))

    assert np.array_equal(split, folded)
    assert 4 == len({tuple(x) for x in split.tolist()})


# What runs them


DRAWN = {
    "bits": lambda key: random.bits(key, (3, 700)),
    "bits of 64": lambda key: random.bits(key, 100, "uint64"),
    "uniform": lambda key: random.uniform(key, (50, 41)),
    "uniform in float64": lambda key: random.uniform(key, 333, -2.0, 3.0, "float64"),
    "uniform in float16": lambda key: random.uniform(key, 333, dtype="float16"),
    "randint": lambda key: random.randint(key, (7, 9), -5, 1000),
    "wide randint": lambda key: random.randint(key, 50, -(2**62), 2**63),
    "bernoulli": lambda key: random.bernoulli(key, 0.3, 1000),
    "permutation": lambda key: random.permutation(key, 100),
    "keys": lambda key: random.split(key, 7),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_bits_are_the_same_wherever_they_are_made(draw):
    node = draw(random.key(11))
    expected = sg.evaluate(node)

    for name, options in BACKENDS.items():
        assert expected.tobytes() == run(node, options).tobytes(), name


def test_threads_change_no_bit():
    x = sg.placeholder("float32", ("n",), name="x")
    node = random.normal(random.key(2), x.shape)
    one, two = (sg.function([x], node, options=BACKENDS[name]) for name in ("llvm", "threads"))
    zeros = np.zeros(300_000, "float32")

    assert np.array_equal(one(zeros), two(zeros))


@pytest.mark.parametrize("name", ["normal", "gumbel", "cauchy", "logistic", "laplace", "exponential"])
def test_floats_are_the_same_to_a_few_ulp(name):
    node = getattr(random, name)(random.key(4), 500)
    expected = sg.evaluate(node)

    for options in BACKENDS.values():
        np.testing.assert_allclose(run(node, options), expected, rtol=3e-6, atol=1e-7)


# Distributions of floats


CONTINUOUS = {
    "uniform": (lambda k: random.uniform(k, MANY), stats.uniform()),
    "uniform64": (lambda k: random.uniform(k, MANY, -3.0, 5.0, "float64"), stats.uniform(-3, 8)),
    "normal": (lambda k: random.normal(k, MANY), stats.norm()),
    "normal64": (lambda k: random.normal(k, MANY, 5.0, 2.0, "float64"), stats.norm(5, 2)),
    "truncated": (lambda k: random.truncated_normal(k, -1.0, 2.0, MANY), stats.truncnorm(-1, 2)),
    "truncated above": (lambda k: random.truncated_normal(k, 8.0, np.inf, MANY), stats.truncnorm(8, np.inf)),
    "truncated below": (lambda k: random.truncated_normal(k, -5.0, -4.0, MANY), stats.truncnorm(-5, -4)),
    "exponential": (lambda k: random.exponential(k, MANY), stats.expon()),
    "exponential64": (lambda k: random.exponential(k, MANY, 3.0, "float64"), stats.expon(0, 3)),
    "laplace": (lambda k: random.laplace(k, MANY, 1.0, 2.0), stats.laplace(1, 2)),
    "logistic": (lambda k: random.logistic(k, MANY, -1.0, 0.5), stats.logistic(-1, 0.5)),
    "gumbel": (lambda k: random.gumbel(k, MANY), stats.gumbel_r()),
    "gumbel64": (lambda k: random.gumbel(k, MANY, 1.0, 2.0, "float64"), stats.gumbel_r(1, 2)),
    "cauchy": (lambda k: random.cauchy(k, MANY), stats.cauchy()),
    "gamma 0.3": (lambda k: random.gamma(k, 0.3, MANY), stats.gamma(0.3)),
    "gamma 1": (lambda k: random.gamma(k, 1.0, MANY, 2.0), stats.gamma(1, scale=2)),
    "gamma 50": (lambda k: random.gamma(k, 50.0, MANY, dtype="float64"), stats.gamma(50)),
    "log_gamma": (lambda k: sg.exp(random.log_gamma(k, 0.1, MANY, "float64")), stats.gamma(0.1)),
    "beta": (lambda k: random.beta(k, 2.0, 0.5, MANY, "float64"), stats.beta(2, 0.5)),
    "dirichlet": (lambda k: random.dirichlet(k, [1.0, 2.0, 3.0], MANY)[:, 1], stats.beta(2, 4)),
    "chisquare": (lambda k: random.chisquare(k, 3.0, MANY), stats.chi2(3)),
    "student_t": (lambda k: random.student_t(k, 2.5, MANY), stats.t(2.5)),
    "multivariate": (
        lambda k: random.multivariate_normal(k, [1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]], MANY)[:, 1],
        stats.norm(2, 1),
    ),
}


@pytest.mark.parametrize("draw, law", CONTINUOUS.values(), ids=CONTINUOUS)
def test_distribution(draw, law):
    f = of_a_key(draw)
    for seed in SEEDS:
        values = np.asarray(f(run(random.key(seed))), np.float64)

        assert LEAST < stats.kstest(values, law.cdf).pvalue
        low, high = law.ppf(0.001), law.ppf(0.999)
        inside = np.clip(values, low, high)
        for power in (1, 2):
            expected = law.expect(lambda x, p=power: x**p, lb=low, ub=high) + 0.001 * (
                low**power + high**power
            )
            error = np.std(inside**power) / np.sqrt(MANY)
            assert abs(np.mean(inside**power) - expected) < 4.5 * error


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_are_those_of_float32_rounded(dtype):
    values = run(random.normal(random.key(1), 100, dtype=dtype))

    assert np.array_equal(values, run(random.normal(random.key(1), 100)).astype(values.dtype))


@pytest.mark.parametrize(
    "dtype, places", [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)]
)
def test_uniform_floats_are_multiples_and_below_one(dtype, places):
    values = run(random.uniform(random.key(1), MANY, dtype=dtype)).astype("float64")

    assert np.array_equal(values * 2.0**places, np.floor(values * 2.0**places))
    assert 0 <= values.min() and values.max() < 1
    assert LEAST < stats.kstest(values + 2.0 ** -(places + 1), stats.uniform.cdf).pvalue or places < 12


@pytest.mark.parametrize(
    "low, high", [(1.0, 2.0), (-1.0, 1e-20), (1.0, np.nextafter(np.float32(1), 2)), (3.0, 3.5)]
)
def test_uniform_never_gives_its_upper_bound(low, high):
    values = run(random.uniform(random.key(1), 200_000, np.float32(low), np.float32(high)))

    assert "float32" == values.dtype
    assert values.min() >= np.float32(low) and values.max() < np.float32(high)


def test_tails_of_the_normal_distribution():
    """Of 2²² numbers so many lie beyond 4.5 standard deviations as should."""
    x = sg.placeholder("float32", ("n",), name="x")
    beyond = sg.function([x], sg.sum(sg.abs(random.normal(random.key(1), x.shape)) > 4.5))(
        np.zeros(2**22, "float32")
    )

    assert LEAST < stats.binomtest(int(beyond), 2**22, 2 * stats.norm.sf(4.5)).pvalue


# Distributions of integers


COUNTS = {
    "poisson 0.3": (lambda k: random.poisson(k, 0.3, MANY), stats.poisson(0.3)),
    "poisson 9.9": (lambda k: random.poisson(k, 9.9, MANY), stats.poisson(9.9)),
    "poisson 10": (lambda k: random.poisson(k, 10, MANY), stats.poisson(10)),
    "poisson 1000": (lambda k: random.poisson(k, 1000.0, MANY, "int32"), stats.poisson(1000)),
    "binomial 10": (lambda k: random.binomial(k, 10, 0.7, MANY), stats.binom(10, 0.7)),
    "binomial 40": (lambda k: random.binomial(k, 40, 0.25, MANY), stats.binom(40, 0.25)),
    "binomial 5000": (lambda k: random.binomial(k, 5000, 0.9, MANY), stats.binom(5000, 0.9)),
    "randint": (lambda k: random.randint(k, MANY, -3, 4), stats.randint(-3, 4)),
    "randint in uint8": (lambda k: random.randint(k, MANY, 0, 256, "uint8"), stats.randint(0, 256)),
    "randint of nodes": (
        lambda k: random.randint(k, MANY, sg.constant(-3), sg.constant(4)),
        stats.randint(-3, 4),
    ),
    "bernoulli": (lambda k: random.bernoulli(k, 0.3, MANY).astype("int64"), stats.bernoulli(0.3)),
    "rademacher": (lambda k: (random.rademacher(k, MANY) + 1) // 2, stats.bernoulli(0.5)),
    "categorical": (
        lambda k: random.categorical(k, np.log([0.1, 0.2, 0.3, 0.4]), shape=MANY),
        stats.rv_discrete(values=(range(4), (0.1, 0.2, 0.3, 0.4))),
    ),
    "choice": (
        lambda k: random.choice(k, 4, MANY, p=[0.1, 0.2, 0.3, 0.4]),
        stats.rv_discrete(values=(range(4), (0.1, 0.2, 0.3, 0.4))),
    ),
    "choice of a few": (lambda k: random.choice(k, 7, MANY), stats.randint(0, 7)),
    "bits": (lambda k: random.bits(k, MANY, "uint8"), stats.randint(0, 256)),
}


@pytest.mark.parametrize("draw, law", COUNTS.values(), ids=COUNTS)
def test_counts(draw, law):
    f = of_a_key(draw)
    for seed in SEEDS:
        assert LEAST < chi_square(f(run(random.key(seed))), law)


def chi_square(values, law):
    """The probability of such a distance, the ends counted together where few are expected."""
    values = np.asarray(values, np.int64)
    low, high = int(law.ppf(0.002)), int(law.ppf(0.998))
    inner = np.arange(low + 1, high)
    seen = [np.sum(values <= low), *(np.sum(values == k) for k in inner), np.sum(values >= high)]
    expected = np.array([law.cdf(low), *law.pmf(inner), 1 - law.cdf(high - 1)]) * len(values)
    return stats.chisquare(seen, expected * len(values) / expected.sum()).pvalue


def test_wide_integers_fill_their_range():
    values = run(random.randint(random.key(1), MANY, -(2**63), 2**63)).astype("float64")
    three = run(random.randint(random.key(1), MANY, 0, 3 * 2**62, "uint64")).astype("float64")

    assert LEAST < stats.kstest(values, stats.uniform(-(2.0**63), 2.0**64).cdf).pvalue
    assert LEAST < stats.kstest(three, stats.uniform(0, 3 * 2.0**62).cdf).pvalue


def test_impossible_parameters():
    key = random.key(0)

    assert [-1, -1, 0] == run(random.poisson(key, np.array([-1.0, np.nan, 0.0]))).tolist()
    assert [-1, -1, 3, 0] == run(random.binomial(key, [-1, 3, 3, 3], [0.5, np.nan, 1.0, 0.0])).tolist()
    assert np.isnan(run(random.gamma(key, np.array([-1.0, 0.0, np.nan])))).all()
    assert np.isnan(run(random.truncated_normal(key, 50.0, 60.0, 3))).all()


# Orders


def test_every_order_has_the_same_probability():
    orders = list(itertools.permutations(range(4)))
    keys = random.split(random.key(1), 1200)
    one = sg.placeholder("uint32", (2,), name="one")
    f = sg.function([one], random.permutation(one, 4))
    found = [orders.index(tuple(f(key).tolist())) for key in run(keys)]

    assert LEAST < stats.chisquare(np.bincount(found, minlength=24)).pvalue


def test_permutation_keeps_elements():
    x = np.arange(12.0).reshape(4, 3)
    rows = run(random.permutation(random.key(2), x))
    each = run(random.permutation(random.key(2), x, axis=1, independent=True))

    assert sorted(map(tuple, x)) == sorted(map(tuple, rows))
    assert not np.array_equal(x, rows)
    assert np.array_equal(x, np.sort(each, axis=1))


def test_choice_without_replacing_takes_none_twice():
    some = run(random.choice(random.key(1), 50, (5, 9), replace=False))
    weighted = run(random.choice(random.key(1), 5, 4, replace=False, p=[0.4, 0.3, 0.2, 0.1, 0.0]))

    assert 45 == len(set(some.ravel().tolist()))
    assert {0, 1, 2, 3} == set(weighted.tolist())


def test_choice_takes_along_an_axis():
    x = np.arange(12).reshape(3, 4)

    taken = run(random.choice(random.key(1), x, (2, 5), axis=1))

    assert (3, 2, 5) == taken.shape
    assert np.array_equal(taken[0] + 4, taken[1])


# Keys


def test_keys_of_one_key_have_nothing_to_do_with_one_another():
    keys, other = run([random.split(random.key(1), 8), random.fold_in(random.key(1), 100)])
    f = of_a_key(lambda key: random.normal(key, MANY))
    rows = np.stack([f(key) for key in keys])
    found = np.corrcoef(np.vstack([rows, f(other), rows[0][::-1]]))

    assert np.abs(found[np.triu_indices(10, 1)]).max() < 4.5 / np.sqrt(MANY)
    shifted = np.corrcoef(rows[0][1:], rows[0][:-1])[0, 1]
    assert abs(shifted) < 4.5 / np.sqrt(MANY)


@pytest.mark.parametrize("draw", [lambda k: random.normal(k, 4), lambda k: random.gamma(k, 2.0, 3)])
def test_rows_drawn_with_keys_of_their_own(draw):
    keys = random.split(random.key(0), 3)

    rows, f = run(keys), of_a_key(draw)
    assert np.array_equal(run(sg.vmap(draw)(keys)), np.stack([f(key) for key in rows]))


# Shapes, dtypes, errors


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3)])
def test_shapes(shape):
    key = random.key(0)
    draws = [
        random.bits(key, shape),
        random.normal(key, shape),
        random.randint(key, shape, 5),
        random.gamma(key, 2.0, shape),
        random.poisson(key, 2.0, shape),
        random.categorical(key, [0.0, 1.0], shape=shape),
    ]

    assert {shape} == {x.shape for x in draws} == {x.shape for x in run(draws)}


def test_parameters_broadcast_and_give_their_dtype():
    loc = sg.placeholder("float64", ("n",), name="loc")
    node = random.normal(random.key(0), None, loc, np.ones((3, 1), "float32"))

    assert "f64[3, n]" == str(node.type)
    assert (3, 4) == sg.function([loc], node)(np.zeros(4)).shape
    assert "float32" == random.normal(random.key(0), 3, 1, 2).dtype
    assert "int8" == random.randint(random.key(0), 3, 5, dtype="int8").dtype


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: random.normal(np.zeros(2), 3), sg.DTypeError),
        (lambda: random.normal(random.split(random.key(0)), 3), sg.ShapeError),
        (lambda: random.normal(random.key(0), 3, dtype="int32"), sg.DTypeError),
        (lambda: random.bits(random.key(0), 3, "int32"), sg.DTypeError),
        (lambda: random.bits(random.key(0), (2**20, 2**20)), sg.ArgumentError),
        (lambda: random.normal(random.key(0), (2, 3), np.zeros(4)), sg.ShapeError),
        (lambda: random.randint(random.key(0), 3, 5, 5), sg.ArgumentError),
        (lambda: random.randint(random.key(0), 3, 0, 257, "uint8"), sg.ArgumentError),
        (lambda: random.randint(random.key(0), 3, 0.5, 3), sg.DTypeError),
        (lambda: random.randint(random.key(0), 3, 5, dtype="float32"), sg.DTypeError),
        (lambda: random.rademacher(random.key(0), 3, "uint8"), sg.DTypeError),
        (lambda: random.key(2**64), sg.ArgumentError),
        (lambda: random.key(0.5), sg.DTypeError),
        (lambda: random.choice(random.key(0), 3, 4, replace=False), sg.ArgumentError),
        (lambda: random.choice(random.key(0), 3, 4, p=[0.5, 0.5]), sg.ShapeError),
        (lambda: random.permutation(random.key(0), np.float32(1)), sg.ShapeError),
        (lambda: random.poisson(random.key(0), 1j), sg.DTypeError),
        (lambda: random.dirichlet(random.key(0), 1.0), sg.ShapeError),
        (lambda: random.multivariate_normal(random.key(0), [0.0], np.eye(2)), sg.ShapeError),
    ],
)
def test_what_is_refused(make, error):
    with pytest.raises(error):
        make()


# Gradients


def test_gradients_reach_parameters():
    key = random.key(0)
    a = sg.placeholder("float64", (3,), name="a")
    b = sg.placeholder("float64", (2, 1), name="b")
    values = {a: np.array([0.3, -0.4, 0.7]), b: np.array([[1.5], [2.5]])}
    draws = [
        random.uniform(key, None, a, b),
        *(f(key, (2, 3), a, b) for f in (random.normal, random.laplace, random.gumbel)),
        random.exponential(key, (2, 3), b),
        random.truncated_normal(key, a, b),
        random.multivariate_normal(key, a, np.eye(3) + 0.5),
    ]
    for node in draws:
        wrt = [x for x in (a, b) if x in set(sg.toposort([node]))]
        assert sg.check_gradient(node, wrt, {x: values[x] for x in wrt})


def test_a_gamma_number_moves_as_its_probability_says():
    a = sg.placeholder("float64", ("n",), name="a")
    at = np.array([0.05, 0.1, 0.7, 1.0, 2.5, 9.0, 40.0, 1000.0])
    z = random.gamma(random.key(3), a)
    first = sg.grad(z.sum(), a)
    values, slopes, curves = sg.function([a], [z, first, sg.grad(first.sum(), a)])(at)
    below, above = special.gammainc(at, values), special.gammaincc(at, values)

    def moved(to):
        return np.where(below < 0.5, special.gammaincinv(to, below), special.gammainccinv(to, above))

    h = 1e-4 * at
    np.testing.assert_allclose(slopes, (moved(at + h) - moved(at - h)) / (2 * h), rtol=1e-6)
    h *= 10
    np.testing.assert_allclose(
        curves, (moved(at + h) - 2 * values + moved(at - h)) / h**2, rtol=1e-4, atol=1e-9
    )


def test_mean_slopes_are_the_slopes_of_means():
    p = sg.placeholder("float64", (), name="p")
    key = random.key(3)
    means = {
        "gamma": (random.gamma(key, p, 4000), 1.0),
        "chisquare": (random.chisquare(key, p, 4000), 1.0),
        "beta": (random.beta(key, p, 2.0, 4000), 2 / 9),
        "dirichlet": (random.dirichlet(key, sg.stack([p, sg.constant(2.0)]), 4000)[:, 0], 2 / 9),
    }
    for node, expected in means.values():
        slope = sg.function([p], sg.grad(node.mean(), p))(1.0)
        assert abs(slope - expected) < 0.05


def test_what_has_no_slope():
    p = sg.placeholder("float64", (), name="p")

    flips = random.bernoulli(random.key(0), p, 5)
    assert 1 == sg.evaluate(sg.grad(sg.where(flips, 2.0, 1.0).sum() + p, p), {p: 0.5})
    assert not random.randint(random.key(0), 3, 5).row.is_inexact


# Streams


def test_a_stream_draws_anew_in_each_call():
    stream = sg.RandomStream(4)
    a, b = stream.normal(3), stream.normal(3)
    f = sg.function([], [a, a * 1, b])

    first, second = f(), f()

    assert np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first[0], second[0])
    stream.seed(4)
    assert np.array_equal(first, f())
    assert np.array_equal(second, f())


def test_streams_of_one_seed_draw_the_same():
    calls = []
    for _ in range(2):
        stream = sg.RandomStream(9)
        f = sg.function([], [stream.uniform(3), stream.randint(4, 10), stream.gamma(2.0)])
        calls.append([x.tolist() for _ in range(3) for x in f()])

    assert calls[0] == calls[1]


def test_a_call_that_fails_draws_nothing():
    stream = sg.RandomStream(1)
    x = sg.placeholder("int64", (), name="x")
    f = sg.function([x], sg.asarray([1.0, 2.0])[x] + stream.normal())
    before = stream.variable.value

    with pytest.raises(sg.OutOfBoundsError):
        f(5)
    assert np.array_equal(before, stream.variable.value)
    f(1)
    assert not np.array_equal(before, stream.variable.value)


def test_a_session_has_its_own_key():
    stream = sg.RandomStream(1)
    node = stream.normal(3)
    with sg.Session() as session:
        first, second = session.run(node), session.run(node)
    outside = sg.function([], node)()

    assert not np.array_equal(first, second)
    assert np.array_equal(first, outside)


def test_a_gradient_sees_the_numbers_of_its_call():
    stream = sg.RandomStream(1)
    w = sg.placeholder("float64", (3,), name="w")
    loss = (stream.normal(3, dtype="float64") * w).sum()
    f = sg.function([w], [loss, sg.grad(loss, w)])

    for _ in range(2):
        value, slope = f(np.ones(3))
        assert abs(value - slope.sum()) < 1e-12


# Updates that variables have of themselves


def test_a_default_update_happens_where_the_variable_is_read():
    n = sg.variable(0, name="n")
    n.default_update = n + 1
    m = sg.variable(10, name="m")
    m.default_update = m + n

    assert [0, 1] == [int(sg.function([], n * 1)()) for _ in range(2)]
    sg.function([], sg.constant(1.0))()
    assert 2 == n.value
    assert 10 == sg.function([], m * 1)()
    assert (3, 12) == (n.value, m.value)


def test_an_update_that_is_given_takes_the_place_of_the_default():
    n = sg.variable(0, name="n")
    n.default_update = n + 1

    sg.function([], n, updates={n: n + 5})()
    assert 5 == n.value
    sg.function([n], n * 2)(7)
    assert 5 == n.value
    n.default_update = None
    sg.function([], n * 2)()
    assert 5 == n.value
