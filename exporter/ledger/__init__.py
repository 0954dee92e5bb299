"""
The accounts of a hub: rows of sweeps in, transitions and aggregates out.

Everything here is deterministic: no I/O, no clock; time is a parameter, in seconds since the
epoch by the server's clock.
"""
