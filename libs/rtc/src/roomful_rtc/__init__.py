"""RTP, SDP, ICE, DTLS, SCTP and forwarding; no hooks, no server."""
