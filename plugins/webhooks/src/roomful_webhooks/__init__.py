"""Signed HTTP callbacks for what happens, read from the durable log so that none is missed.

    config    which URLs, which key signs, which events
    rendering an event of the log as the body that receivers know (WebhookEvent)
    receiver  one URL: its place in the log, its order, its retries
"""
