"""What users read says one word for one thing, in the words of `wording.py`."""

from __future__ import annotations

import pytest

from tests.docs.wording import WORDS, Hit, files, hits_of, texts_of

# Names of the contract, by which others filter: they keep their words until a major version.
ALLOWED = {
    "configuration refused, keeping the previous one": "exporter/cli/reloading.py",
}


def is_allowed(hit: Hit) -> bool:
    return any(
        text in hit.around and hit.place.startswith(f"{file}:") for text, file in ALLOWED.items()
    )


@pytest.mark.parametrize("name", files())
def test_a_text_says_it_in_the_words_of_the_project(name: str) -> None:
    hits = [hit for line, text in texts_of(name) for hit in hits_of(text, name, line)]
    assert not [str(hit) for hit in hits if not is_allowed(hit)]


@pytest.mark.parametrize(("say", "_avoided", "example"), WORDS, ids=[say for say, _, _ in WORDS])
def test_a_phrase_to_avoid_is_found(say: str, _avoided: str, example: str) -> None:
    assert [hit.say for hit in hits_of(f"Here {example}.", "a.md")].count(say) == 1


def test_a_phrase_is_found_across_lines_of_a_paragraph_and_of_a_comment() -> None:
    assert [hit.place for hit in hits_of("a\nit goes\non", "a.md")] == ["a.md:2"]
    assert [hit.place for hit in hits_of("  # it goes\n  # on", "a.yaml", 7)] == ["a.yaml:7"]


def test_code_addresses_and_other_meanings_are_not_found() -> None:
    text = "`it goes on` [a](that/goes-on.md) takes up to 30 s; you want to read; cause.blocked"
    assert not list(hits_of(text, "a.md"))


def test_pages_comments_and_strings_of_the_code_are_looked_through() -> None:
    chart = "helm/durable-functions-exporter"
    read = {"README.md", "CHANGELOG.md", f"{chart}/values.yaml", "exporter/cli/main.py"}
    assert read <= set(files())
    assert any("instances" in text for _, text in texts_of("exporter/metrics/catalogue.py"))


@pytest.mark.parametrize(("text", "file"), ALLOWED.items(), ids=ALLOWED)
def test_what_is_allowed_is_still_there(text: str, file: str) -> None:
    assert any(text in each for _, each in texts_of(file))


def test_words_that_only_contain_a_phrase_are_not_found() -> None:
    assert not list(hits_of("an amendment to the legends of wantage", "a.md"))
