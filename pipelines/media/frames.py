"""Proven frames of a film, any range or choice of them, decoded in a child process."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from pipelines.media.child import read_in_child
from pipelines.media.index import FilmIndex
from pipelines.media.ladder import FRAME_HEAD, NOWHERE, Proofs, send_frames
from pipelines.media.layouts import plane_arrays
from pipelines.media.probe import SourceInfo
from pipelines.timeline import FrameRange


class FrameReader:
    """Frames of one film; every call reads in a child of its own, so a reader can be shared by threads."""

    def __init__(self, path: Path, info: SourceInfo, index: FilmIndex) -> None:
        self.path = path
        self.info = info
        self.index = index
        self._proofs = _proofs(info, index)

    def read(self, frames: FrameRange) -> Iterator[av.VideoFrame]:
        """The frames of the range, in order, progressive, each with its film-wide frame number as `pts`."""
        return self.pick(range(frames.start, frames.stop))

    def pick(self, wanted: Sequence[int]) -> Iterator[av.VideoFrame]:
        """Some frames, ascending; those of one group of pictures are decoded in one go."""
        for head, *planes in read_in_child(
            self.path.name, send_frames, self.path, self.info, self._proofs, wanted
        ):
            frame = av.VideoFrame(self.info.width, self.info.height, self.info.pixel_format)
            (frame.pts,) = FRAME_HEAD.unpack(head)
            frame.colorspace, frame.color_range = self.info.colour.matrix, self.info.colour.range
            for view, plane in zip(plane_arrays(frame), planes, strict=True):
                view[:] = np.frombuffer(plane, view.dtype).reshape(view.shape)
            yield frame


def _proofs(info: SourceInfo, index: FilmIndex) -> Proofs:
    by_pts = info.container == "mov/mp4"
    times = [facts.pts if by_pts or facts.dts is None else facts.dts for facts in index.packets]
    return Proofs(
        packet_times=np.array([NOWHERE if time is None else time for time in times]),
        packet_crcs=np.array([facts.crc for facts in index.packets]),
        packet_sizes=np.array([facts.size for facts in index.packets]),
        keys=np.array([ordinal for ordinal, facts in enumerate(index.packets) if facts.key], int),
        frame_packets=np.array([facts.packet for facts in index.frames]),
        frame_crcs=np.array([facts.crc for facts in index.frames]),
        interlaced=index.interlaced_frames > 0,
        single_threaded=index.single_threaded,
    )
