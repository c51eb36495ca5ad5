"""`stylereel styles`: what is in the box, foreign networks in, networks out, checks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pipelines.commands.common import drawn_picture, json_option, print_result
from pipelines.demo.scenes import sea
from pipelines.overwriting import check_pack_place, refuse_overwriting
from stylecore.artefacts import check_style
from stylecore.averaging import average as mean_of
from stylecore.catalog import PREVIEWS, find_style, style_files, style_names
from stylecore.exporting import export_onnx
from stylecore.images import load_picture, resize_short_side, to_image
from stylecore.importing import import_checkpoint
from stylecore.pack import load_pack, save_pack
from stylecore.stills import paint_still


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def styles(context: click.Context, as_json: bool) -> None:
    """List the styles in the box and where each comes from.

    Example: stylereel styles
    """
    if context.invoked_subcommand:
        return
    facts = {name: _card(name) for name in style_names()}
    lines = [f"{name:<16}{_card_line(card)}" for name, card in facts.items()]
    print_result(facts, [*lines, "or any picture: --style painting.jpg"], as_json)


def _card(reference: str) -> dict[str, Any]:
    pack, name = find_style(reference)
    preview = PREVIEWS / f"{reference}.jpg"
    shown = {"preview": str(preview)} if preview.exists() else {}
    return {**pack.cards.get(name, {}), **shown}


def _card_line(card: Mapping[str, Any]) -> str:
    return ", ".join(str(card[key]) for key in ("work", "artist", "year") if card.get(key))


@styles.command()
@click.argument("style")
@json_option
def show(style: str, as_json: bool) -> None:
    """Show a style's card: its source, how it was trained, and its losses.

    Example: stylereel styles show starry-night
    """
    pack, name = find_style(style)
    facts = {"style": style, **_card(style), "network": pack.network_name, "recipe": dict(pack.recipe)}
    facts["digest"] = pack.style_digest(name)
    lines = [f"{key}: {value}" for key, value in facts.items() if key != "recipe"]
    shown = {key: value for key, value in pack.recipe.items() if key != "contents"}
    lines += [f"recipe {key}: {value}" for key, value in shown.items()]
    contents = pack.recipe.get("contents")
    lines += [f"learned on {len(contents)} pictures"] if isinstance(contents, list) else []
    print_result(facts, lines, as_json)


@styles.command()
@click.argument("style")
@json_option
@click.pass_context
def check(context: click.Context, style: str, as_json: bool) -> None:
    """Look for grids, glowing blacks, bubbles, dead zones and jumps in a style; fails if there are any.

    Example: stylereel styles check mine.safetensors
    """
    findings = check_style(*find_style(style))
    facts = {each.check: {"value": each.value, "limit": each.limit} for each in findings}
    lines = [
        f"{'FAULT' if each.is_fault else 'ok':<6}{each.check:<8}{each.value:8.2f}  limit {each.limit:g}"
        for each in findings
    ]
    print_result(facts, lines, as_json)
    if any(each.is_fault for each in findings):
        context.exit(1)


@styles.command()
@click.option("--picture", help="What to paint; a scene of the demo's film by default.")
@click.option("--out", required=True, metavar="DIR", help="Where NAME.jpg of every style goes.")
@json_option
def previews(picture: str | None, out: str, as_json: bool) -> None:
    """Paint one picture in every style of the box, one file each: the previews of the cards.

    Example: stylereel styles previews --picture frame.png --out previews
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    refuse_overwriting([str(folder / f"{name}.jpg") for name in style_names()], [picture or ""])
    shown = resize_short_side(load_picture(Path(picture)), 360) if picture else drawn_picture(sea, 0.35)
    made = []
    for name in style_names():
        pack, key = find_style(name)
        made.append(str(folder / f"{name}.jpg"))
        to_image(paint_still(shown, pack, key)).save(made[-1], quality=88)
    print_result({"previews": made}, made, as_json)


@styles.command()
@click.argument("packs", nargs=-1, required=True, metavar="PACK PACK...")
@click.option("--out", required=True, metavar="PACK", help="The style pack to write.")
@json_option
def average(packs: tuple[str, ...], out: str, as_json: bool) -> None:
    """Take the mean of packs that were trained from one start: half-way between bold and careful.

    Example: stylereel styles average bold.safetensors careful.safetensors --out both.safetensors
    """
    check_pack_place(out, packs)
    save_pack(mean_of([load_pack(Path(pack)) for pack in packs]), Path(out))
    print_result({"pack": out}, [out], as_json)


@styles.command(name="import")
@click.argument("checkpoint")
@click.option("--name", help="The style's name; the file's by default.")
@click.option("--out", required=True, metavar="PACK", help="The style pack to write.")
@json_option
def import_(checkpoint: str, name: str | None, out: str, as_json: bool) -> None:
    """Convert a fast_neural_style checkpoint of pytorch/examples into a style pack.

    Example: stylereel styles import mosaic.pth --out mosaic.safetensors
    """
    check_pack_place(out, [checkpoint])
    path = Path(checkpoint)
    pack = import_checkpoint(path, name or path.stem)
    save_pack(pack, Path(out))
    print_result({"pack": out, "style": next(iter(pack.vectors))}, [out], as_json)


@styles.command()
@click.argument("style")
@click.option("--out", required=True, metavar="FILE.onnx")
@click.option("--size", default="540x960", show_default=True, metavar="HxW", help="Rows and columns.")
@json_option
def export(style: str, out: str, size: str, as_json: bool) -> None:
    """Write a style as an ONNX network of single pictures, checked against torch.

    Example: stylereel styles export starry-night --out starry-night.onnx
    """
    height, _, width = size.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise click.BadParameter(f"{size!r}: rows x columns, such as 540x960", param_hint="--size")
    refuse_overwriting([out], style_files(style))
    pack, name = find_style(style)
    export_onnx(pack, name, Path(out), int(height), int(width))
    print_result({"onnx": out, "style": style}, [out], as_json)
