"""
What stuck instances wait on: histories in, causes out.

Everything here is deterministic: no I/O, no clock. What has to be read is asked for, and whoever
asks hands in the answer; time is a parameter, in seconds since the epoch by the server's clock.
"""
