"""Write a description as text, lines ended by CR LF (RFC 8866 section 5)."""

from __future__ import annotations

from collections.abc import Iterator

from roomful_rtc.sdp.model import Fingerprint, MediaSection, RtpFormat, SessionDescription

_FLAGS = (
    ("bundle_only", "bundle-only"),
    ("rtcp_mux", "rtcp-mux"),
    ("rtcp_rsize", "rtcp-rsize"),
    ("extmap_allow_mixed", "extmap-allow-mixed"),
)


def write_description(description: SessionDescription) -> str:
    """Render everything the records hold."""
    lines = list(_session(description))
    for section in description.sections:
        lines.extend(_section(section))
    lines.append("")
    return "\r\n".join(lines)


def _session(description: SessionDescription) -> Iterator[str]:
    yield "v=0"
    where = _address(description.origin_address)
    yield f"o=- {description.session_id} {description.session_version} {where}"
    yield "s=-"
    if description.connection:
        yield f"c={_address(description.connection)}"
    yield "t=0 0"
    if description.bundle:
        yield f"a=group:BUNDLE {' '.join(description.bundle)}"
    if description.ice_lite:
        yield "a=ice-lite"
    if description.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    if description.ice_options:
        yield f"a=ice-options:{' '.join(description.ice_options)}"
    yield from _transport(description.ice_ufrag, description.ice_pwd)
    yield from _dtls(description.fingerprints, description.setup)
    yield from _other(description.other)


def _section(section: MediaSection) -> Iterator[str]:
    yield f"m={section.kind} {section.port} {section.proto} {' '.join(section.formats)}"
    if section.connection:
        yield f"c={_address(section.connection)}"
    if section.mid:
        yield f"a=mid:{section.mid}"
    for field, name in _FLAGS:
        if getattr(section, field):
            yield f"a={name}"
    yield from _transport(section.ice_ufrag, section.ice_pwd)
    yield from _dtls(section.fingerprints, section.setup)
    yield from (f"a={line}" for line in section.candidates)
    yield f"a={section.direction}"
    yield from _media(section)
    if section.sctp_port:
        yield f"a=sctp-port:{section.sctp_port}"
    if section.max_message_size:
        yield f"a=max-message-size:{section.max_message_size}"
    yield from _other(section.other)


def _media(section: MediaSection) -> Iterator[str]:
    for codec in section.codecs.values():
        yield from _format(codec)
    if section.ptime:
        yield f"a=ptime:{section.ptime}"
    for identifier, uri in section.extmap.items():
        yield f"a=extmap:{identifier} {uri}"
    if section.stream_id:
        yield f"a=msid:{section.stream_id} {section.track_id}".rstrip()
    for rid in section.rids:
        yield f"a=rid:{rid.id} {rid.direction} {rid.restrictions}".rstrip()
    simulcast = [
        f"{direction} {';'.join(rids)}"
        for direction, rids in (("send", section.simulcast_send), ("recv", section.simulcast_recv))
        if rids
    ]
    if simulcast:
        yield f"a=simulcast:{' '.join(simulcast)}"
    yield from _streams(section)


def _format(codec: RtpFormat) -> Iterator[str]:
    channels = f"/{codec.channels}" if codec.channels != 1 else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    if codec.fmtp:
        yield f"a=fmtp:{codec.payload_type} {codec.fmtp}"
    for kind in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {kind}"


def _streams(section: MediaSection) -> Iterator[str]:
    for group in section.ssrc_groups:
        yield f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}".rstrip()
    for ssrc in section.ssrcs.values():
        # A stream without a cname still needs a line to be known at all.
        if ssrc.cname or not ssrc.stream_id:
            yield f"a=ssrc:{ssrc.ssrc} cname:{ssrc.cname}"
        if ssrc.stream_id:
            yield f"a=ssrc:{ssrc.ssrc} msid:{ssrc.stream_id} {ssrc.track_id}".rstrip()


def _transport(ufrag: str, pwd: str) -> Iterator[str]:
    if ufrag:
        yield f"a=ice-ufrag:{ufrag}"
    if pwd:
        yield f"a=ice-pwd:{pwd}"


def _dtls(fingerprints: tuple[Fingerprint, ...], setup: str) -> Iterator[str]:
    for fingerprint in fingerprints:
        yield f"a=fingerprint:{fingerprint}"
    if setup:
        yield f"a=setup:{setup}"


def _other(attributes: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, value in attributes:
        yield f"a={name}:{value}" if value else f"a={name}"


def _address(address: str) -> str:
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"
