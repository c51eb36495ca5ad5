"""Pictures made of fields: woven from two stored frames, or with the lines of one field made up by bwdif."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from pipelines.media.fields import Picture, filter_graph, weave
from pipelines.media.layouts import plane_arrays

_FILTER = "mode=send_field:parity=auto:deint=all"
"""Two pictures for each frame, the first field's and the second's."""
_KEPT_FRAMES = 6
"""How many of the newest frames pictures may still be made of."""


class FrameWindow:
    """Consecutive stored frames, from number `start`, of which the newest few can be asked for."""

    def __init__(self, start: int, frames: Iterator[av.VideoFrame]) -> None:
        self.start = start
        self._frames = frames
        self._kept: dict[int, av.VideoFrame] = {}
        self._next = start

    def __contains__(self, number: int) -> bool:
        while self._next <= number:
            frame = next(self._frames, None)
            if frame is None:
                return False
            self._kept[self._next] = frame
            self._kept.pop(self._next - _KEPT_FRAMES, None)
            self._next += 1
        return number in self._kept

    def __getitem__(self, number: int) -> av.VideoFrame:
        if number not in self:
            raise KeyError(f"frame {number} is not among those read")
        return self._kept[number]


class FieldSplitter:
    """Both fields of a frame as whole pictures; frames are asked for in ascending order.

    ffmpeg's bwdif looks one frame back and one ahead and keeps a field's own lines as they are, so any range
    gives the pictures of the whole film.
    """

    def __init__(self, frames: FrameWindow) -> None:
        self._frames = frames
        self._graph: Graph | None = None
        self._due = -1
        """The frame whose pictures the graph gives next."""

    def split(self, number: int) -> tuple[av.VideoFrame, av.VideoFrame]:
        """The frame at the moment of its first field and at that of its second."""
        if self._graph is None or self._due != number:
            self._due = number - 1 if number - 1 in self._frames else number
            self._graph = filter_graph(self._frames[number], "bwdif", _FILTER, Fraction(1))
            for near in range(self._due, number + 1):
                self._graph.push(self._frames[near])
        graph, goes_on = self._graph, number + 1 in self._frames
        graph.push(self._frames[number + 1] if goes_on else None)
        while self._due < number:
            graph.vpull(), graph.vpull()
            self._due += 1
        pair = graph.vpull(), graph.vpull()
        self._due = number + 1
        if not goes_on:
            self._graph = None
        return pair


def make_pictures(
    pictures: Sequence[Picture], window: FrameWindow, top_first: NDArray[np.bool_]
) -> Iterator[av.VideoFrame]:
    """The pictures, in order; `top_first` is told of every stored frame by number."""
    splitter = FieldSplitter(window)
    for picture in pictures:
        if picture.top is None or picture.bottom is None:
            (number,) = picture.known
            wants_first = (picture.top is not None) == top_first[number]
            yield splitter.split(number)[0 if wants_first else 1]
        elif picture.top == picture.bottom:
            yield window[picture.top]
        else:
            yield _woven(window[picture.top], window[picture.bottom])


def split_fields(
    frames: Iterable[int], window: FrameWindow, top_first: NDArray[np.bool_]
) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
    """Each frame at the moment of its top field and at that of its bottom field."""
    splitter = FieldSplitter(window)
    for number in frames:
        first, second = splitter.split(number)
        yield (first, second) if top_first[number] else (second, first)


def _woven(top: av.VideoFrame, bottom: av.VideoFrame) -> av.VideoFrame:
    made = av.VideoFrame(top.width, top.height, top.format.name)
    for view, even, odd in zip(*map(plane_arrays, (made, top, bottom)), strict=True):
        view[:] = weave(even, odd)
    return made
