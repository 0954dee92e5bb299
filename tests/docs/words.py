"""Sets of words, written as a sentence of them."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())
