"""An insurer on an ordinary day: what is slow is so by design, and about one claim in 100 fails."""
