"""What becomes of every track, chapter and tag of a source: kept, converted or dropped, and why. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.media.containers import Family, container_of, held_codecs
from pipelines.media.source_info import SourceInfo, Track

KEPT, CONVERTED, DROPPED = "kept", "converted", "dropped"

_MP4_AUDIO = {
    "aac",
    "mp3",
    "mp3float",
    "ac3",
    "eac3",
    "alac",
    "opus",
    "flac",
    "vorbis",
    "mp2",
    "mp2float",
    "dca",
}
_NOT_IN_MOV = {"opus", "vorbis", "flac"}
_MP4_VIDEO = {"h264", "hevc", "mpeg4", "mpeg2video", "vp9", "av1", "libdav1d", "mjpeg", "png"}
_TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}


Refused = Mapping[int, str]
"""Why the writer of a delivery does not take some tracks, by index: found by trying (`rehearsal`)."""
NOTHING: Refused = {}


@dataclass(frozen=True)
class Fate:
    """What happens to one track; `codec` is what it is in the delivery."""

    track: Track
    action: str
    codec: str
    reason: str


def decide(info: SourceInfo, suffix: str, refused: Refused = NOTHING) -> list[Fate]:
    """The fate of every track but the picture, for a delivery named with a suffix."""
    return [
        _drop(fate.track, refused[fate.track.index])
        if fate.track.index in refused and fate.action != DROPPED
        else fate
        for fate in _by_tables(info, suffix)
    ]


def _by_tables(info: SourceInfo, suffix: str) -> list[Fate]:
    others = [track for track in info.tracks if track.index != info.video_index]
    suffix = suffix.lower()
    fates = [_held(_fate(track, info.container, suffix), suffix) for track in others]
    if suffix != ".mov":
        return fates
    return [
        _drop(fate.track, f"mov cannot hold {fate.track.role or fate.codec}: name the output .mp4 or .mkv")
        if fate.action != DROPPED and (fate.codec in _NOT_IN_MOV or fate.track.role == "cover")
        else fate
        for fate in fates
    ]


def _held(fate: Fate, suffix: str) -> Fate:
    """The fate of a track that would be copied, dropped if the container's writer does not take its codec."""
    copied = fate.action == KEPT and fate.track.kind in ("audio", "video", "subtitle")
    attached = fate.track.role == "cover" and container_of(suffix) == Family.MKV
    if not copied or attached or fate.codec in held_codecs(suffix):
        return fate
    return _drop(fate.track, f"{suffix[1:]} cannot hold {fate.codec or 'a codec that ffmpeg does not know'}")


def decide_for_excerpt(fates: Sequence[Fate]) -> list[Fate]:
    """The fates when a range is delivered: another picture cannot begin between its key frames."""
    return _without_pictures(fates, "another picture track cannot be cut to a range without encoding it anew")


def decide_for_pictures(info: SourceInfo, refused: Refused = NOTHING) -> list[Fate]:
    """The fates beside pictures: in one Matroska file, if there is any sound or cue to put into it."""
    fates = decide(info, ".mkv", refused)
    fates = _without_pictures(fates, "beside pictures there is no place for another one")
    if any(fate.track.kind in ("audio", "subtitle") and fate.action != DROPPED for fate in fates):
        return fates
    return [_drop(fate.track, "there is no sound or subtitle beside which it could be put") for fate in fates]


def _without_pictures(fates: Sequence[Fate], reason: str) -> list[Fate]:
    return [
        _drop(fate.track, reason)
        if fate.track.kind == "video" and fate.track.role != "cover" and fate.action != DROPPED
        else fate
        for fate in fates
    ]


def _fate(track: Track, source: str, suffix: str) -> Fate:
    target = container_of(suffix)
    if track.role == "cover" and target == Family.MKV:
        action = KEPT if source == Family.MKV else CONVERTED
        return Fate(track, action, track.codec, "the cover, as an attachment")
    if track.kind == "attachment":
        return _keep(track, "") if target == Family.MKV else _drop(track, "mp4 has no attachments")
    if track.kind == "data":
        return _data_fate(track, source)
    if source == target:
        return _keep(track, "")
    if track.kind == "subtitle":
        return _subtitle_fate(track, source, target)
    if track.codec in ("h264", "hevc") and source not in (
        Family.MKV,
        Family.MP4,
    ):  # start codes become lengths
        return _drop(track, f"another picture of {source} cannot be copied bit for bit")
    if _takes(suffix, track):
        return _keep(track, "")
    return _drop(track, f"{suffix[1:]} cannot hold {track.codec}")


def _takes(suffix: str, track: Track) -> bool:
    """Whether sound or picture from another container goes in, unless the writer does not know it."""
    if container_of(suffix) == Family.MKV:
        return True
    if track.kind == "video":
        return track.codec in _MP4_VIDEO
    # Players of mp4 know no uncompressed sound.
    return track.codec in _MP4_AUDIO or (suffix == ".mov" and track.codec.startswith("pcm_"))


def _subtitle_fate(track: Track, source: str, target: str) -> Fate:
    if track.codec not in _TEXT_SUBTITLES:
        if target == Family.MKV and track.codec == "pgssub" and source != Family.MKV:
            return _drop(track, f"{source} holds it in pieces; copy the film into mkv first (ffmpeg -c copy)")
        if target == Family.MKV:
            return _keep(track, "")
        return _drop(track, f"mp4 cannot hold {track.codec or 'bitmap'} subtitles")
    codec = "mov_text" if target == Family.MP4 else "subrip"
    loses = ", styling is lost" if track.codec in ("ass", "ssa") else ""
    return Fate(track, CONVERTED, codec, f"{track.codec} -> {codec}{loses}")


def _data_fate(track: Track, source: str) -> Fate:
    if track.role == "chapters":
        return _keep(track, "rewritten with the chapters")
    if track.role == "timecode":
        return _keep(track, "rewritten from the timecode tag")
    return _drop(track, f"data track of {source} is not carried")


def _keep(track: Track, reason: str) -> Fate:
    return Fate(track, KEPT, track.codec, reason)


def _drop(track: Track, reason: str) -> Fate:
    return Fate(track, DROPPED, "", reason)
