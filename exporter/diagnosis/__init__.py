"""
What stalled instances wait on: histories in, blocking chains out.

Deterministic: no I/O, no clock. Generators yield the reads that they need and are sent the answers;
time is a parameter, in seconds since the epoch by the server's clock.
"""
