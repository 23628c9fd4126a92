"""RTMP as an input of ingress: OBS, FFmpeg, hardware encoders.

socket ─listener─▶ ServerConnection ─▶ publisher ─▶ H.264 as it is ─▶ RTP
                                          └─▶ media workers: AAC → Opus, B-frames → layers ─▶ RTP
"""
