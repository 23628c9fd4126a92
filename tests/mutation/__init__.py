"""Parsers of the core and of the WebRTC transport over mutated input from a fixed seed.

Those of `libs/rtc` have their own beside the code.
"""
