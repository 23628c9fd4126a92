"""The local link without sockets: records, reader, queue, sinks, in virtual time."""
