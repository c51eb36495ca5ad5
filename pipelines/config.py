"""Where text becomes jobs: options and YAML files, checked, every place made absolute."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pipelines.errors import UsageError
from pipelines.jobs import Look, Season, SeasonTitles, TitleJob
from pipelines.media.pictures import check_pattern, is_sequence
from pipelines.overwriting import (
    inputs_of,
    refuse_among_pictures,
    refuse_in_work,
    refuse_overwriting,
    refuse_work_in_film,
)
from pipelines.places import absolute_url
from pipelines.timecode import parse_span
from stylecore.catalog import Part, format_reference, is_pack, parse_reference
from stylecore.errors import StyleError


def make_job(options: dict[str, Any]) -> TitleJob:
    """A job from options; paths made absolute, the work folder beside the output unless given.

    Credentials in URLs stay out of it: see `pipelines.credentials`.
    """
    try:
        job = TitleJob(**{key: value for key, value in options.items() if value is not None})
        job.encode_spec, job.engine_spec  # noqa: B018  checks codec and quality, tiles and batches
    except ValidationError as err:
        raise _usage_error(err) from err
    except ValueError as err:
        raise UsageError(str(err)) from err
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
    settled = _settled(job).model_copy(update={**places, "looks": looks, "key_frames": keys})
    refuse_overwriting([output], inputs_of(settled))
    refuse_among_pictures(settled, "work", work)
    refuse_work_in_film(settled)
    refuse_in_work(settled)
    return settled


def _usage_error(err: ValidationError) -> UsageError:
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return UsageError(f"{where}: {first['msg']} (found {first['input']!r})")


def make_season(options: dict[str, Any]) -> Season:
    """A season from options; every place is made absolute, and every option is checked."""
    listed = options.get("titles") or []
    if not isinstance(listed, list | tuple):
        raise UsageError(f"titles: expected a list, each beginning with `- ` (found {listed!r})")
    titles = [{"source": title} if isinstance(title, str) else title for title in listed]
    try:
        season = Season(**{**options, "titles": titles})
    except ValidationError as err:
        raise _usage_error(err) from err
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
    if odd := [key for key in document if not isinstance(key, str)]:
        raise UsageError(f"{path}: {odd[0]!r} is no option; {expected}")
    return document
