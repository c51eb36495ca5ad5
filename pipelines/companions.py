"""What goes along with a film's picture: its other tracks, as far as the delivery holds them."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import InputError
from pipelines.jobs import TitleJob
from pipelines.media.pictures import is_sequence
from pipelines.media.source_info import SourceInfo
from pipelines.media.tracks import (
    DROPPED,
    NOTHING,
    Fate,
    Refused,
    decide,
    decide_for_excerpt,
    decide_for_pictures,
)


def companion_suffix(job: TitleJob) -> str:
    """Of the file that holds sound and subtitles: the delivery itself, or what lies beside its pictures."""
    return ".mkv" if is_sequence(job.output) else Path(job.output).suffix.lower()


def fates_of(
    job: TitleJob, info: SourceInfo, refused: Refused = NOTHING, whole: bool = True
) -> tuple[Fate, ...]:
    """What becomes of every track, in a delivery of the whole film or of some of it."""
    if is_sequence(job.output):
        return tuple(decide_for_pictures(info, refused))
    fates = decide(info, Path(job.output).suffix, refused)
    return tuple(fates if whole else decide_for_excerpt(fates))


def refuse_drops(job: TitleJob, fates: Sequence[Fate]) -> None:
    """Raise what would be lost, unless the job allows it."""
    dropped = [fate for fate in fates if fate.action == DROPPED]
    if dropped and not job.allow_drop:
        lost = "; ".join(f"track {fate.track.index} {fate.track.kind}: {fate.reason}" for fate in dropped)
        raise InputError(f"{lost}. Use --allow-drop to go on without, or another output container")
