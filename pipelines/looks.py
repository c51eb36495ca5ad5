"""Which shot gets which look: the job's own, another for some shots, or key frames along the film."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pipelines.config import absolute_style
from pipelines.disk import mark
from pipelines.errors import UsageError
from pipelines.jobs import Look, LookKey, ShotLook, TitleJob
from pipelines.mattes import make_matte, matte_mark
from pipelines.timeline import FrameRange, Shot, parse_numbers
from stylecore.catalog import (
    BUNDLED_PAINTINGS,
    find_style,
    find_styles,
    is_picture,
    parse_reference,
    style_files,
)
from stylecore.digest import digest, file_sha256
from stylecore.encoders import BUNDLED_LOSS_NETWORK
from stylecore.errors import StyleError
from stylecore.spec import StyleKey, StyleSpec

USUAL_STEADY = 4
LONGEST_IN_ORDER_FRAMES = 240
"""A shard in the middle of a shot paints the shot from its first frame."""


def looks_mark(job: TitleJob) -> tuple[object, ...]:
    """A value that changes whenever a file that the job's looks name is replaced."""
    choices = (job, *job.looks)
    references = [look.style for look in choices] + [key.style or "" for key in job.key_frames]
    return *map(_marks, references), *(matte_mark(look.matte) for look in choices)


def _marks(reference: str) -> tuple[object, ...]:
    """Of each file that a style's reference names."""
    return tuple(mark(Path(file)) for file in style_files(reference))


def style_digest(reference: str) -> str:
    """Identity of a style's weights; an unknown style is a UsageError."""
    return _style_digest(reference, _marks(reference))


@lru_cache(maxsize=64)
def _style_digest(reference: str, _marks: object) -> str:
    try:
        pack, name = find_style(reference)
    except StyleError as err:
        raise UsageError(str(err)) from err
    parts = parse_reference(reference)
    if not any(is_picture(part.reference) for part in parts):
        return pack.style_digest(name)
    # Not by the vector, which a processor may round another way.
    known = f"{pack.network_digest} {file_sha256(BUNDLED_PAINTINGS)}"
    return digest(" ".join([known, *(f"{_part_digest(part.reference)} {part.weight:.6g}" for part in parts)]))


def _part_digest(reference: str) -> str:
    if is_picture(reference):
        return file_sha256(Path(reference))
    pack, name = find_style(reference)
    return pack.style_digest(name)


def pictures_digest(reference: str) -> str:
    """Identity of the pictures that optimization looks at, and of the loss network that looks."""
    return _pictures_digest(reference, _marks(reference))


@lru_cache(maxsize=64)
def _pictures_digest(reference: str, _marks: object) -> str:
    found = hashlib.sha256(BUNDLED_LOSS_NETWORK.read_bytes())
    for part in parse_reference(reference):
        if not is_picture(part.reference):
            raise UsageError(f"style {part.reference!r}: its method looks at pictures; give one")
        try:
            content = Path(part.reference).read_bytes()
        except OSError as err:
            raise UsageError(f"{part.reference}: not a picture that can be read ({err.strerror})") from err
        found.update(f"{hashlib.sha256(content).hexdigest()}:{part.weight:.6g}".encode())
    return found.hexdigest()


def _digest(look: Look, reference: str) -> str:
    return style_digest(reference) if look.method == "network" else pictures_digest(reference)


def check_styles(job: TitleJob) -> None:
    """Raise before any work if a style that the job names cannot be had."""
    for look in (job, *job.looks):
        _refuse_unfit(look)
        _digest(look, look.style)
    film_keys(job)


def looks_of_shots(job: TitleJob, shots: Sequence[Shot]) -> list[StyleSpec]:
    """The look of each shot."""
    frames = shots[-1].frames.stop
    base = _look(job, frames)
    keys = film_keys(job)
    if keys:
        along = [keyed_look(base, keys, shot.frames) for shot in shots]
        return [replace(look, steady=_steady(job, look.style)) for look in along]
    looks = dict.fromkeys((shot.number for shot in shots), base)
    for choice in job.looks:
        _refuse_unknown(choice, len(looks))
        spec = _look(choice, frames)
        looks |= {number: spec for number in _numbers(choice.shots) if number in looks}
    for shot in shots:
        _refuse_long(shot, looks[shot.number])
    if job.scan == "fields" and any(look.method != "network" for look in looks.values()):
        raise UsageError("--scan fields paints every frame twice, which only method network can")
    return [looks[shot.number] for shot in shots]


def with_style(job: TitleJob, shots: Sequence[int], style: str) -> TitleJob:
    """The job with another style for some shots; all else of their looks stays."""
    wanted, fields, added = absolute_style(style), Look.model_fields, []
    for shot in shots:
        present = next((look for look in reversed(job.looks) if shot in _numbers(look.shots)), job)
        added.append({**present.model_dump(include=set(fields)), "shots": str(shot), "style": wanted})
    return TitleJob.model_validate({**job.model_dump(), "looks": [*job.model_dump()["looks"], *added]})


def _refuse_long(shot: Shot, look: StyleSpec) -> None:
    if look.method != "network" and len(shot.frames) > LONGEST_IN_ORDER_FRAMES:
        raise UsageError(
            f"shot {shot.number} has {len(shot.frames)} frames; method {look.method} is for shots of "
            f"{LONGEST_IN_ORDER_FRAMES} at most: choose such shots under `looks:`"
        )


def _refuse_unfit(look: Look) -> None:
    """What would be ignored; an element is white in a matte, and its look comes from one painting."""
    if look.method != "network" and look.steady:
        raise UsageError(f"steady is for method network; {look.method} goes along the motion by itself")
    if look.method != "optimize" and look.passes != 1:
        raise UsageError(f"passes: {look.passes} is for method optimize; {look.method} goes over a shot once")
    if look.paint == "outside" and not look.matte:
        raise UsageError("paint: outside needs `matte:`, white where nothing is painted")
    if look.method != "harmonize":
        return
    if not look.matte:
        raise UsageError("method harmonize needs `matte:`, white where the element is")
    if len(parse_reference(look.style)) > 1 or (look.color, look.brush) != ("style", 1):
        raise UsageError("method harmonize takes one painting as it is: no blend, color or brush")


def _look(choice: TitleJob | ShotLook, frames: int) -> StyleSpec:
    matte = make_matte(choice.matte, choice.paint == "outside", frames) if choice.matte else None
    return StyleSpec(
        choice.style,
        _digest(choice, choice.style),
        choice.strength,
        choice.color,
        choice.brush,
        matte=matte,
        method=choice.method,
        passes=choice.passes,
        steady=_steady(choice, choice.style),
    )


def _steady(choice: Look, style: str) -> int:
    """As asked for; unless that is said, a drawn look is steady, and sharp, as it is."""
    if choice.steady is not None or choice.method != "network":
        return choice.steady or 0
    pack, _ = find_style(style)
    return USUAL_STEADY if pack.network.norm_channels else 0


def _refuse_unknown(choice: ShotLook, last: int) -> None:
    """A range may run past the end, as one for every film of a season does, but it begins in the film."""
    begun = (_numbers(item)[0] for item in choice.shots.split(","))
    unknown = [number for number in begun if not 1 <= number <= last]
    if unknown:
        raise UsageError(
            f"looks: shots {choice.shots!r}: this film has no shot {unknown[0]}; choose among shots 1-{last}"
        )


def _numbers(shots: str) -> list[int]:
    try:
        return parse_numbers(shots)
    except ValueError as err:
        raise UsageError(f"looks: {err}") from err


def film_keys(job: TitleJob) -> list[StyleKey]:
    """The job's key frames, counted from the film's first, each with all that it left to the one before."""
    if not job.key_frames:
        return []
    if job.method != "network":
        raise UsageError(f"key frames move between styles of a network; method {job.method} has none")
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
