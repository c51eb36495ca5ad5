"""What is known of a film's packets and frames: the values that indexing makes and everyone reads.

A frame's identity is the ordinal of its packet; timestamps may lie, repeat or be missing, ordinals cannot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.media.damage import describe
from pipelines.media.fields import Picture
from pipelines.media.ladder import NOWHERE
from pipelines.timeline import Timeline


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """One compressed packet, in decoding order."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One decoded frame, in presentation order."""

    packet: int
    """Ordinal of the packet that holds it."""
    pts: int
    crc: int
    """CRC-32 of its visible pixels, plane after plane."""
    key: bool
    luma: float
    """Mean of Y, in code values of 8 bits."""
    contrast: float
    """Standard deviation of a thumbnail of Y, in code values of 8 bits: black and flat frames have little."""
    interlaced: bool
    """Whether the frame holds two moments, in alternate lines."""
    moved_down: float
    moved_right: float
    """The picture's motion since the frame before, in fractions of its height."""
    concealed: bool = False
    """Whether some of it is damaged, and made up by the decoder."""
    lost_before: int = 0
    """Frames that the file should have between the frame before and this one, and that cannot be decoded."""
    top_first: bool = True
    """Whether the even lines of an interlaced frame are the earlier ones."""
    combing: float = 0.0
    combing_before: float = 0.0
    top_change: float = 0.0
    bottom_change: float = 0.0
    """How its fields go together; see `fields.FieldFacts`."""


@dataclass(frozen=True)
class IndexArrays:
    """Packets by ordinal and frames by number, column by column; NOWHERE for a time that is missing."""

    packet_pts: NDArray[np.int64]
    packet_dts: NDArray[np.int64]
    """The pts where a packet has none."""
    packet_crcs: NDArray[np.int64]
    packet_sizes: NDArray[np.int64]
    keys: NDArray[np.int64]
    """Ordinals of the key packets."""
    frame_packets: NDArray[np.int64]
    frame_crcs: NDArray[np.int64]
    top_first: NDArray[np.bool_]


def _times(times: Iterable[int | None]) -> NDArray[np.int64]:
    return np.array([NOWHERE if time is None else time for time in times])


@dataclass(frozen=True)
class FilmIndex:
    """Everything known about a film's frames: the stored ones, or the pictures made of them (`scan`)."""

    packets: tuple[PacketFacts, ...]
    frames: tuple[FrameFacts, ...]
    cut_scores: tuple[float, ...]
    timeline: Timeline
    clock_note: str = ""
    """What had to be mended in the source's timestamps."""
    lost_after: int = 0
    """Frames after the last that cannot be decoded."""
    cut_short: str = ""
    """Where the file ends, if it says that there should be more."""
    single_threaded: bool = False
    """Whether only a decoder of one thread gives these very frames: the film showed damage."""
    captions: bool = False
    """Whether any picture carries closed captions."""
    scan_note: str = ""
    """What is done about interlacing."""
    pictures: tuple[Picture, ...] = ()
    """What each frame is made of; empty if frames are as they are stored."""
    stored: "FilmIndex | None" = None
    """The index of the stored frames, if `pictures` are made of them."""

    @cached_property
    def arrays(self) -> "IndexArrays":
        """What every reader of the film needs, made once."""
        return IndexArrays(
            packet_pts=_times(facts.pts for facts in self.packets),
            packet_dts=_times(facts.pts if facts.dts is None else facts.dts for facts in self.packets),
            packet_crcs=np.array([facts.crc for facts in self.packets]),
            packet_sizes=np.array([facts.size for facts in self.packets]),
            keys=np.array([ordinal for ordinal, facts in enumerate(self.packets) if facts.key], int),
            frame_packets=np.array([facts.packet for facts in self.frames]),
            frame_crcs=np.array([facts.crc for facts in self.frames]),
            top_first=np.array([facts.top_first for facts in self.frames]),
        )

    @cached_property
    def interlaced_frames(self) -> int:
        """Frames flagged as two moments in one."""
        return sum(facts.interlaced for facts in self.frames)

    @cached_property
    def damage_note(self) -> str:
        """What is concealed, lost or cut off; empty if the film is whole."""
        concealed = [frame for frame, facts in enumerate(self.frames) if facts.concealed]
        lost = [*(facts.lost_before for facts in self.frames), self.lost_after]
        ticks, base = self.timeline.pts, self.timeline.time_base
        return describe(concealed, lost, [(tick - ticks[0]) * base for tick in ticks], self.cut_short)
