"""Processes full of raw participants, which join as clients do, send encoded media and count."""
