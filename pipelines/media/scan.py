"""How stored frames become pictures: as they are, taken apart, or film won back from telecine. Pure.

Decided for the whole film from its index. What a picture is made of lies within two neighbouring frames
(three where lines are made up), so any range of pictures can be made from a few frames more.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipelines.errors import UsageError
from pipelines.media.cadence import CYCLE, Cadence, find_cadence
from pipelines.media.fields import Picture
from pipelines.media.index import FilmIndex, FrameFacts
from pipelines.media.telecine import first_field, win_film_back
from pipelines.timeline import FrameRange, Timeline

SCANS = ("auto", "deinterlace", "progressive", "fields")
"""What may be asked for: the best guess, one picture a frame, frames taken as whole, fields kept."""
CONTEXT_FRAMES = 1
"""Frames on either side that lines are made up from."""
_WHOLE = 0.75
"""Frames are one moment if they are combed less than this part of what two moments would be."""
_WINDOW = 10
_LEAST_COMBING = 1.0


def as_shown(index: FilmIndex, scan: str = "auto") -> FilmIndex:
    """The index of the pictures to be painted; `index` is of the stored frames."""
    flagged, total = index.interlaced_frames, len(index.frames)
    if scan == "progressive":
        note = f"{flagged} of {total} frames are flagged interlaced: taken as whole, as asked"
        return replace(index, scan_note=note if flagged else "")
    if scan == "fields":
        return _in_fields(index)
    cadence = _cadence(index) if scan == "auto" else None
    if cadence and not cadence.broken:
        return win_film_back(index, cadence)
    if scan == "auto" and flagged and not cadence and _whole(index.frames):
        note = f"{flagged} of {total} frames are flagged interlaced but hold one moment each: taken as whole"
        return replace(index, scan_note=note)
    return _taken_apart(index, cadence)


def field_order(index: FilmIndex, scan: str) -> str:
    """`tff` or `bff` if the delivery is to have fields; `index` is of the pictures."""
    if scan != "fields":
        return ""
    return "bff" if index.pictures[0].top is None else "tff"


def needed(index: FilmIndex, frames: FrameRange) -> FrameRange:
    """The stored frames from which these frames of an index are made."""
    if index.stored is None:
        return frames
    reach = [
        (min(made.known) - made.made_up * CONTEXT_FRAMES, max(made.known) + made.made_up * CONTEXT_FRAMES)
        for made in index.pictures[frames.start : frames.stop]
    ]
    first, last = min(low for low, _ in reach), max(high for _, high in reach)
    return FrameRange(max(0, first), min(len(index.stored.frames), last + 1))


def is_soft_telecine(timeline: Timeline) -> bool:
    """Whether whole frames are shown for two and three fields in turn: film by flags, as it should be."""
    shown = [timeline.duration_ticks(frame) for frame in range(len(timeline) - 1)]
    pairs = list(zip(shown, shown[1:], strict=False))
    uneven = sum(4 * min(pair) < 3 * max(pair) and 5 * min(pair) > 3 * max(pair) for pair in pairs)
    return len(pairs) >= 2 * CYCLE and uneven * 10 > len(pairs) * 9


def _cadence(index: FilmIndex) -> Cadence | None:
    changes = [
        (facts.top_change, facts.bottom_change)
        if facts.top_first
        else (facts.bottom_change, facts.top_change)
        for facts in index.frames
    ]
    return find_cadence([first for first, _ in changes], [second for _, second in changes])


def _whole(frames: Sequence[FrameFacts]) -> bool:
    """Whether fields of one frame always go together better than those of two frames; needs some motion."""
    told = False
    for start in range(0, max(1, len(frames) - _WINDOW + 1), _WINDOW // 2):
        some = frames[start : start + _WINDOW]
        own, other = sum(f.combing for f in some), sum(f.combing_before for f in some)
        if max(own, other) > _LEAST_COMBING * len(some):
            told = True
            if own > _WHOLE * other:
                return False
    return told


def _taken_apart(index: FilmIndex, cadence: Cadence | None) -> FilmIndex:
    """One picture for each frame, the first field's moment; frames not flagged are left as they are."""
    total, flagged = len(index.frames), index.interlaced_frames
    apart = [facts.interlaced or cadence is not None for facts in index.frames]
    if not any(apart):
        soft = "film by flags: whole frames, shown for two and three fields in turn, and kept so"
        return replace(index, scan_note=soft if is_soft_telecine(index.timeline) else "")
    note = f"{flagged} of {total} frames are interlaced: taken apart, one picture for each frame"
    if cadence:
        note = (
            f"telecined, but the 2:3 pattern breaks in {cadence.broken} of {cadence.windows} places: "
            f"{total} frames taken apart, one picture for each frame"
        )
    pictures = [
        first_field(index, frame) if split else Picture(frame, frame) for frame, split in enumerate(apart)
    ]
    return replace(index, scan_note=note, pictures=tuple(pictures), stored=index)


def _in_fields(index: FilmIndex) -> FilmIndex:
    """The first fields of all frames; the second are read beside them and each is painted for itself."""
    orders = {facts.top_first for facts in index.frames if facts.interlaced}
    if len(orders) != 1:
        why = "its field order changes" if orders else "no frame is flagged interlaced"
        raise UsageError(f"scan fields: {why}; ask for --scan auto")
    first = "top" if True in orders else "bottom"
    total = len(index.frames)
    note = f"interlaced, and kept so: each of {2 * total} fields painted for itself, {first} field first"
    pictures = tuple(Picture(n, None) if first == "top" else Picture(None, n) for n in range(total))
    return replace(index, scan_note=note, pictures=pictures, stored=index)
