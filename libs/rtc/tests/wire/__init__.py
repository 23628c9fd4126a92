"""Planes with real peers: ICE, DTLS and SRTP on loopback, hand-made RTP."""
