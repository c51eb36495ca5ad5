"""The exact index of a film: one sequential decode, every packet and every frame with its checksum.

The ordinal of its packet is carried through the decoder in `packet.pts`. A damaged film is gone through again
with a decoder of one thread, since several conceal at random; what it lacks is counted, and nothing that
follows shifts in time.
"""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from pipelines.errors import InputError
from pipelines.media.child import read_in_child
from pipelines.media.clock import REORDER, Clock, ClockError, mend
from pipelines.media.containers import BROADCAST, Family
from pipelines.media.damage import in_order, lost_before
from pipelines.media.index import FilmIndex, FrameFacts, PacketFacts
from pipelines.media.observe import FrameSeen, PacketSeen, observe
from pipelines.media.shots import cut_scores
from pipelines.media.source_info import SourceInfo
from pipelines.timeline import Timeline

MAX_FRAMES = 4_000_000
"""More than a day of 40 frames a second."""
_END_SECONDS = Fraction(1, 2)
"""Sound, picture and the head of a file agree on where it ends at least so well."""


class Indexing:
    """One pass over a film, two if it is damaged: iterate for frames seen so far, then ask for `index()`."""

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self.path = path
        self.info = info
        self._begin(single_threaded=False)

    def _begin(self, single_threaded: bool) -> None:
        self.single_threaded = single_threaded
        self.packets: list[PacketSeen] = []
        self.frames: list[FrameSeen] = []
        self.damaged = False
        self.strange: FrameSeen | None = None
        self.seconds = Fraction(0)

    def __iter__(self) -> Iterator[int]:
        told = 0
        for single_threaded in (False, True):
            self._begin(single_threaded)
            for message in read_in_child(self.path.name, observe, self.path, self.info, single_threaded):
                self._note(json.loads(bytes(message[0])))
                if len(self.frames) > told:
                    told = len(self.frames)
                    yield told
                if self.damaged and not single_threaded:
                    break
            if not (self.damaged or self._cut_short() or self._undecoded_at_start()):
                return

    def index(self) -> FilmIndex:
        """The finished index; refuses a film without frames or whose clock does not run forward."""
        if self.strange is not None:
            self._refuse_change(self.strange)
        if not self.frames:
            raise InputError(f"{self.path.name}: holds no frame that can be decoded")
        self._refuse_shapes()
        frames, changes = self._shown(), [0.0]
        changes += [seen.change for seen in frames[1:]]
        clock = self._clock(frames)
        lost = self._lost(frames, clock.ticks)
        return FilmIndex(
            packets=tuple(
                PacketFacts(seen.pts, seen.dts, seen.duration, seen.key, seen.size, seen.crc)
                for seen in self.packets
            ),
            frames=tuple(
                self._facts(seen, tick, gone)
                for seen, tick, gone in zip(frames, clock.ticks, lost[:-1], strict=True)
            ),
            cut_scores=tuple(float(score) for score in cut_scores(changes)),
            timeline=Timeline(self.info.time_base, clock.ticks, self._last_duration(frames, clock.ticks)),
            clock_note=clock.note,
            lost_after=lost[-1],
            cut_short=self._cut_short(),
            single_threaded=self.single_threaded,
            captions=any(seen.captions for seen in frames),
        )

    def _note(self, message: dict) -> None:
        if "seconds" in message:
            self.seconds = Fraction(message["seconds"])
            return
        if message["packet"] is not None:
            self._note_packet(PacketSeen(**message["packet"]))
        for seen in message["frames"]:
            self._note_frame(FrameSeen(**seen))

    def _note_packet(self, seen: PacketSeen) -> None:
        if len(self.packets) == MAX_FRAMES:
            raise InputError(f"{self.path.name}: has over {MAX_FRAMES} frames; split the film")
        self.damaged |= seen.damaged
        self.packets.append(seen)

    def _note_frame(self, seen: FrameSeen) -> None:
        form = self.info.width, self.info.height, self.info.stored_format
        self.strange = None
        if seen.light or (seen.width, seen.height, seen.pixel_format) != form:
            if self.single_threaded and not self.damaged:
                self._refuse_change(seen)
            self.strange = seen
            self.damaged |= not self.single_threaded
            return
        self.damaged |= seen.concealed or seen.packet is None
        self.frames.append(seen)

    def _refuse_change(self, seen: FrameSeen) -> None:
        raise InputError(
            f"{self.path.name}: the picture changes to {seen.width}x{seen.height} {seen.pixel_format} "
            f"{f'in {seen.light} ' if seen.light else ''}at frame {len(self.frames)}; split the film there"
        )

    def _refuse_shapes(self) -> None:
        """Broadcasts go from 4:3 to 16:9 in mid-stream; other containers say one shape for the whole film.

        The decoder tells it a few frames early; in a damaged film, a short change may be a broken head.
        """
        if self.info.container not in BROADCAST:
            return
        known = [(place, seen.shape) for place, seen in enumerate(self.frames) if seen.shape]
        runs = [list(run) for _, run in groupby(known, key=itemgetter(1))]
        lasting = [run[0] for run in runs if len(run) > REORDER * self.damaged]
        for frame, shape in lasting:
            if shape != lasting[0][1]:
                raise InputError(
                    f"{self.path.name}: the shape of pixels changes from {lasting[0][1]} to {shape} "
                    f"near frame {frame}; split the film there"
                )

    def _shown(self) -> list[FrameSeen]:
        """The frames that have a place; a damaged film may hold some twice, or at another's time."""
        if not self.damaged:
            return self.frames
        known: dict[int, FrameSeen] = {}
        for seen in self.frames:
            if seen.packet is not None:
                known.setdefault(seen.packet, seen)
        frames = list(known.values())
        if self.info.container == Family.AVI:  # its clock counts packets, whatever frame is in them
            return frames
        kept = in_order(self._stamps(frames))
        self._refuse_jump(len(frames), kept)
        return [frames[place] for place in kept]

    def _refuse_jump(self, total: int, kept: Sequence[int]) -> None:
        """A few frames at a wrong time are damage; many in a row are a clock that jumped."""
        for before, after in pairwise([-1, *kept, total]):
            if after - before - 1 > REORDER:
                raise self._unsound(f"the clock jumps at frame {after if before < 0 else before + 1}")

    def _stamps(self, frames: Sequence[FrameSeen]) -> list[int | None]:
        return [None if seen.packet is None else self.packets[seen.packet].pts for seen in frames]

    def _clock(self, frames: Sequence[FrameSeen]) -> Clock:
        rate = self.info.rate_declared
        step = 1 / (rate * self.info.time_base) if rate > 0 else Fraction(0)
        try:
            return mend(self._stamps(frames), step)
        except ClockError as err:
            raise self._unsound(str(err)) from err

    def _unsound(self, why: str) -> InputError:
        # A copy mends the clock of a broadcast only: elsewhere the same times would be copied.
        how = "-map 0 -c copy" if self.info.container in BROADCAST else "-c:v ffv1 -c:a flac"
        return InputError(f"{self.path.name}: {why}; write it anew first (ffmpeg -i FILM {how} NEW.mkv)")

    def _facts(self, seen: FrameSeen, tick: int, lost: int) -> FrameFacts:
        assert seen.packet is not None, "frames without a packet have no place"
        packet = self.packets[seen.packet]
        return FrameFacts(
            packet=seen.packet,
            pts=tick,
            crc=seen.crc,
            key=packet.key,
            luma=seen.luma,
            contrast=seen.contrast,
            interlaced=seen.interlaced,
            moved_down=seen.moved_down,
            moved_right=seen.moved_right,
            concealed=seen.concealed or packet.damaged,
            lost_before=lost,
            top_first=seen.top_first,
            combing=seen.combing,
            combing_before=seen.combing_before,
            top_change=seen.top_change,
            bottom_change=seen.bottom_change,
        )

    def _lost(self, frames: Sequence[FrameSeen], ticks: Sequence[int]) -> list[int]:
        """Frames lost before each and after all; a whole film may well hold packets without a picture."""
        if not self.single_threaded:
            return [0] * (len(frames) + 1)
        return lost_before(ticks, self._undecoded(frames))

    def _undecoded(self, frames: Sequence[FrameSeen]) -> list[int]:
        """Times of the packets that should have given a picture and gave none."""
        shown = {seen.packet for seen in frames}
        return [
            seen.pts
            for ordinal, seen in enumerate(self.packets)
            if ordinal not in shown and seen.pts is not None and seen.size and not seen.skipped
        ]

    def _undecoded_at_start(self) -> bool:
        """Whether the film begins with pictures that refer to what came before."""
        known = [stamp for stamp in self._stamps(self.frames) if stamp is not None]
        if not known or self.info.container == Family.AVI:
            return False
        return min(self._undecoded(self.frames), default=known[0]) < min(known)

    def _cut_short(self) -> str:
        """Where the file ends, if its head says that there should be more."""
        declared, found = self.info.frames_declared, len(self.frames)
        shown = sum(1 for seen in self.packets if seen.pts is not None)
        if self.info.container == Family.AVI:  # it counts the places in its table, empty ones too
            found = shown = (
                max((stamp for stamp in self._stamps(self.frames) if stamp is not None), default=-1) + 1
            )
        if declared and max(shown, found) < declared and not self._is_trimmed():
            return f"the file ends at {shown} of {declared} declared frames"
        seconds, whole = self.seconds, self.info.duration_declared
        if not declared and self.info.states_duration and seconds < whole - _END_SECONDS:
            return f"the file ends at {float(seconds):.3f} s of {float(whole):.3f} s"
        return ""

    def _is_trimmed(self) -> bool:
        """Whether all is there that an edit list shows: mov's count is of all frames, hidden ones too."""
        rate, whole = self.info.rate_declared, self.info.duration_declared
        return self.info.container == Family.MP4 and bool(whole and rate) and self.seconds >= whole - 1 / rate

    def _last_duration(self, frames: Sequence[FrameSeen], ticks: Sequence[int]) -> int:
        last = self.packets[frames[-1].packet or 0].duration
        if last > 0:
            return last
        return ticks[-1] - ticks[-2] if len(ticks) > 1 else max(1, round(1 / (25 * self.info.time_base)))
