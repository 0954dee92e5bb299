"""Sample apps, and their traffic."""
