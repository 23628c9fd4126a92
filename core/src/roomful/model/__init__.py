"""Rooms, participants, tracks, subscriptions: plain state machines, no I/O, no clock."""
