"""A client on the wire, without codecs: signalling, checks, DTLS, SRTP, data channels, RTP.

From the bottom up, each usable without what is above it:

- `certificate`, `dtls`, `srtp`, `ice`: what a transport is made of, without sockets or clocks;
- `transport`: a socket with these, driven step by step, so that a step may be left out or done wrong;
- `channels`: SCTP on a transport;
- `description`: offers, and what is needed of answers; `signalling`: one websocket;
- `negotiation`: one offer at a time, as clients make them;
- `participant`: all of these put together; it publishes tracks and answers feedback;
- `stream`, `players`, `metronome`: packets of clips that are written, sealed and sent when due.

Nothing is decoded, and a participant that only counts decrypts one packet in a few: hundreds of
streams cost little beside the server that is tested.
"""
