"""Encoded frames to packets and back, of every payload format."""
