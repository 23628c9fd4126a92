"""Real-time rooms: the core knows rooms, participants, tracks and hooks."""
