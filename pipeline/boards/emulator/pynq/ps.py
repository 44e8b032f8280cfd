"""The clocks of the processing system that programmable logic runs with."""

from __future__ import annotations

PLL_MHZ = 1000.0
LARGEST_DIVISOR = 63


class _PlClocks(type):
    """Clock 0 is the PLL's frequency over two divisors of 6 bits."""

    divisors = (10, 1)

    @property
    def fclk0_mhz(cls) -> float:
        """The frequency of PL clock 0 in MHz."""
        return PLL_MHZ / (cls.divisors[0] * cls.divisors[1])

    @fclk0_mhz.setter
    def fclk0_mhz(cls, mhz: float) -> None:
        cls.divisors = divisors_for(mhz)


class Clocks(metaclass=_PlClocks):
    """`Clocks.fclk0_mhz` can be read and set."""


def divisors_for(mhz: float) -> tuple[int, int]:
    """The divisors that come nearest to a frequency."""
    numbers = range(1, LARGEST_DIVISOR + 1)
    pairs = [(first, second) for second in numbers for first in numbers]
    return min(pairs, key=lambda pair: abs(PLL_MHZ / (pair[0] * pair[1]) - mhz))
