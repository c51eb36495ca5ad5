"""Prove a delivery: every frame, every timestamp, every copied packet. Reads both files anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.errors import ConformError
from pipelines.media.containers import Family, container_of
from pipelines.media.opening import open_source
from pipelines.media.original import Original
from pipelines.media.proofs import TrackProof, prove_head, prove_tracks, read_streams, worst_error
from pipelines.media.source_info import SourceInfo

_MKV_TOLERANCE = Fraction(1, 2000)
"""Matroska counts whole milliseconds."""
_SHAPE_TOLERANCE = Fraction(1, 1000)
"""Codecs and containers write a ratio in numbers of 8 to 32 bits."""


@dataclass(frozen=True)
class ConformReport:
    """What was proved about a delivery."""

    frames: int
    worst_error_seconds: Fraction
    """Largest distance of a frame from its time in the source, after the common shift."""
    shift_seconds: Fraction
    """By how much all tracks alike were moved, because a container cannot start below zero."""
    chapters: int
    tracks: tuple[TrackProof, ...]
    tags_missing: tuple[str, ...]


def conform(delivery: Path, original: Original, packet_crcs: Sequence[int]) -> ConformReport:
    """Compare with the source; a single frame, time, packet or chapter that differs is a ConformError."""
    timeline = original.timeline
    picture, *others = read_streams(delivery)
    if picture.crcs != list(packet_crcs):
        raise ConformError(
            f"{delivery.name}: {len(picture.crcs)} picture packets are not the {len(packet_crcs)} rendered"
        )
    _prove_shape(delivery, original.info)
    tolerance = Fraction(0) if container_of(delivery.suffix) == Family.MP4 else _MKV_TOLERANCE
    shown, expected = sorted(picture.stamps), [stamp * timeline.time_base for stamp in timeline.pts]
    shift = _common_shift(shown, expected, tolerance)
    worst = worst_error(shown, expected, shift)
    if worst > tolerance:
        raise ConformError(
            f"{delivery.name}: a frame is {float(worst) * 1000:.3f} ms from its time in the source"
        )
    rounds = tolerance or original.info.container != Family.MP4
    allowed = 2 * _MKV_TOLERANCE if rounds else tolerance
    tracks = prove_tracks(delivery, others, original, shift, allowed)
    chapters, missing = prove_head(delivery, original)
    return ConformReport(len(shown), worst, shift, chapters, tracks, missing)


def _prove_shape(delivery: Path, info: SourceInfo) -> None:
    """Matroska leaves the shape of a pixel to the codec, and some cannot say it: a note tells of that."""
    if container_of(delivery.suffix) != Family.MP4 or not info.sample_aspect:
        return
    with open_source(delivery) as made:
        found = made.streams[0].sample_aspect_ratio or Fraction(1)
    if abs(found / info.sample_aspect - 1) > _SHAPE_TOLERANCE:
        raise ConformError(
            f"{delivery.name}: pixels are {found} as wide as high, {info.sample_aspect} in the source"
        )


def _common_shift(shown: Sequence[Fraction], expected: Sequence[Fraction], tolerance: Fraction) -> Fraction:
    if len(shown) != len(expected):
        raise ConformError(f"{len(shown)} frames delivered, {len(expected)} in the source")
    shift = shown[0] - expected[0]
    return shift if tolerance and abs(shift) > tolerance else Fraction(0)
