"""`stylereel styles`."""

from collections.abc import Mapping
from typing import Any

import click

from pipelines.commands.common import json_option, print_result
from stylecore.catalog import bundled_styles
from stylecore.pack import load_pack


@click.command()
@json_option
def styles(as_json: bool) -> None:
    """List the styles in the box and where each comes from.

    Example: stylereel styles
    """
    facts: dict[str, Any] = {"identity": {"work": "the film itself, for proofs"}}
    for name, path in bundled_styles().items():
        facts[name] = dict(load_pack(path).cards.get(name, {}))
    lines = [f"{name:<16}{_card_line(card)}" for name, card in facts.items()]
    print_result(facts, lines, as_json)


def _card_line(card: Mapping[str, Any]) -> str:
    return ", ".join(str(card[key]) for key in ("work", "artist", "year") if card.get(key))
