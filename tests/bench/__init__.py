"""Measurements of a running server from outside: `./dev bench NAME`, one module per name.

`peers` makes the load (participants in processes of their own), `figures` reads what it cost.
"""
