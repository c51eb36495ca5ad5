"""Where text becomes values: job files, options and the environment. The only reader of os.environ."""

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UsageError
from pipelines.media.codecs import EncodeSpec
from pipelines.storage import absolute_url
from stylecore.spec import EngineSpec

# About a minute or two of work for one task, on a CPU at small sizes or a GPU at large ones.
DEFAULT_SHARD_FRAMES = 480


class ShotLook(BaseModel):
    """Another look for some shots, by number: `shots: 3,7-9`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shots: str
    style: str
    strength: float = Field(1.0, ge=0, le=1)
    color: str = Field("style", pattern="^(style|source)$")


class TitleJob(BaseModel):
    """One film to be rendered: everything the result depends on, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    output: str
    work: str = ""
    style: str = "starry-night"
    strength: float = Field(1.0, ge=0, le=1)
    color: str = Field("style", pattern="^(style|source)$")
    looks: tuple[ShotLook, ...] = ()
    cuts: tuple[int, ...] | None = None
    """First frames of shots, when the user knows better than the detector."""
    shard_frames: int = Field(DEFAULT_SHARD_FRAMES, ge=1)
    batch: int = Field(1, ge=1)
    tile: int = Field(0, ge=0)
    device: str = "auto"
    codec: str = "h264"
    quality: int | None = None
    preset: str = "medium"
    lossless: bool = False
    allow_drop: bool = False

    @property
    def encode_spec(self) -> EncodeSpec:
        """The encoding asked for."""
        return EncodeSpec(self.codec, self.quality, self.preset, self.lossless)

    @property
    def engine_spec(self) -> EngineSpec:
        """The engine asked for; `device` must have been resolved."""
        return EngineSpec(self.device, self.batch, self.tile)

    @property
    def name(self) -> str:
        """What people call this run."""
        return f"{Path(self.source).stem}-{Path(self.style).stem}"


def make_job(options: dict[str, Any]) -> TitleJob:
    """A job from options; paths made absolute, the work folder beside the output unless given."""
    try:
        job = TitleJob(**{key: value for key, value in options.items() if value is not None})
        job.encode_spec  # noqa: B018  checks codec and quality
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']} (found {first['input']!r})") from err
    output = absolute_url(job.output)
    work = absolute_url(job.work) if job.work else f"{output}.stylereel"
    return job.model_copy(
        update={
            "source": absolute_url(job.source),
            "output": output,
            "work": work,
            "style": _style(job.style),
        }
    )


def _style(reference: str) -> str:
    file, mark, name = reference.partition("#")
    return absolute_url(file) + mark + name if file.endswith(".safetensors") else reference


def load_job_file(path: Path, overrides: dict[str, Any]) -> TitleJob:
    """A job from YAML; relative paths are relative to where the command runs; options win over the file."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as err:
        raise UsageError(f"{path}: not a job file that can be read ({err})") from err
    if not isinstance(document, dict):
        raise UsageError(f"{path}: a job file holds options such as `source:` and `output:`")
    return make_job({**document, **{key: value for key, value in overrides.items() if value is not None}})


def cache_folder() -> Path:
    """Where this machine keeps what can be made again: $STYLEREEL_CACHE, else the user's cache."""
    given = os.environ.get("STYLEREEL_CACHE")
    if given:
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylereel"


def prefect_server_given() -> str:
    """The API of the Prefect server that the user points to; empty when there is none."""
    return os.environ.get("PREFECT_API_URL", "")
