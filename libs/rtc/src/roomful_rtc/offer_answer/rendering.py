"""The parts of our own descriptions that answers and offers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from roomful_rtc.offer_answer.capabilities import EXTENSION_URIS
from roomful_rtc.offer_answer.decisions import Subscribe
from roomful_rtc.offer_answer.transport import LocalTransport, Origin
from roomful_rtc.sdp import (
    UNSPECIFIED,
    Direction,
    Fingerprint,
    MediaSection,
    RtpFormat,
    SessionDescription,
    Setup,
    Ssrc,
    SsrcGroup,
)

MAX_MESSAGE_SIZE = 65_535
"""Largest data message we take, bytes."""
SCTP_PORT = 5000
DATA_FORMAT = "webrtc-datachannel"
RTP_PROTO = "UDP/TLS/RTP/SAVPF"
DATA_PROTO = "UDP/DTLS/SCTP"


def data_section(mid: str, proto: str = DATA_PROTO) -> MediaSection:
    """Render the data-channel section (RFC 8841)."""
    return MediaSection(
        "application",
        9,
        proto,
        (DATA_FORMAT,),
        mid=mid,
        connection=UNSPECIFIED,
        sctp_port=SCTP_PORT,
        max_message_size=MAX_MESSAGE_SIZE,
    )


def rtp_section(
    kind: str,
    mid: str,
    direction: Direction,
    formats: Mapping[int, RtpFormat],
    extensions: Mapping[str, int],
) -> MediaSection:
    """Render an audio or video section without streams."""
    return MediaSection(
        kind,
        9,
        RTP_PROTO,
        tuple(map(str, formats)),
        mid=mid,
        direction=direction,
        codecs=formats,
        extmap={identifier: EXTENSION_URIS[name] for name, identifier in extensions.items()},
        rtcp_mux=True,
        rtcp_rsize=True,
        connection=UNSPECIFIED,
    )


def rejected_section(section: MediaSection) -> MediaSection:
    """Render the refusal of a section: port 0, its formats kept (RFC 3264 section 6)."""
    return MediaSection(
        section.kind,
        0,
        section.proto,
        section.formats,
        mid=section.mid,
        direction="inactive",
        connection=UNSPECIFIED,
    )


def with_track(section: MediaSection, track: Subscribe) -> MediaSection:
    """Add msid, SSRCs and, when RTX is negotiated, the FID group."""
    names = (track.cname, track.stream_id, track.track_id)
    ssrcs = {track.ssrc: Ssrc(track.ssrc, *names)}
    groups: tuple[SsrcGroup, ...] = ()
    if track.rtx_ssrc and any(codec.codec == "rtx" for codec in section.codecs.values()):
        ssrcs[track.rtx_ssrc] = Ssrc(track.rtx_ssrc, *names)
        groups = (SsrcGroup("FID", (track.ssrc, track.rtx_ssrc)),)
    return replace(
        section,
        stream_id=track.stream_id,
        track_id=track.track_id,
        ssrcs=ssrcs,
        ssrc_groups=groups,
    )


def describe(
    sections: Iterable[MediaSection],
    transport: LocalTransport,
    setup: Setup,
    origin: Origin,
    *,
    allow_mixed: bool,
) -> SessionDescription:
    """Put the sections of one bundled transport together.

    Every live section repeats credentials and fingerprint, since clients differ in where they
    look; the candidates stand in the first one only, which carries the bundle.
    """
    algorithm, _, digest = transport.fingerprint.partition(" ")
    fingerprints = (Fingerprint(algorithm, digest),)
    finished: list[MediaSection] = []
    bundle: list[str] = []
    candidates = tuple(str(candidate) for candidate in transport.candidates)
    for section in sections:
        if section.rejected:
            finished.append(section)
            continue
        finished.append(
            replace(
                section,
                ice_ufrag=transport.ufrag,
                ice_pwd=transport.pwd,
                fingerprints=fingerprints,
                setup=setup,
                candidates=candidates,
            )
        )
        candidates = ()
        if section.mid:
            bundle.append(section.mid)
    return SessionDescription(
        tuple(finished),
        session_id=origin.session_id,
        session_version=origin.version,
        bundle=tuple(bundle),
        ice_lite=transport.ice_lite,
        ice_options=("trickle",),
        extmap_allow_mixed=allow_mixed,
        other=(("msid-semantic", "WMS *"),),
    )
