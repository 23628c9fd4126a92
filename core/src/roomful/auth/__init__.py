"""Access tokens, the grants in them, and the one permission check."""
