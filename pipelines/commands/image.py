"""`stylereel image`: one picture, by any of the field's methods."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from torch import Tensor

from pipelines import progress
from pipelines.commands.common import check_picture_name, console, json_option, layer_weight, print_result
from pipelines.config import absolute_style
from pipelines.display import Display
from pipelines.environment import cache_folder
from pipelines.errors import UsageError
from pipelines.loss_networks import find_encoder
from pipelines.media.animation import ANIMATIONS
from pipelines.overwriting import refuse_overwriting
from pipelines.places import absolute_url
from pipelines.sources import fetch_source
from pipelines.studio import Studio
from stylecore.catalog import find_style, parse_reference, style_files
from stylecore.criterion import Region, Style, Wishes
from stylecore.encoders import POOLINGS
from stylecore.harmonize import HarmonizeSpec, harmonize
from stylecore.images import SUFFIXES, fit, load_matte, load_picture, longest_side_px
from stylecore.losses import STYLE_LOSSES
from stylecore.optimize import OPTIMIZERS, STARTS, Iterate, OptimizeSpec, optimize
from stylecore.spec import COLOR_MODES
from stylecore.stills import paint_still

_LONGEST_PX = 8192
"""Of a still by network: painting 40 megapixels takes about 4 GB."""
_SPEC, _WISHES = OptimizeSpec(), Wishes()
_ALWAYS = {"picture", "output", "style", "method", "as_json"}
_SEEN = {"show_features", "loss_network", "sha256", "pooling"}
_STEPPED = {"snapshots", "animation", "loss_plot", "size", "steps"}
_HEEDED = {"network": _ALWAYS | {"show_features"}, "harmonize": _ALWAYS | _SEEN | _STEPPED | {"matte"}}
"""Options of methods that do not heed all; optimization has no use for a matte alone."""


def _number(flag: str, default: float, about: str) -> Callable[..., Any]:
    return click.option(flag, default=default, show_default=True, help=about)


def _choice(flag: str, default: str, choices: tuple[str, ...], about: str) -> Callable[..., Any]:
    return click.option(flag, default=default, type=click.Choice(choices), show_default=True, help=about)


_ASKED = [
    _choice("--style-loss", _WISHES.style_loss, tuple(STYLE_LOSSES), "What of a style is compared."),
    _number("--style-weight", _WISHES.style_weight, "Pull of the style."),
    _number("--content-weight", _WISHES.content_weight, "Pull of the content."),
    _number("--histogram-weight", _WISHES.histogram_weight, "Pull of the style's histograms."),
    _number("--smooth-weight", _WISHES.smooth_weight, "Pull against noise (total variation)."),
    click.option("--style-layer", "style_layers", multiple=True, metavar="NAME=WEIGHT", help="relu1_1=2."),
    click.option(
        "--content-layer", "content_layers", multiple=True, metavar="NAME=WEIGHT", help="relu4_2=1."
    ),
    _number("--style-scale", _WISHES.style_scale, "Size of strokes."),
    click.option(
        "--region", "regions", multiple=True, metavar="MATTE=STYLE", help="Another style somewhere."
    ),
]
_DONE = [
    _number("--size", _SPEC.size_px, "Longest side of the painting, px."),
    _number("--smallest", _SPEC.smallest_px, "Longest side of the coarsest scale, px."),
    _number("--steps", _SPEC.steps, "Steps on each scale, or of each pass."),
    _choice("--optimizer", _SPEC.optimizer, OPTIMIZERS, "How the pixels are moved."),
    _number("--learning-rate", _SPEC.learning_rate, "Of Adam."),
    click.option("--start", default=_SPEC.start, show_default=True, metavar="|".join([*STARTS, "PICTURE"])),
    _choice("--color", _SPEC.color, COLOR_MODES, "Whose colours."),
    _number("--seed", _SPEC.seed, "Of the noise it starts from."),
    click.option("--loss-network", default="bundled", metavar="bundled|vgg16|vgg19|FILE", show_default=True),
    click.option("--sha256", help="What the loss network's file must be."),
    _choice("--pooling", "max", tuple(POOLINGS), "Between the loss network's stages."),
]
_SHOWN = [
    click.option(
        "--snapshots",
        default=0,
        type=click.IntRange(min=0),
        metavar="N",
        help="Keep OUTPUT-000N.png of every Nth step.",
    ),
    click.option("--animation", metavar="FILE", help="From start to painting: .gif, .webp or .mp4."),
    click.option("--loss-plot", metavar="FILE", help="The losses of every step, as a picture."),
    click.option("--show-features", metavar="DIR", help="What the loss network sees, as pictures."),
]


def _with(options: list[Callable[..., Any]]) -> Callable[..., Any]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@click.argument("picture")
@click.argument("output")
@click.option("--style", required=True, help="Style, picture, or blend A.jpg:0.6+B.jpg:0.4.")
@_choice("--method", "network", ("network", "optimize", "harmonize"), "See docs/methods.md.")
@click.option("--matte", metavar="FILE", help="harmonize: white where PICTURE's element is.")
@_with([*_ASKED, *_DONE, *_SHOWN])
@json_option
def image(picture: str, output: str, style: str, method: str, as_json: bool, **options: Any) -> None:
    """Paint one PICTURE: by network in a blink, by optimization in minutes, or harmonize an element.

    By network it keeps its size, up to 8192 px a side; the other methods paint at --size.

    Example: stylereel image photo.jpg painted.png --style harbour.jpg --method optimize
    """
    _refuse_odd_names(output, options["loss_plot"], options["animation"])
    _refuse_unheeded(method)
    refuse_overwriting(_written(output, options), _read(picture, style, options))
    content = _still(picture) if method == "network" else _load(picture)
    studio = Studio(absolute_url(output), options["snapshots"], bool(options["animation"]))
    with Display(console()):
        if method == "network":
            studio.keep_still(paint_still(content, *find_style(absolute_style(style))))
        else:
            run = _optimized if method == "optimize" else _harmonized
            _follow(run(content, style, options), studio)
        studio.publish()
        if options["animation"]:
            studio.animate(absolute_url(options["animation"]))
        if options["loss_plot"]:
            studio.plot_losses(absolute_url(options["loss_plot"]))
        if options["show_features"]:
            studio.show_features(_load(picture), _encoder(options), absolute_url(options["show_features"]))
    told = [f"{name} {value:.5f}" for name, value in studio.losses.items()]
    print_result({"output": output, "method": method, "losses": studio.losses}, [*told, output], as_json)


def _follow(iterates: Iterator[Iterate], studio: Studio) -> None:
    for each in iterates:
        if each.step == 1:
            progress.begin("paint", each.steps, unit="steps")
        studio.keep(each)
        progress.advance()


def _optimized(content: Tensor, style: str, options: Mapping[str, Any]) -> Iterator[Iterate]:
    start = options["start"]
    given = None if start in STARTS else _load(start)
    spec = _spec({**options, "start": _SPEC.start if given is not None else start})
    return optimize(content, _regions(style, options["regions"]), _encoder(options), spec, given)


def _harmonized(content: Tensor, style: str, options: Mapping[str, Any]) -> Iterator[Iterate]:
    if not options["matte"]:
        raise UsageError("--method harmonize needs --matte, a picture that is white where the element is")
    if len(parse_reference(style)) > 1:
        raise UsageError(f"style {style!r}: --method harmonize takes one painting as it is, no blend")
    painting = _styles(style)[0].picture
    spec = HarmonizeSpec(size_px=options["size"], steps=_spec(options).steps)
    return harmonize(content, _matte(options["matte"]), painting, _encoder(options), spec)


def _spec(options: Mapping[str, Any]) -> OptimizeSpec:
    wishes = {
        each.name: options[each.name] for each in fields(Wishes) if options.get(each.name) not in (None, ())
    }
    for name in ("style_layers", "content_layers"):
        if name in wishes:
            wishes[name] = dict(layer_weight(item) for item in wishes[name])
    done = {name: options[name] for name in ("steps", "optimizer", "learning_rate", "start", "color", "seed")}
    try:
        smallest = min(options["smallest"], options["size"])
        return OptimizeSpec(options["size"], smallest, **done, wishes=Wishes(**wishes))
    except ValueError as err:
        raise UsageError(str(err)) from err


def _regions(style: str, others: tuple[str, ...]) -> list[Region]:
    """The styles everywhere, or where no other's matte is white, and the others'."""
    if not others:
        return [Region(_styles(style))]
    named = [item.partition("=") for item in others]
    mattes = [_matte(file) for file, _, _ in named]
    rest = 1 - sum((fit(each[None], mattes[0][None])[0] for each in mattes[1:]), mattes[0]).clamp(0, 1)
    regions = [Region(_styles(other), matte) for (_, _, other), matte in zip(named, mattes, strict=True)]
    return [Region(_styles(style), rest), *regions]


def _styles(reference: str) -> list[Style]:
    parts = parse_reference(reference)
    named = [part.reference for part in parts if not part.reference.lower().endswith(SUFFIXES)]
    if named:
        raise UsageError(f"style {named[0]!r}: optimization looks at pictures; give one, or --method network")
    return [Style(_load(part.reference), part.weight) for part in parts]


def _load(place: str) -> Tensor:
    return load_picture(_fetched(place))


def _still(place: str) -> Tensor:
    """A picture to be painted at its own size, up to what memory bears."""
    path = _fetched(place)
    content = load_picture(path, at_most_px=_LONGEST_PX)
    if longest_side_px(path) > _LONGEST_PX:
        height, width = content.shape[-2:]
        click.echo(f"{place}: painted at {width}x{height}, stills go up to {_LONGEST_PX} px a side", err=True)
    return content


def _matte(place: str) -> Tensor:
    return load_matte(_fetched(place))


def _fetched(place: str) -> Path:
    return fetch_source(absolute_url(place), cache_folder() / "pictures")


def _encoder(options: Mapping[str, Any]) -> Any:
    return find_encoder(options["loss_network"], options["sha256"], options["pooling"])


def _written(output: str, options: Mapping[str, Any]) -> list[str]:
    return [output, *filter(None, (options["animation"], options["loss_plot"]))]


def _read(picture: str, style: str, options: Mapping[str, Any]) -> list[str]:
    """Every file that the options name to be read."""
    regions = [item.partition("=") for item in options["regions"]]
    start = "" if options["start"] in STARTS else options["start"]
    styles = [style, *(other for _, _, other in regions)]
    named = [picture, start, options["matte"], options["loss_network"], *(matte for matte, _, _ in regions)]
    return [*named, *chain.from_iterable(map(style_files, styles))]


def _refuse_odd_names(output: str, plot: str | None, animation: str | None) -> None:
    for name in filter(None, (output, plot)):
        check_picture_name(name)
    if animation and Path(animation).suffix.lower() not in ANIMATIONS:
        raise UsageError(f"{animation}: an animation is called {', '.join(ANIMATIONS)}")


def _refuse_unheeded(method: str) -> None:
    """What was asked for and would change nothing."""
    context = click.get_current_context()
    heeded = _HEEDED.get(method, set(context.params) - {"matte"})
    heeded = heeded | (_SEEN if context.params["show_features"] else set())
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name not in heeded and source is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option.opts[0]} means nothing to --method {method}; see docs/methods.md")
