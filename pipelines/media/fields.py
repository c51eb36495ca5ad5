"""The two fields of a stored frame: whether they are one moment or two, and which were shown before.

Told from some columns of luminance, every line of them: a few numbers a frame, from which `cadence` and
`scan` tell telecined film from video and both from whole pictures.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from pipelines.media.layouts import PlaneArray

_COLUMNS = 128
"""Columns that are looked at, about."""
_TALLEST_PX = 1152
"""Nothing taller was ever interlaced."""
_BLOCK = (16, 8)
"""Lines and columns of the place that is judged at a time: the worst place speaks for the frame."""
_MOVED = 4
"""Code values of 8 bits by which a sample must have changed to tell anything: still detail is no comb."""
_DEEPEST_TOOTH = 16

Lines = NDArray[np.int16]
_Plane = TypeVar("_Plane", Lines, PlaneArray)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be painted: the stored frames that its even and its odd lines come from.

    None: they are not stored, and are made up from the other lines and the frames around.
    """

    top: int | None
    bottom: int | None

    @property
    def known(self) -> tuple[int, ...]:
        """The stored frames it is made of."""
        return tuple(frame for frame in (self.top, self.bottom) if frame is not None)

    @property
    def made_up(self) -> bool:
        """Whether half its lines are not stored anywhere."""
        return self.top is None or self.bottom is None

    def since(self, start: int) -> tuple[int | None, int | None]:
        """Top and bottom, counted from a frame."""
        top, bottom = (None if frame is None else frame - start for frame in (self.top, self.bottom))
        return top, bottom


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """How the fields of a frame go together, in code values of 8 bits."""

    combing: float
    """Depth of the comb between its own two fields, where the picture moves."""
    combing_before: float
    """The same between its first field and the second field of the frame before."""
    top_change: float
    """Root mean square change of its top field since the frame before."""
    bottom_change: float


NO_FIELDS = FieldFacts(0.0, 0.0, 0.0, 0.0)


class FieldOrder:
    """Which field of each frame is shown first: PyAV does not tell, ffmpeg's `select` filter knows."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def top_first(self, frame: av.VideoFrame) -> bool:
        """Whether the even lines are; true of what is not flagged interlaced."""
        if not frame.interlaced_frame:
            return True
        self._graph = self._graph or _timed_graph(frame, "select", r"eq(interlace_type\,TOPFIRST)")
        self._graph.push(frame)
        try:
            self._graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return False
        return True


class FieldMark:
    """Flags frames as two fields, `tff` or `bff`, for the encoder; PyAV cannot, ffmpeg's `setfield` can."""

    def __init__(self, field_order: str) -> None:
        self._order = field_order
        self._graph: Graph | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same frame, flagged; as it is if there is no field order."""
        if not self._order:
            return frame
        self._graph = self._graph or _timed_graph(frame, "setfield", f"mode={self._order}")
        self._graph.push(frame)
        return self._graph.vpull()


def _timed_graph(frame: av.VideoFrame, name: str, options: str) -> Graph:
    return filter_graph(frame, name, options, frame.time_base or Fraction(1))


def filter_graph(frame: av.VideoFrame, name: str, options: str, time_base: Fraction) -> Graph:
    """One of ffmpeg's filters, for frames such as this one."""
    graph = Graph()
    entry = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    worker = graph.add(name, options)
    entry.link_to(worker)
    worker.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def take_lines(luma: PlaneArray, bits: int) -> Lines:
    """Some columns of a plane (H,W), every line, as code values of 8 bits; none of what is too tall."""
    height, width = luma.shape
    if height > _TALLEST_PX:
        return np.zeros((0, 0), np.int16)
    some = luma[: height // 2 * 2, :: max(1, width // _COLUMNS)]
    return (some >> (bits - 8)).astype(np.int16)


def compare_fields(before: Lines | None, lines: Lines, top_first: bool) -> FieldFacts:
    """Facts of a frame beside the one before it; all zero where there is none."""
    if before is None or not lines.size:
        return NO_FIELDS
    change = lines - before
    moving = np.abs(change) > _MOVED
    first, second = (lines, before) if top_first else (before, lines)
    return FieldFacts(
        _combing(lines, moving),
        _combing(weave(first, second), moving),
        _rms(change[0::2]),
        _rms(change[1::2]),
    )


def weave(top: _Plane, bottom: _Plane) -> _Plane:
    """Even lines of one plane (H,W) and odd lines of another."""
    woven = bottom.copy()
    woven[0::2] = top[0::2]
    return woven


def _combing(lines: Lines, moving: NDArray[np.bool_]) -> float:
    """How far lines stand out from both their neighbours, where something moves, in the worst place."""
    above, below = lines[1:-1] - lines[:-2], lines[1:-1] - lines[2:]
    teeth = np.minimum(above, below).clip(0, _DEEPEST_TOOTH)
    teeth -= np.maximum(above, below).clip(-_DEEPEST_TOOTH, 0)
    teeth *= moving[1:-1]
    rows, columns = (max(1, size // step) for size, step in zip(teeth.shape, _BLOCK, strict=True))
    height, width = (min(size, step) for size, step in zip(teeth.shape, _BLOCK, strict=True))
    blocks = teeth[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return float(blocks.sum(1, dtype=np.int32).sum(2).max()) / (height * width)


def _rms(change: Lines) -> float:
    flat = change.astype(np.float32).ravel()
    return float(np.sqrt(flat @ flat / flat.size))
