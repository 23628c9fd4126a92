"""Every limit, just inside and just outside; figures are those of the security page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtc.sdp import EXTERNAL_LIMITS, SIGNALLING_LIMITS, SdpLimits, SessionDescription

HEAD = "v=0\n"
AUDIO = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 0\n"


def padded_to(size: int, line: int) -> str:
    """A description of exactly `size` bytes whose longest line has `line` bytes."""
    full = "a=" + "x" * (line - 2) + "\n"
    text = HEAD + full * ((size - len(HEAD) - 8) // len(full))
    rest = size - len(text)
    if rest >= len(full):
        text += "a=" + "x" * (rest // 2 - 3) + "\n"
        rest = size - len(text)
    return text + "a=" + "x" * (rest - 3) + "\n"


def ssrc_lines(count: int) -> str:
    return "".join(f"a=ssrc:{n} cname:c\n" for n in range(count))


def feedback(count: int) -> str:
    return "".join(f"a=rtcp-fb:0 kind{n}\n" for n in range(count))


def fingerprints(count: int) -> str:
    return ("a=fingerprint:sha-1 " + ":".join(["AA"] * 20) + "\n") * count


CASES: dict[str, tuple[Callable[[SdpLimits], int], Callable[[int], str]]] = {
    "size": (lambda limits: limits.size, lambda n: padded_to(n, 1000)),
    "line": (lambda limits: limits.line, lambda n: HEAD + "a=" + "x" * (n - 2) + "\n"),
    "lines": (lambda limits: limits.lines, lambda n: HEAD + "a=x\n" * (n - 1)),
    "sections": (
        lambda limits: limits.sections,
        lambda n: HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 0\n" * n,
    ),
    "extensions": (
        lambda limits: limits.extensions,
        lambda n: AUDIO + "".join(f"a=extmap:{i + 1} urn:{i}\n" for i in range(n)),
    ),
    "rids": (
        lambda limits: limits.rids,
        lambda n: AUDIO + "".join(f"a=rid:{i} send\n" for i in range(n)),
    ),
    "simulcast rids": (
        lambda limits: limits.rids,
        lambda n: AUDIO + "a=simulcast:send " + ";".join(map(str, range(n))) + "\n",
    ),
    "candidates": (lambda limits: limits.candidates, lambda n: AUDIO + "a=candidate:x\n" * n),
    "ssrcs": (lambda limits: limits.ssrcs, lambda n: AUDIO + ssrc_lines(n)),
    "ssrc groups": (lambda limits: limits.ssrcs, lambda n: AUDIO + "a=ssrc-group:FID 1 2\n" * n),
    "ssrcs of a group": (
        lambda limits: limits.ssrcs,
        lambda n: AUDIO + "a=ssrc-group:SIM" + " 1" * n + "\n",
    ),
    "feedback": (lambda limits: limits.feedback, lambda n: AUDIO + feedback(n)),
    "fingerprints": (lambda limits: limits.fingerprints, lambda n: HEAD + fingerprints(n)),
    "fingerprints of a section": (
        lambda limits: limits.fingerprints,
        lambda n: AUDIO + fingerprints(n),
    ),
    "mid": (lambda _: 16, lambda n: AUDIO + "a=mid:" + "m" * n + "\n"),
    "rid length": (lambda _: 16, lambda n: AUDIO + "a=rid:" + "r" * n + " send\n"),
}


@pytest.mark.parametrize("limits", [SIGNALLING_LIMITS, EXTERNAL_LIMITS], ids=["signal", "external"])
@pytest.mark.parametrize("case", CASES)
def test_limit_when_just_inside_then_read_and_just_outside_then_refused(
    case: str, limits: SdpLimits
) -> None:
    bound_of, build = CASES[case]
    bound = bound_of(limits)
    SessionDescription.parse(build(bound), limits)
    with pytest.raises(RemoteProtocolError):
        SessionDescription.parse(build(bound + 1), limits)


@pytest.mark.parametrize("limits", [SIGNALLING_LIMITS, EXTERNAL_LIMITS], ids=["signal", "external"])
def test_formats_when_over_the_limit_then_refused(limits: SdpLimits) -> None:
    def build(count: int) -> str:
        return HEAD + "m=text 9 TCP/MSRP " + " ".join(f"f{n}" for n in range(count)) + "\n"

    SessionDescription.parse(build(limits.formats), limits)
    with pytest.raises(RemoteProtocolError):
        SessionDescription.parse(build(limits.formats + 1), limits)


def test_size_when_counted_then_bytes_and_not_characters_count() -> None:
    limits = SdpLimits(size=40, line=30, lines=9, sections=1, formats=1)
    SessionDescription.parse("v=0\na=" + "é" * 14, limits)
    with pytest.raises(RemoteProtocolError, match="line"):
        SessionDescription.parse("v=0\na=" + "é" * 15, limits)
    with pytest.raises(RemoteProtocolError, match="large"):
        SessionDescription.parse("v=0\na=" + "é" * 14 + "\na=" + "é" * 6, limits)


def test_figures_when_compared_then_as_the_security_page_has_them() -> None:
    signal, external = SIGNALLING_LIMITS, EXTERNAL_LIMITS
    assert (signal.size, signal.line, signal.lines, signal.sections, signal.formats) == (
        1 << 20, 4096, 40_000, 512, 128,
    )  # fmt: skip
    assert (external.size, external.line, external.lines, external.sections, external.formats) == (
        64 << 10, 2048, 2_000, 8, 64,
    )  # fmt: skip
    assert (signal.extensions, signal.rids, signal.candidates) == (32, 4, 64)
