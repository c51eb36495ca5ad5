"""Interlaced pictures: two moments woven into one frame, taken apart into one whole picture a frame."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.filter import Graph

from pipelines.timeline import FrameRange

CONTEXT_FRAMES = 1
"""Frames on either side that a picture is made from."""
_FILTER = "mode=send_frame:parity=auto:deint=interlaced"
"""One frame for each, the first field's moment; frames flagged progressive pass untouched."""


def with_context(frames: FrameRange, total: int) -> FrameRange:
    """The range of frames that have to be decoded to deinterlace these."""
    return FrameRange(max(0, frames.start - CONTEXT_FRAMES), min(total, frames.stop + CONTEXT_FRAMES))


def deinterlace(frames: Iterable[av.VideoFrame], wanted: FrameRange) -> Iterator[av.VideoFrame]:
    """The wanted frames, progressive, from frames with context; `pts` are frame numbers, before and after.

    ffmpeg's bwdif looks one frame back and one ahead, so any range gives the pictures of the whole film.
    """
    source = iter(frames)
    first = next(source)
    graph = _graph(first)
    for frame in _through(graph, first, source):
        number = int(frame.pts * frame.time_base)
        if number in wanted:
            frame.pts = number
            yield frame


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    entry = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    worker = graph.add("bwdif", _FILTER)
    entry.link_to(worker)
    worker.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _through(graph: Graph, first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Frames out of the graph as soon as they are ready, to the last."""
    feed: list[av.VideoFrame | None] = [first]
    while feed:
        frame = feed.pop()
        if frame is not None:
            frame.time_base = Fraction(1)
        graph.push(frame)
        while True:
            try:
                yield graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
        if frame is not None:
            feed.append(next(rest, None))
