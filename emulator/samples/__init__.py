"""Functions to run: those of the recordings, and an app that a team would recognise."""
