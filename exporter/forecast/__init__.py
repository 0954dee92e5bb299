"""What one pass over a hub tells of a day of polling, and settings that fit; pure."""
