"""A client on the wire, without codecs: signalling, checks, DTLS, SRTP, data channels, RTP.

From the bottom up, each usable without what is above it:

- `certificate`, `dtls`, `srtp`, `ice`: what a transport is made of, without sockets or clocks;
- `intake`, `flows`: a socket whose packets are counted, decrypted, passed on;
- `transport`: these together, driven step by step, so that a step may be left out or done wrong;
- `channels`: SCTP on a transport;
- `description`: offers, and what is needed of answers; `signalling`: one websocket;
- `negotiation`: one offer at a time, as clients make them;
- `stream`, `player`, `metronome`: packets of clips that are written, sealed and sent when due;
- `feedback`: key frames and packets that are asked for, reports that are sent;
- `participant`: all of these put together, sharing `commons` with others of its loop.

Nothing is decoded, and a participant that only counts decrypts one packet in a few: hundreds of
streams cost little beside the server that is tested.
"""
