"""The HTTP application: Twirp services, their messages, routes of plugins."""
