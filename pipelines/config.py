"""Where text becomes values: job files, options and the environment. The only reader of os.environ."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines import schema
from pipelines.credentials import masked
from pipelines.errors import UsageError
from pipelines.media.fitting import EncodeSpec
from pipelines.media.pictures import check_pattern, is_sequence
from pipelines.media.scan import SCANS
from pipelines.storage import absolute_url
from pipelines.timecode import parse_span
from stylecore.catalog import Part, format_reference, is_pack, parse_reference
from stylecore.errors import StyleError
from stylecore.spec import COLOR_MODES, METHODS, EngineSpec

# About a minute or two of work for one task, on a CPU at small sizes or a GPU at large ones.
DEFAULT_SHARD_FRAMES = 480


class Look(BaseModel):
    """How something should look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: str = "starry-night"
    strength: float = Field(1.0, ge=0, le=1)
    color: str = Field("style", pattern=f"^({'|'.join(COLOR_MODES)})$")
    brush: float = Field(1.0, ge=0.25, le=4)
    """Size of strokes relative to the style's own."""
    matte: str = ""
    """A greyscale picture, or a film with as many frames as the title."""
    paint: str = Field("inside", pattern="^(inside|outside)$")
    """Which side of the matte."""
    method: str = Field("network", pattern=f"^({'|'.join(METHODS)})$")
    """`optimize` paints short shots from a picture, frame after frame."""
    passes: int = Field(1, ge=1)
    """Of `optimize`: how often it goes over a shot."""


class ShotLook(Look):
    """Another look for some shots, by number: `shots: 3,7-9`."""

    style: str
    shots: str


class LookKey(BaseModel):
    """A key frame of the look; what is left out is as at the key before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: int = Field(ge=0)
    style: str | None = None
    strength: float | None = Field(None, ge=0, le=1)


class TitleJob(Look):
    """One film to be rendered: everything the result depends on, and where it goes."""

    source: str
    output: str
    work: str = ""
    looks: tuple[ShotLook, ...] = ()
    key_frames: tuple[LookKey, ...] = ()
    """Key frames along the whole film, instead of `looks`."""
    cuts: tuple[int, ...] | None = None
    """First frames of shots, when the user knows better than the detector."""
    range: str = ""
    """The frames to deliver, `A-B` in frame numbers or timecodes; all of them unless given."""
    scan: str = Field("auto", pattern=f"^({'|'.join(SCANS)})$")
    """What to do about interlacing."""
    shard_frames: int = Field(DEFAULT_SHARD_FRAMES, ge=1)
    batch: int = Field(1, ge=1)
    tile: int = Field(0, ge=0)
    device: str = "auto"
    codec: str | None = None
    """H.264 unless given; pictures have none."""
    quality: int | None = None
    preset: str | None = None
    lossless: bool = False
    depth: int | None = None
    hdr: str = "keep"
    allow_drop: bool = False
    strict: bool = False
    """Refuse a damaged source instead of rendering what can be decoded of it."""

    @property
    def encode_spec(self) -> EncodeSpec:
        """The encoding asked for; pictures are made from parts without loss."""
        as_pictures = is_sequence(self.output)
        return EncodeSpec(
            codec="ffv1" if as_pictures else self.codec or "h264",
            quality=self.quality,
            preset=self.preset or "medium",
            lossless=self.lossless,
            depth=self.depth,
            hdr=self.hdr,
            allow_drop=self.allow_drop,
        )

    @property
    def place(self) -> str:
        """What is published: the output, or the folder that its pictures fill."""
        return self.output.rpartition("/")[0] if is_sequence(self.output) else self.output

    @property
    def engine_spec(self) -> EngineSpec:
        """The engine asked for; `device` must have been resolved."""
        return EngineSpec(self.device, self.batch, self.tile)

    @property
    def name(self) -> str:
        """What people call this run."""
        return f"{Path(self.source).stem}-{Path(self.style).stem}"


def make_job(options: dict[str, Any]) -> TitleJob:
    """A job from options; paths made absolute, the work folder beside the output unless given.

    Credentials in URLs stay out of it: see `pipelines.credentials`.
    """
    recall_urls()
    try:
        job = TitleJob(**{key: value for key, value in options.items() if value is not None})
        job.encode_spec  # noqa: B018  checks codec and quality
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']} (found {first['input']!r})") from err
    _refuse_malformed_range(job.range)
    _refuse_codec_for_pictures(job)
    output = absolute_url(job.output)
    job = job.model_copy(update={"output": output})
    work = absolute_url(job.work) if job.work else f"{job.place}.stylereel"
    places = {"source": absolute_url(job.source), "work": work}
    looks = tuple(_settled(look) for look in job.looks)
    keys = tuple(
        key.model_copy(update={"style": key.style and absolute_style(key.style)}) for key in job.key_frames
    )
    return _settled(job).model_copy(update={**places, "looks": looks, "key_frames": keys})


def _refuse_malformed_range(text: str) -> None:
    try:
        if text:
            parse_span(text)
    except ValueError as err:
        raise UsageError(f"range {text!r}: {err}") from err


def _refuse_codec_for_pictures(job: TitleJob) -> None:
    if not is_sequence(job.output):
        return
    check_pattern(job.output)
    wish = {name: getattr(job, name) for name in ("codec", "quality", "preset", "lossless")}
    given = [name for name, value in wish.items() if value is not None and value is not False]
    if given:
        raise UsageError(
            f"{given[0]}: pictures are delivered without a codec and without loss; leave it out "
            "(--depth 10 or 12 gives deeper ones)"
        )


_AnyLook = TypeVar("_AnyLook", bound=Look)


def _settled(look: _AnyLook) -> _AnyLook:
    """The look with absolute places, so that it means the same from any folder."""
    matte = absolute_url(look.matte) if look.matte else ""
    return look.model_copy(update={"style": absolute_style(look.style), "matte": matte})


def absolute_style(reference: str) -> str:
    """A style reference whose packs and pictures have absolute places."""
    try:
        parts = parse_reference(reference)
    except StyleError as err:
        raise UsageError(str(err)) from err
    return format_reference([replace(part, reference=_absolute_part(part)) for part in parts])


def _absolute_part(part: Part) -> str:
    if not part.is_file:
        return part.reference
    file, mark, name = part.reference.partition("#") if is_pack(part.reference) else (part.reference, "", "")
    return absolute_url(file) + mark + name


def load_job_file(path: Path, overrides: dict[str, Any]) -> TitleJob:
    """A job from YAML; relative paths are relative to where the command runs; options win over the file."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as err:
        raise UsageError(f"{path}: not a job file that can be read ({err})") from err
    if not isinstance(document, dict):
        raise UsageError(f"{path}: a job file holds options such as `source:` and `output:`")
    return make_job({**document, **{key: value for key, value in overrides.items() if value is not None}})


def recall_urls() -> None:
    """Learn the URLs in $STYLEREEL_URLS, divided by spaces: those whose credentials no stored job holds."""
    for url in os.environ.get("STYLEREEL_URLS", "").split():
        masked(url)


def cache_folder() -> Path:
    """Where this machine keeps what can be made again: $STYLEREEL_CACHE, else the user's cache.

    One folder for each version of the manifest: what an older program left there is nobody's fault.
    """
    given = os.environ.get("STYLEREEL_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylereel"
    folder = Path(given).expanduser().absolute() if given else users
    return folder / f"manifest-{schema.VERSION}"


def prefect_server_given() -> str:
    """The API of the Prefect server that the user points to; empty when there is none."""
    return os.environ.get("PREFECT_API_URL", "")
