"""What native code is made for, as data."""

from __future__ import annotations

from dataclasses import dataclass

LINE = 64
"""Bytes of a line of the caches."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor as LLVM names it, and what the printer makes of it."""

    triple: str
    cpu: str
    features: str
    bytes: int
    """Of the widest vectors that it computes with at once."""
    fma: bool
    """Whether it rounds ``x * y + z`` once."""
    masks: bool
    """Whether reading and writing some lanes of a vector costs no more than all of them."""
    tiles: bool = False
    """Whether it multiplies tiles of bfloat16, and may: those of Intel's AMX."""
    flushes: bool = False
    """Whether kernels take denormal numbers as 0, and give none."""

    @property
    def registers(self) -> int:
        """How many vectors it holds."""
        return 16 if self.triple.startswith(("x86_64", "i386", "i686")) and not self.masks else 32

    @property
    def assists(self) -> bool:
        """Whether a denormal number, given or found, takes it a hundred times as long as another."""
        return self.triple.startswith("x86_64")

    @property
    def is_assembled(self) -> bool:
        """Whether the first code of its functions is made without LLVM: it has masks, shifts by registers, and Linux's
        calls."""
        is_x86 = self.triple.startswith("x86_64") and "linux" in self.triple
        return is_x86 and self.masks and "+bmi2" in self.features

    @property
    def attributes(self) -> str:
        """The attributes of functions, in the language of LLVM.

        The stack is aligned to whole vectors: what quick code keeps there would lie across lines of the cache.
        """
        width = 8 * self.bytes
        return (
            f'nounwind "stackrealign" "target-cpu"="{self.cpu}" "target-features"="{self.features}" '
            f'"prefer-vector-width"="{width}" "min-legal-vector-width"="{width}"'
        )
