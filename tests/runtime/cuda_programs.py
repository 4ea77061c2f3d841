"""Programs that run on the processor and on the device "cuda"."""

import numpy as np

import symgraph as sg
from symgraph.runtime.gpu_program import GpuProgram

x = sg.placeholder("float32", ("n", "m"), name="x")
y = sg.placeholder("float32", ("m", "k"), name="y")
v = sg.placeholder("float32", ("m",), name="v")


def arrays(*shapes, dtype="float32"):
    rng = np.random.default_rng(len(shapes))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def program(device, inputs, outputs, **options):
    """A function, and the same on the device."""
    function = sg.function(inputs, outputs)
    return function, GpuProgram(function.plan, device, **options)


def check(device, inputs, outputs, *given, exact=True, **options):
    """The device finds what the processor does; twice, the second time in memory that was used."""
    function, made = program(device, inputs, outputs, **options)
    expected = function(*given)
    for _ in range(2):
        found = made.run(given)
        for ours, want in zip(found, expected, strict=True):
            assert (want.dtype, want.shape) == (ours.dtype, ours.shape)
            if exact:
                np.testing.assert_array_equal(ours, want)
            else:
                np.testing.assert_allclose(ours, want, rtol=1e-5, atol=1e-6)
    return made
