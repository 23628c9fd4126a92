"""Host candidates: order and spelling (RFC 8839, RFC 6544)."""

from __future__ import annotations

from roomful_rtc.candidate import host_candidates


def test_candidates_are_ranked_udp_first_in_the_order_given():
    found = host_candidates(
        [("192.0.2.1", 7882), ("2001:db8::1", 7882)], [("192.0.2.1", 7881), ("2001:db8::1", 7881)]
    )

    assert [c.transport for c in found] == ["udp", "udp", "tcp", "tcp"]
    assert [c.priority for c in found] == sorted((c.priority for c in found), reverse=True)
    assert len({c.foundation for c in found}) == 4


def test_candidate_is_spelt_as_descriptions_want_it():
    udp, tcp = host_candidates([("192.0.2.1", 7882)], [("192.0.2.1", 7881)])

    assert str(udp) == "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"
    assert str(tcp) == (f"candidate:2 1 tcp {tcp.priority} 192.0.2.1 7881 typ host tcptype passive")
