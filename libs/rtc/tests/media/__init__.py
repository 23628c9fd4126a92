"""Sources, sinks and peers over an engine that only keeps tables, in virtual time."""
