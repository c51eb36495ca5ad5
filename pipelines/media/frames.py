"""Proven frames of a film, any range or choice of them, decoded in a child process."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from pipelines.media.child import read_in_child
from pipelines.media.containers import Family
from pipelines.media.fields import Picture
from pipelines.media.index import FilmIndex
from pipelines.media.ladder import FRAME_HEAD, Proofs, Run, send_fields, send_frames
from pipelines.media.layouts import plane_arrays
from pipelines.media.scan import needed
from pipelines.media.source_info import SourceInfo
from pipelines.timeline import FrameRange


class FrameReader:
    """Frames of one film; every call reads in a child of its own, so a reader can be shared by threads."""

    def __init__(self, path: Path, info: SourceInfo, index: FilmIndex) -> None:
        self.path = path
        self.info = info
        self.index = index
        self._stored = index.stored or index
        self._proofs = _proofs(info, self._stored)

    def read(self, frames: FrameRange) -> Iterator[av.VideoFrame]:
        """The frames of the range as the index has them, in order, their film-wide numbers as `pts`."""
        return self.pick(range(frames.start, frames.stop))

    def pick(self, wanted: Sequence[int]) -> Iterator[av.VideoFrame]:
        """Some frames, ascending; those of one group of pictures are decoded in one go."""
        runs = [self._run(group) for group in self._groups(wanted)]
        for head, *planes in read_in_child(
            self.path.name, send_frames, self.path, self.info, self._proofs, runs
        ):
            yield self._frame(head, planes)

    def read_fields(self, frames: FrameRange) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
        """Each frame as two whole pictures: at the moment of its top field, and of its bottom field."""
        run = self._run(list(frames))
        for head, *planes in read_in_child(
            self.path.name, send_fields, self.path, self.info, self._proofs, run
        ):
            half = len(planes) // 2
            yield self._frame(head, planes[:half]), self._frame(head, planes[half:])

    def _frame(self, head: memoryview, planes: Sequence[memoryview]) -> av.VideoFrame:
        frame = av.VideoFrame(self.info.width, self.info.height, self.info.pixel_format)
        (frame.pts,) = FRAME_HEAD.unpack(head)
        frame.colorspace, frame.color_range = self.info.colour.matrix, self.info.colour.range
        for view, plane in zip(plane_arrays(frame), planes, strict=True):
            view[:] = np.frombuffer(plane, view.dtype).reshape(view.shape)
        return frame

    def _run(self, frames: Sequence[int]) -> Run:
        stored = needed(self.index, FrameRange(frames[0], frames[-1] + 1))
        made = self.index.pictures
        return Run(stored, [(n, made[n] if made else Picture(n, n)) for n in frames])

    def _groups(self, wanted: Sequence[int]) -> list[list[int]]:
        groups: list[list[int]] = []
        for frame in wanted:
            near = groups and frame == groups[-1][-1] + 1
            if near or (groups and self._key_before(frame) == self._key_before(groups[-1][0])):
                groups[-1].append(frame)
            else:
                groups.append([frame])
        return groups

    def _key_before(self, frame: int) -> int:
        """Which key packet reading begins at for a frame, or one that is near it."""
        first = needed(self.index, FrameRange(frame, frame + 1)).start
        return int(np.searchsorted(self._proofs.keys, self._stored.frames[first].packet, side="right"))


def _proofs(info: SourceInfo, index: FilmIndex) -> Proofs:
    made = index.arrays
    return Proofs(
        packet_times=made.packet_pts if info.container == Family.MP4 else made.packet_dts,
        packet_crcs=made.packet_crcs,
        packet_sizes=made.packet_sizes,
        keys=made.keys,
        frame_packets=made.frame_packets,
        frame_crcs=made.frame_crcs,
        top_first=made.top_first,
        single_threaded=index.single_threaded,
    )
