"""Unmodified clients against a running server; see `README.md` here for how to choose the server."""
