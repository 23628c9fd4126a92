"""The demo: a server, two participants of the published SDK, and a page to join from."""
