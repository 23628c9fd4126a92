"""Decoding and encoding, by what is heard and seen."""
