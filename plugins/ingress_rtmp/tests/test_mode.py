"""What goes on as it is."""

from dataclasses import replace

import pytest

from roomful_ingress_rtmp.mode import why_transcode
from roomful_rtmp.avc import SpsInfo

GOOD = SpsInfo(66, 0xC0, 31, 1280, 720, is_progressive=True, is_420_8bit=True)


@pytest.mark.parametrize("profile", [66, 77, 100])
def test_fits(profile):
    assert why_transcode(replace(GOOD, profile=profile), 0) == ""


@pytest.mark.parametrize(
    ("info", "offset", "words"),
    [
        (GOOD, 67, "B-frames"),
        (GOOD, -33, "B-frames"),
        (replace(GOOD, profile=244), 0, "profile 244"),
        (replace(GOOD, is_420_8bit=False), 0, "4:2:0"),
        (replace(GOOD, is_progressive=False), 0, "interlaced"),
    ],
)
def test_does_not_fit(info, offset, words):
    assert words in why_transcode(info, offset)
