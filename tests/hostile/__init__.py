"""Attackers against a running server, each beside a witness room that must notice nothing."""
