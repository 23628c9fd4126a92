"""Raw participants: they join as clients do, send encoded media, and count what comes.

Nothing is decoded and only one packet in a few is decrypted, so that hundreds of streams cost
little beside the server that is measured.
"""
