"""Media workers: decode, mix, compose, encode and mux beside the rooms; no hooks, no server."""
