"""The local link to media workers: records, their queue, their reader; sans-IO.

A link is one Unix socket pair between the server and one worker. A message on it is one or more
whole records (`record`). Both ends use the same parts:

    LinkSink ──▶ LinkQueue ──take()──▶ socket ══▶ socket ──feed()──▶ LinkReader ──▶ StreamConsumer
    messages ──▶                                                              └──▶ on_control

Nothing here forgives: whatever breaks a rule of the format is a `RemoteProtocolError`, after which
the link is not read any further.
"""
