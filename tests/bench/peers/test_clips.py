"""What raw participants send in benches."""

import av
import numpy as np

from roomful_testing.clip import STAMP_BYTES

from .clips import SMALL, STAMP, opus_tone, vp8_film


def test_room_for_the_stamp_changes_nothing_that_is_heard() -> None:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.layout = "mono"
    heard: list[np.ndarray] = []
    for number, packet in enumerate(opus_tone(440.0).packets):
        assert packet.endswith(STAMP)
        stamped = packet[:-STAMP_BYTES] + number.to_bytes(STAMP_BYTES, "big")
        heard += [frame.to_ndarray() for frame in decoder.decode(av.Packet(stamped))]

    samples = np.concatenate(heard, axis=1)[0, 4_800:].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert abs(np.argmax(spectrum) * 48_000 / len(samples) - 440.0) < 2


def test_film_begins_with_its_only_key_frame() -> None:
    pictures = vp8_film(SMALL).pictures

    assert len(pictures) == SMALL.pictures
    # RFC 6386 section 9.1: the lowest bit of the first byte is 0 in key frames
    assert [number for number, pieces in enumerate(pictures) if not pieces[0][4] & 1] == [0]
    assert all(pieces[-1].endswith(STAMP) for pieces in pictures)
