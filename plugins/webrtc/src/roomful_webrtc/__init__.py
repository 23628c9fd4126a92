"""Browsers, apps and agents as participants, over the wire protocol of LiveKit (protocol 17).

    endpoint      HTTP: /rtc, /rtc/v1 and their validate twins
    join_rate     how often an address may knock
    turns         one join a turn of the loop
    client_join   what a client says when it knocks
    socket        one signalling WebSocket: framing, bounded sending, keep-alive
    connection    one participant's connection: notices in, media and messages out
    pace          how fast its requests are taken
    requests      what a client asks for after it joined, one small function each
    description   a client's session descriptions, the long ones parsed in a thread
    publishing    tracks from AddTrack to publication
    subscribing   tracks to the client: sections, sinks, settings
    single_pc     one peer connection: the client offers, we answer            (v1)
    dual_pc       a publisher and a subscriber peer connection                 (v0)
    data          data packets both ways
    fan_out       how many copies of them the server sends
    join_response the first message
    factory       the road from `server.join` to a connection
"""
