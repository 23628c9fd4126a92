"""Participants whose media is local, in a real server, beside unmodified clients."""
