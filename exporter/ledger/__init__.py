"""
The accounts of a hub: rows of sweeps in, transitions and aggregates out.

Deterministic: no I/O, no clock. Time is a parameter: seconds since the epoch by the server's clock.
"""
