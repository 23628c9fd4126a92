"""Live rooms: the shell around `roomful.model.room`."""
