"""Jobs of media workers that tests and the demo run: one publishes marked media, one measures it."""
