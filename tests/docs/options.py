"""Subcommands and options of the exporter's own command, from its parser; and a few of others."""

from __future__ import annotations

import argparse
from functools import cache
from importlib import import_module

from exporter.cli.main import COMMANDS
from tests.docs.words import words

# Options of other programs that pages speak of.
_OF_OTHERS = words(
    "--enable-feature --read-only --strict --web.config.file --pdb --network --cap-drop"
    " --security-opt --memory --tmpfs --generate-hashes --require-hashes --reuse-values"
    " --set-file --values --namespace --version --create-namespace --wait --atomic --log-driver"
    " --secret --mount --timestamp --env --volume --cap-add --read-only --publish --build-arg"
    " --reset-then-reuse-values --storage --query --key-name"
)


def subcommands() -> frozenset[str]:
    return frozenset(COMMANDS)


def _options_of(name: str) -> set[str]:
    parser = argparse.ArgumentParser()
    import_module(f"exporter.cli.{name}").add_options(parser)
    return {option for action in parser._actions for option in action.option_strings}


@cache
def known_options() -> frozenset[str]:
    """Return the options of all subcommands, and those of others."""
    return frozenset().union(*map(_options_of, COMMANDS)) | _OF_OTHERS
