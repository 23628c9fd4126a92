"""Test media with marks, and what reads and measures them; no sockets, no clocks, no codecs."""
