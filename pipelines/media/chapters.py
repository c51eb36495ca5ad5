"""Chapters of a source as a delivery can hold them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pipelines.excerpt import Window
from pipelines.media.containers import Family

Chapter = Mapping[str, Any]


def chapters_for(chapters: Sequence[Chapter], window: Window, family: Family | None) -> list[Any]:
    """Those that reach into the window, on its clock, in the form of a container family."""
    made = list(chapters) if window.whole else cut_chapters(chapters, window)
    return _without_gaps(made) if family == Family.MP4 else made


def cut_chapters(chapters: Sequence[Chapter], window: Window) -> list[Any]:
    """The chapters that reach into the window, cut to it, on its clock."""
    made = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        begin, end = chapter["start"] * base, chapter["end"] * base
        if window.overlaps(begin, end):
            begin, end = window.cut(begin, end)
            made.append({**chapter, "start": round(begin / base), "end": round(end / base)})
    return made


def _without_gaps(chapters: Sequence[Chapter]) -> list[Any]:
    """As mp4 holds them: the first from 0, each to the next, so that none but its end is moved.

    What comes before the first becomes a chapter without a name.
    """
    if chapters and chapters[0]["start"] > 0:
        chapters = [{**chapters[0], "id": -1, "start": 0, "metadata": {"title": ""}}, *chapters]
    ends = [Fraction(after["start"]) * Fraction(after["time_base"]) for after in chapters[1:]]
    joined = [
        {**chapter, "end": round(end / Fraction(chapter["time_base"]))}
        for chapter, end in zip(chapters, ends, strict=False)
    ]
    return [*joined, *chapters[-1:]]


def spans(chapters: Sequence[Chapter]) -> list[tuple[Fraction, Fraction, str]]:
    """Begin and end in seconds, and title, of each."""
    return [
        (
            chapter["start"] * Fraction(chapter["time_base"]),
            chapter["end"] * Fraction(chapter["time_base"]),
            chapter["metadata"].get("title", ""),
        )
        for chapter in chapters
    ]
