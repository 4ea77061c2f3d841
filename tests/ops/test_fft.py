"""Fourier transforms: what the derived tests cannot draw."""

import numpy as np
import pytest

import symgraph as sg

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    "options", [sg.Options(), sg.Options(backend="numpy"), sg.Options(device="cuda-sim")]
)
def test_one_function_for_all_sizes(options):
    x, w = sg.placeholder("float32", ("b", "n"), name="x"), sg.placeholder("float32", ("n",), name="w")
    y = sg.fft.irfft(sg.fft.rfft(x) * sg.fft.rfft(w), x.shape[-1])
    loss = (y * y).sum()
    f = sg.function([x, w], [y, *sg.grad(loss, [x, w])], options=options)
    for b, n in [(2, 5), (3, 4), (1, 1), (0, 6)]:
        a, c = RNG.normal(size=(b, n)).astype("float32"), RNG.normal(size=n).astype("float32")
        circulant = np.stack([np.roll(c, i) for i in range(n)])
        found, of_x, of_w = f(a, c)

        assert "float32" == found.dtype == of_x.dtype == of_w.dtype
        np.testing.assert_allclose(found, a @ circulant, atol=1e-5)
        np.testing.assert_allclose(of_x, 2 * (a @ circulant) @ circulant.T, atol=1e-4)


@pytest.mark.parametrize("n", [4, 5, "m", "m + n"])
def test_size_may_be_cut_or_filled_up_at_the_call(n):
    x = sg.placeholder("complex128", ("n",), name="x")
    carrier = sg.placeholder("bool", ("m",), name="carrier")
    sizes = {"m": carrier.shape[0], "m + n": carrier.shape[0] + x.shape[0]}
    value = RNG.normal(size=6) + 1j * RNG.normal(size=6)
    for m in (3, 8):
        known = {"m": m, "m + n": m + 6}.get(n, n)
        found = sg.evaluate(sg.fft.fft(x, sizes.get(n, n)), {x: value, carrier: np.zeros(m, bool)})

        np.testing.assert_allclose(found, np.fft.fft(value, known), rtol=1e-12, atol=1e-12)


def test_frequencies_of_a_symbolic_size():
    x = sg.placeholder("float64", ("n",), name="x")
    for name in ("fftfreq", "rfftfreq"):
        node = getattr(sg.fft, name)(x.shape[0], 0.1)
        for n in (1, 4, 5):
            found = sg.evaluate(node, {x: np.zeros(n)})

            np.testing.assert_allclose(found, getattr(np.fft, name)(n, 0.1), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_length_is_kept_and_so_is_the_gradient(dtype):
    x = sg.placeholder(dtype, (3, 4), name="x")
    value = RNG.normal(size=(3, 4)).astype(dtype)
    length = (sg.abs(sg.fft.fft2(x, norm="ortho")) ** 2).sum()
    (slope,) = sg.grad(length, [x])

    np.testing.assert_allclose(sg.evaluate(length, {x: value}), np.sum(np.abs(value) ** 2), rtol=1e-13)
    np.testing.assert_allclose(sg.evaluate(slope, {x: value}), 2 * value, rtol=1e-13)


def test_numpys_functions_build_nodes():
    x = sg.placeholder("float64", (3, 4), name="x")

    assert np.fft.fft(x, 5, axis=0, norm="ortho") is sg.fft.fft(x, 5, 0, "ortho")
    assert np.fft.irfftn(x, axes=(1,)) is sg.fft.irfftn(x, axes=(1,))
    assert np.fft.fftshift(x) is sg.fft.fftshift(x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: sg.fft.fft(x, 0), sg.ShapeError, "one element at least, not 0"),
        (lambda x: sg.fft.fft(x, 2.5), sg.ArgumentError, "a size is an int"),
        (lambda x: sg.fft.fft(x, norm="unitary"), sg.ArgumentError, "norm is 'backward'"),
        (lambda x: sg.fft.fft(x, axis=2), sg.ShapeError, "axis 2 does not exist"),
        (lambda x: sg.fft.fft2(x, axes=(0, 0)), sg.ShapeError, "axis 0 is named twice"),
        (lambda x: sg.fft.fft2(x, (3,)), sg.ShapeError, "there are 1 sizes and 2 axes"),
        (lambda x: sg.fft.rfft(x * 1j), sg.DTypeError, "takes real values, not complex128"),
        (lambda x: sg.fft.fft(x[:0], axis=0), sg.ShapeError, "is empty"),
    ],
)
def test_refusal(call, error, message):
    with pytest.raises(error) as caught:
        call(sg.placeholder("float64", (3, 4), name="x"))

    assert message in str(caught.value)


def test_an_axis_that_is_empty_at_the_call_is_refused():
    x = sg.placeholder("float64", ("n",), name="x")
    with pytest.raises(sg.ShapeError, match="an axis is empty"):
        sg.evaluate(sg.fft.fft(x), {x: np.zeros(0)})
