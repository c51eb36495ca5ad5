"""Which shot gets which look: the job's own, another for some shots, or key frames along the film."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pipelines.config import LookKey, ShotLook, TitleJob
from pipelines.errors import UsageError
from pipelines.mattes import make_matte
from pipelines.timeline import FrameRange, Shot, parse_numbers
from stylecore.catalog import find_style, find_styles
from stylecore.errors import StyleError
from stylecore.spec import StyleKey, StyleSpec


@lru_cache(maxsize=64)
def style_digest(reference: str) -> str:
    """Identity of a style's weights; an unknown style is a UsageError."""
    try:
        pack, name = find_style(reference)
    except StyleError as err:
        raise UsageError(str(err)) from err
    return pack.style_digest(name)


def check_styles(job: TitleJob) -> None:
    """Raise before any work if a style that the job names cannot be had."""
    for look in (job, *job.looks):
        style_digest(look.style)
    film_keys(job)


def looks_of_shots(job: TitleJob, shots: Sequence[Shot]) -> list[StyleSpec]:
    """The look of each shot."""
    frames = shots[-1].frames.stop
    base = _look(job, frames)
    keys = film_keys(job)
    if keys:
        return [keyed_look(base, keys, shot.frames) for shot in shots]
    looks = dict.fromkeys((shot.number for shot in shots), base)
    for choice in job.looks:
        spec = _look(choice, frames)
        looks |= {number: spec for number in _numbers(choice) if number in looks}
    return [looks[shot.number] for shot in shots]


def _look(choice: TitleJob | ShotLook, frames: int) -> StyleSpec:
    matte = make_matte(choice.matte, choice.paint == "outside", frames) if choice.matte else None
    digest = style_digest(choice.style)
    return StyleSpec(choice.style, digest, choice.strength, choice.color, choice.brush, matte=matte)


def _numbers(choice: ShotLook) -> list[int]:
    try:
        return list(parse_numbers(choice.shots))
    except ValueError as err:
        raise UsageError(f"looks: {err}") from err


def film_keys(job: TitleJob) -> list[StyleKey]:
    """The job's key frames, counted from the film's first, each with all that it left to the one before."""
    if not job.key_frames:
        return []
    if job.looks:
        raise UsageError("a job has either `key_frames:` along the film or `looks:` for shots, not both")
    style, strength, keys = job.style, job.strength, []
    for key in sorted(job.key_frames, key=_frame):
        style = style if key.style is None else key.style
        strength = strength if key.strength is None else key.strength
        keys.append(StyleKey(key.frame, style, style_digest(style), strength))
    try:
        find_styles(key.style for key in keys)
    except StyleError as err:
        raise UsageError(f"key_frames: {err}") from err
    return keys


def _frame(key: LookKey) -> int:
    return key.frame


def keyed_look(base: StyleSpec, keys: Sequence[StyleKey], frames: FrameRange) -> StyleSpec:
    """The look of one shot: the keys inside and the nearest on either side, counted from its first frame."""
    before = [key for key in keys if key.frame <= frames.start][-1:]
    inside = [key for key in keys if frames.start < key.frame < frames.stop - 1]
    after = [key for key in keys if key.frame >= frames.stop - 1 and key not in before][:1]
    mine = [replace(key, frame=key.frame - frames.start) for key in (*before, *inside, *after)]
    first = mine[0]
    look = replace(base, style=first.style, style_digest=first.style_digest, strength=first.strength)
    still = len({(key.style_digest, key.strength) for key in mine}) == 1
    return look if still else replace(look, keys=tuple(mine))
