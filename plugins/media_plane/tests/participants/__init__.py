"""Participants that media workers embody."""
