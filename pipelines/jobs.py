"""What is to be done, as frozen values: the look of a film, a title's job, a season's."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from pipelines.environment import cores
from pipelines.media.fitting import EncodeSpec
from pipelines.media.pictures import is_sequence
from pipelines.media.scan import SCANS
from stylecore.catalog import called
from stylecore.spec import COLOR_MODES, EXACT, METHODS, MOST_STEADY, PRECISIONS, EngineSpec

_GPU_SHARDS = 4
_CPU_SHARDS = 2
"""More than these were never measured; each holds its own frames and its own encoder."""


class Look(BaseModel):
    """How something should look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: str = "starry-night"
    strength: float = Field(1.0, ge=0, le=1)
    color: str = Field("style", pattern=f"^({'|'.join(COLOR_MODES)})$")
    brush: float = Field(1.0, ge=0.25, le=4)
    """Size of strokes relative to the style's own."""
    matte: str = ""
    """A greyscale picture, a cut-out, or a film with as many frames as the title."""
    paint: str = Field("inside", pattern="^(inside|outside)$")
    """Which side of the matte."""
    method: str = Field("network", pattern=f"^({'|'.join(METHODS)})$")
    """`optimize` paints short shots from a picture, `harmonize` lays what the matte shows into a painting."""
    passes: int = Field(1, ge=1)
    """Of `optimize`: how often it goes over a shot."""
    steady: int | None = Field(None, ge=0, le=MOST_STEADY)
    """Of `network`: frames on either side whose strokes each shares; unless given, as the look needs."""


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
        """As many as keep the device busy: a GPU waits for encoders, processors wait for each other.

        Where memory is counted, one shard has all of it.
        """
        if self.at_once or self.memory:
            return self.at_once or 1
        return _GPU_SHARDS if self.device.startswith("cuda") else min(_CPU_SHARDS, cores())

    @property
    def name(self) -> str:
        """What people call this run."""
        return f"{Path(self.source).stem}-{called(self.style)}"


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
