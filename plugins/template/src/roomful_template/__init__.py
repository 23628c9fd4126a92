"""Says in the log when a room has grown to a notable size."""
