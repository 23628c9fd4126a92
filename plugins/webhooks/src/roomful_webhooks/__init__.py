"""Signed HTTP callbacks for what happens, read from the durable log so that none is missed.

config    which URLs, which key signs, which events
rendering an event of the log as the body that receivers know (WebhookEvent)
outbox    what one receiver still has to get: order per room, retries (no I/O)
receiver  one URL: its place in the log, its attempts
"""
