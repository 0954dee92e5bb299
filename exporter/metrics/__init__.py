"""The catalogue of every family, and the rendering of snapshots to the exposition formats."""
