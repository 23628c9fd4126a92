"""Reading what a server costs, comparing it with bare operations, and printing it."""
