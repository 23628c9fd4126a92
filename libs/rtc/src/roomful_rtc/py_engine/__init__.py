"""The pure-Python forwarding engine: `PyEngine`."""

from roomful_rtc.py_engine.engine import PyEngine

__all__ = ["PyEngine"]
