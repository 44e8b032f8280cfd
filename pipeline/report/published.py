"""Published results, on the real RadioML 2018.01A.

Source: the A(MC) Team's submission to problem PS-007 of the ITU AI/ML in 5G challenge, 2021, and
the challenge's own 8-bit baseline. Nonzeros follow from the weight bits.
"""

from pipeline.report.results import Result

FRAMES = "RadioML 2018.01A"
WEIGHTS = 159_104
"""All weights of the unpruned VGG10."""
BAR = 0.56
"""The test accuracy that the challenge asked for; all that is known of the FMP networks'."""


def _published(
    bits: int,
    method: str,
    bit_operations: int,
    weight_bits: int,
    cost: float,
    test: float | None = None,
    eta: float | None = None,
) -> Result:
    return Result(
        bits=bits,
        method=method,
        frames=FRAMES,
        eta=eta,
        true_ratio=round(WEIGHTS * bits / weight_bits, 2),
        nonzeros=weight_bits // bits,
        bit_operations=bit_operations,
        weight_bits=weight_bits,
        cost=cost,
        validation=None,
        test=BAR if test is None else test,
        at_least=test is None,
    )


PUBLISHED = (
    _published(8, "none", 807_699_904, 1_244_936, 1.0, test=0.595, eta=1.0),
    _published(8, "fmp", 49_892_544, 68_384, 0.0583),
    _published(7, "fmp", 39_056_969, 59_836, 0.0482),
    _published(6, "fmp", 34_321_896, 62_976, 0.0465),
    _published(5, "fmp", 28_316_625, 64_430, 0.0434),
    _published(4, "imp", 24_436_576, 68_072, 0.042467, test=0.5625),
    _published(4, "fmp", 24_601_600, 66_616, 0.0419, eta=813.0),
)
