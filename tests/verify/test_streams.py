"""Stream words: what the bytes are, and that nothing is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verify.streams import pack, unpack, word_bytes


def test_element_0_is_in_the_low_bits_and_words_are_padded_to_bytes() -> None:
    assert pack(np.array([1, -2, 3, 7, 0, -8]), bits=4, elements=3) == bytes(
        [0xE1, 0x03, 0x07, 0x08]
    )
    assert unpack(bytes([0xE1, 0x03]), 4, True, 3).tolist() == [1, -2, 3]
    assert unpack(bytes([0xE1, 0x03]), 4, False, 3).tolist() == [1, 14, 3]
    assert [word_bytes(9, n) for n in (1, 7, 8, 9)] == [2, 8, 9, 11]


@given(st.data(), st.integers(1, 40), st.booleans(), st.integers(1, 9))
def test_what_is_packed_is_unpacked(
    data: st.DataObject, bits: int, signed: bool, elements: int
) -> None:
    low = -(2 ** (bits - 1)) if signed else 0
    words = data.draw(st.integers(1, 4))
    value = st.integers(low, low + 2**bits - 1)
    count = words * elements
    values = np.array(data.draw(st.lists(value, min_size=count, max_size=count)))
    raw = pack(values, bits, elements)
    assert len(raw) == words * word_bytes(bits, elements)
    assert np.array_equal(unpack(raw, bits, signed, elements), values)


@pytest.mark.parametrize("values", [[16], [-9], [-1, 8]])
def test_values_that_do_not_fit_are_refused(values: list[int]) -> None:
    with pytest.raises(ValueError, match="do not fit into 4 bits"):
        pack(np.array(values), 4, 1)
