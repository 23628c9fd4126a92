"""A crowd against one server, for about a minute; `./dev test` runs it."""
