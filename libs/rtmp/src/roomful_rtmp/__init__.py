"""RTMP without sockets and clocks: server and client side, FLV tags, enhanced RTMP.

    connection = ServerConnection()
    for event in connection.receive(data): ...
    transport.write(connection.take_output())

Adobe's RTMP 1.0, the AMF0 and FLV specifications, and Enhanced RTMP v2. Every error of the far side
is a `RemoteProtocolError`; nothing else leaves `receive`.
"""
