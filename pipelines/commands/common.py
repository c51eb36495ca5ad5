"""What commands share: options, the console, printing results."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from torch import Tensor

from pipelines.demo.canvas import Picture
from pipelines.errors import UsageError
from pipelines.media.codecs import CODECS
from pipelines.media.fitting import HDR
from pipelines.media.scan import SCANS
from stylecore.images import SUFFIXES
from stylecore.spec import COLOR_MODES, MOST_STEADY, PRECISIONS

Command = Callable[..., Any]


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Age(click.ParamType):
    """A length of time, such as 45s, 10m, 12h or 30d."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> timedelta:
        """The length of time that a text means."""
        found = re.fullmatch(r"(\d+)([smhd])", str(value))
        if not found:
            self.fail(
                f"{value!r}: expected a number and a unit, such as 45s, 10m, 12h or 30d", param, context
            )
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


AGE = Age()


def console() -> Console:
    """Standard error, where all talk goes."""
    return Console(stderr=True)


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")(
        command
    )


def style_options(command: Command) -> Command:
    """The options that say how a film should look and be computed and encoded."""
    options = [
        click.option("--style", help="Style, PICTURE, PACK.safetensors[#NAME], or blend A:0.6+B:0.4."),
        click.option("--strength", type=float, help="0 (source) to 1 (full style)."),
        click.option(
            "--color",
            type=click.Choice(COLOR_MODES),
            help="The style's colours, the source's, or the style's matched to the source's palette.",
        ),
        click.option("--brush", type=float, help="Size of strokes: 2 is twice as large, 0.5 half."),
        click.option(
            "--steady",
            type=click.IntRange(0, MOST_STEADY),
            help="Frames on either side whose strokes each shares, along the motion; 0: each by itself.",
        ),
        click.option(
            "--matte",
            metavar="FILE",
            help="Grey picture, cut-out, or film with as many frames: where to paint.",
        ),
        click.option("--paint", type=click.Choice(["inside", "outside"]), help="Which side of the matte."),
        click.option(
            "--range",
            metavar="A-B",
            help="Only these frames, B left out: 240-480, 00:00:10:00-00:00:20:00, 240- or -480.",
        ),
        click.option(
            "--scan",
            type=click.Choice(SCANS),
            help="Interlaced film: film back from telecine, else a picture a frame (auto), always a picture "
            "a frame (deinterlace), frames as whole whatever they are marked (progressive), or fields kept.",
        ),
        click.option("--work", help="Where finished shards are kept; default: beside OUTPUT."),
        click.option("--shard-frames", type=int, help="Most frames one task renders."),
        click.option("--batch", type=int, help="Frames per call on a GPU."),
        click.option("--at-once", type=int, help="Shards painted at the same time; they share the cores."),
        click.option("--memory", metavar="SIZE", help="About what painting may hold, such as 2GiB."),
        click.option("--tile", type=int, metavar="PX", help="Render in tiles of this side; saves memory."),
        click.option("--device", help="auto, cpu or cuda:0."),
        click.option(
            "--precision",
            type=click.Choice(["auto", *PRECISIONS]),
            help="Of the networks' arithmetic; auto: what the device is fast at and the look bears.",
        ),
        click.option("--codec", type=click.Choice([*CODECS]), help="Delivery codec."),
        click.option(
            "--quality", type=int, metavar="CRF", help="0 best to 51; default 18 (h264), 20 (h265), 26 (av1)."
        ),
        click.option("--depth", type=click.Choice(["8", "10", "12"]), help="Bits of a sample; the source's."),
        click.option("--hdr", type=click.Choice(HDR), help="Keep high dynamic range, or deliver standard."),
        click.option("--preset", help="Encoder preset, such as veryfast or slow."),
        click.option("--lossless", is_flag=True, default=None, help="A master: decodes to the exact frames."),
        click.option("--allow-drop", is_flag=True, default=None, help="Go on when a track cannot be kept."),
        click.option("--strict", is_flag=True, default=None, help="Refuse a source that is damaged."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def span(seconds: float) -> str:
    """A length of time for people: 1 h 05 min, 3 min 20 s, 4.2 s."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def print_result(facts: Mapping[str, Any], lines: list[str], as_json: bool) -> None:
    """One JSON object, or a few lines, on standard output."""
    click.echo(json.dumps(facts) if as_json else "\n".join(lines))


def drawn_picture(scene: Callable[[float], Picture], moment: float) -> Tensor:
    """A moment (0..1) of one of the demo's scenes as a picture (3,H,W) in 0..1."""
    return torch.from_numpy(scene(moment)).float().permute(2, 0, 1).clamp(0, 1)


def check_picture_name(name: str) -> None:
    """Raise before any work unless a picture can be written under this name."""
    if Path(name).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{name}: a picture is called {', '.join(SUFFIXES)}")


def layer_weight(item: str) -> tuple[str, float]:
    """A loss network's layer and its weight, of NAME=WEIGHT."""
    name, _, weight = item.partition("=")
    try:
        return name, float(weight)
    except ValueError as err:
        raise UsageError(f"layer {item!r}: expected NAME=WEIGHT, such as relu4_1=2") from err
