"""An upgrade from each release that `tests/data/releases` remembers to what stands here."""
