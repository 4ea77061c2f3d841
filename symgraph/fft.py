"""Discrete Fourier transforms, as ``numpy.fft``."""

from symgraph.ops.fourier import fftn, ifftn, irfftn, rfftn
from symgraph.ops.transforms import (
    fft,
    fft2,
    fftfreq,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftshift,
    ihfft,
    irfft,
    irfft2,
    rfft,
    rfft2,
    rfftfreq,
)

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]
