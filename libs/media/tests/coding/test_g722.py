"""G.722: a tone goes through; lengths are checked."""

from __future__ import annotations

import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.codecs.g722 import G722Codec

from .sound import TONE_LOUDNESS, blocks, loudness, pitch, tone


def test_tone_goes_through_at_half_a_byte_a_sample() -> None:
    made = G722Codec()
    packets = [made.encode(block) for block in blocks(tone(16_000, 1, 1000), 320)]

    heard = np.concatenate([made.decode(packet) for packet in packets])

    assert {len(packet) for packet in packets} == {160}
    assert len(heard) == 16_000
    assert pitch(heard, 16_000) == pytest.approx(1000, abs=2)
    assert loudness(heard[1600:]) == pytest.approx(TONE_LOUDNESS, rel=0.05)


def test_lost_packet_fades() -> None:
    made = G722Codec()
    for block in blocks(tone(16_000, 0.1), 320):
        made.decode(made.encode(block))

    assert loudness(made.conceal(320)) > loudness(made.recover(b"", 320)) > 0


@pytest.mark.parametrize("size", [0, 1601])
def test_packet_of_impossible_length_is_refused(size: int) -> None:
    with pytest.raises(MediaError):
        G722Codec().decode(bytes(size))


@pytest.mark.parametrize("shape", [(0, 1), (3, 1), (320, 2), (320,)])
def test_blocks_that_are_no_pairs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        G722Codec().encode(np.zeros(shape, np.float32))
