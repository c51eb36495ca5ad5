"""Where text becomes values: job files, options and the environment. The only reader of os.environ."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError

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
from stylecore.spec import COLOR_MODES, EXACT, METHODS, PRECISIONS, EngineSpec

_GPU_SHARDS = 4


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
    shard_frames: int | None = Field(None, ge=1)
    """By the film's length unless given: see `plan.usual_shard_frames`."""
    batch: int = Field(1, ge=1)
    tile: int = Field(0, ge=0)
    memory: ByteSize = ByteSize(0)
    """About how much painting may hold, such as `2GiB`; frames are painted in tiles where it takes that."""
    at_once: int | None = Field(None, ge=1, le=16)
    """Shards that are painted at the same time on this machine."""
    device: str = "auto"
    precision: str = Field("auto", pattern=f"^(auto|{'|'.join(PRECISIONS)})$")
    """Of the networks' arithmetic; `auto` is what the device is fast at, where a look bears it."""
    codec: str | None = None
    """H.264 unless given; pictures have none."""
    quality: int | None = None
    preset: str | None = None
    """The encoder's; unless given, one that does not hold up the device."""
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
            preset=self.preset or _preset(self.device),
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
        """The engine asked for; `device` must have been resolved, and a precision that was not is fp32."""
        precision = EXACT if self.precision == "auto" else self.precision
        memory_bytes = int(self.memory) // self.shards_at_once
        return EngineSpec(self.device, self.batch, self.tile, precision, memory_bytes)

    @property
    def shards_at_once(self) -> int:
        """As many as keep the device busy: decoding and encoding wait for processors, a GPU does not."""
        return self.at_once or (_GPU_SHARDS if self.device.startswith("cuda") else 1)

    @property
    def name(self) -> str:
        """What people call this run."""
        return f"{Path(self.source).stem}-{Path(self.style).stem}"


def _preset(device: str) -> str:
    """`faster` is medium's size and 0.2 dB less for two thirds of its time; a GPU would wait for it still."""
    return "veryfast" if device.startswith("cuda") else "faster"


class SeasonTitles(BaseModel):
    """Films of a season: a file, a pattern or a folder by URL, and what is different for these."""

    model_config = ConfigDict(frozen=True, extra="allow")

    source: str

    @property
    def options(self) -> dict[str, Any]:
        """What is different, by the names of a job file."""
        return self.model_extra or {}


class Season(BaseModel):
    """Many titles in one look. Whatever else a job file may say holds for all of them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    titles: tuple[SeasonTitles, ...]
    """Where two fit a film, the later one adds to the earlier."""
    output: str
    """Where a title goes: `{stem}` is its file's name without suffix, `{folder}` that of its folder."""
    catalogue: str = ""
    """Where it is recorded what became of every title; beside the outputs unless given."""
    price_per_hour: float = Field(0.0, ge=0)
    """Of the machine; what a title cost is recorded."""
    pool: str = ""
    """The Prefect work pool whose workers paint; this machine unless given."""

    @property
    def options(self) -> dict[str, Any]:
        """What holds for all titles, by the names of a job file."""
        return self.model_extra or {}


def make_job(options: dict[str, Any]) -> TitleJob:
    """A job from options; paths made absolute, the work folder beside the output unless given.

    Credentials in URLs stay out of it: see `pipelines.credentials`.
    """
    recall_urls()
    try:
        job = TitleJob(**{key: value for key, value in options.items() if value is not None})
        job.encode_spec  # noqa: B018  checks codec and quality
    except ValidationError as err:
        raise _told(err) from err
    _refuse_malformed_range(job.range)
    _refuse_codec_for_pictures(job)
    output = absolute_url(job.output)
    job = job.model_copy(update={"output": output})
    work = absolute_url(job.work) if job.work else f"{job.place}.stylereel"
    places = {"source": absolute_url(job.source), "work": work}
    if output == places["source"]:
        raise UsageError(f"{job.output}: is the source itself, which is never touched; name another output")
    looks = tuple(_settled(look) for look in job.looks)
    keys = tuple(
        key.model_copy(update={"style": key.style and absolute_style(key.style)}) for key in job.key_frames
    )
    return _settled(job).model_copy(update={**places, "looks": looks, "key_frames": keys})


def _told(err: ValidationError) -> UsageError:
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return UsageError(f"{where}: {first['msg']} (found {first['input']!r})")


def make_season(options: dict[str, Any]) -> Season:
    """A season from options; every place is made absolute, and every option is checked."""
    recall_urls()
    titles = [{"source": title} if isinstance(title, str) else title for title in options.get("titles") or []]
    try:
        season = Season(**{**options, "titles": titles})
    except ValidationError as err:
        raise _told(err) from err
    if not season.titles:
        raise UsageError("titles: a season lists files, patterns or folders of films")
    folder = season.output.partition("{")[0].rpartition("/")[0] or "."
    places = {
        "titles": [
            {"source": absolute_url(title.source), **_checked(season, title.options)}
            for title in season.titles
        ],
        "output": absolute_url(season.output),
        "catalogue": absolute_url(season.catalogue or f"{folder}/{season.name}.season"),
    }
    return Season(**{**season.model_dump(), **_checked(season, season.options), **places})


def with_titles(season: Season, place: str) -> Season:
    """The season with the films of one more place."""
    more = SeasonTitles(source=absolute_url(place))
    return season.model_copy(update={"titles": (*season.titles, more)})


def _checked(season: Season, options: dict[str, Any]) -> dict[str, Any]:
    """Options for titles of a season, as a job has them."""
    job = make_job({"source": "a title of the season", "output": season.output, **options})
    return job.model_dump(include=set(options))


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
    document = _load_yaml(path, "a job file holds options such as `source:` and `output:`")
    return make_job({**document, **{key: value for key, value in overrides.items() if value is not None}})


def load_season_file(path: Path) -> Season:
    """A season from YAML, named like the file unless it says otherwise."""
    document = _load_yaml(path, "a season file holds `titles:`, `output:` and options of a job file")
    return make_season({"name": path.stem, **document})


def _load_yaml(path: Path, expected: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        reason = " ".join(str(err).split())
        raise UsageError(f"{path}: cannot be read as YAML ({reason})") from err
    if not isinstance(document, dict):
        raise UsageError(f"{path}: {expected}")
    return document


def recall_urls() -> None:
    """Learn the URLs in $STYLEREEL_URLS, divided by spaces: those whose credentials no stored job holds."""
    for url in os.environ.get("STYLEREEL_URLS", "").split():
        masked(url)


def cores() -> int:
    """Processors that this process may use; OMP_NUM_THREADS means to limit them."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


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
