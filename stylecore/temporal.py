"""A shot painted by optimization (Ruder 2016): every frame starts from the one before, moved along the film.

Where motion is certain a frame must stay what it was, one, two and four frames ago (nearest first); elsewhere
it is painted anew. With more than one pass the frames are first painted apart and then brought together, to
and fro, as the paper's multi-pass algorithm does. Flow is found as frames come and forgotten as they go.

Deviations: the tint of a new place is fixed by the shot's first frame; certainty is not softened in the loss;
loss weights are those of relative errors.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.criterion import Criterion, Region, Wanted, measure_styles
from stylecore.encoders import Encoder
from stylecore.motion import follow, warp
from stylecore.optimize import Ask, OptimizeSpec, descend, in_palette, last_picture, optimize
from stylecore.palette import Tint


@dataclass(frozen=True)
class TemporalSpec:
    """How a shot is painted; `still` says how its first frame is."""

    still: OptimizeSpec = field(default_factory=OptimizeSpec)
    steps: int = 20
    """Of every frame that has one before it, and of every frame in each later pass."""
    weight: float = 30.0
    """Pull toward what the place was before: mean squared difference where motion is certain."""
    reach: tuple[int, ...] = (1, 2, 4)
    """How many frames back, ascending."""
    passes: int = 1
    """1 streams; more hold the shot's paintings in memory and go to and fro over them."""

    def __post_init__(self) -> None:
        if self.passes < 1 or self.steps < 1 or self.weight < 0:
            raise ValueError("passes and steps must be at least 1, the weight 0 or more")
        if not self.reach or list(self.reach) != sorted(set(self.reach)) or self.reach[0] < 1:
            raise ValueError(f"reach must be ascending numbers of frames, got {self.reach}")


@dataclass(frozen=True)
class Memory:
    """An earlier painting moved to where the scene is now, and where that can be trusted (1,1,H,W)."""

    painted: Tensor
    certain: Tensor


def paint_shot(
    frames: Iterable[Tensor], regions: Sequence[Region], encoder: Encoder, spec: TemporalSpec
) -> Iterator[Tensor]:
    """Paintings (3,H,W) of a shot's consecutive frames of one size, in order."""
    if spec.passes == 1:
        painter = ShotPainter(regions, encoder, spec)
        yield from map(painter.paint, frames)
    else:
        yield from _to_and_fro(list(frames), regions, encoder, spec)


class ShotPainter:
    """Paints a shot frame by frame; remembers as many frames as it looks back, and nothing of other shots."""

    def __init__(self, regions: Sequence[Region], encoder: Encoder, spec: TemporalSpec) -> None:
        self.regions, self.encoder, self.spec = regions, encoder, spec
        self.past: deque[tuple[Tensor, Tensor]] = deque(maxlen=spec.reach[-1])
        """Source and painting of each earlier frame, latest first."""
        self.wanted: list[dict[str, Wanted]] = []
        self.ground: Tint | None = None

    def paint(self, frame: Tensor) -> Tensor:
        """The next frame's painting."""
        painted = self._paint_next(frame) if self.past else self._paint_first(frame)
        self.past.appendleft((frame, painted))
        return painted

    def _paint_first(self, frame: Tensor) -> Tensor:
        self.regions, self.spec = settled(frame, self.regions, self.spec)
        painted = paint_alone(frame, self.regions, self.encoder, self.spec)
        self.ground = Tint.between(frame[None], painted[None])
        self.wanted = _wanted(frame, self.regions, self.encoder, self.spec)
        return painted

    def _paint_next(self, frame: Tensor) -> Tensor:
        memories = self._remember(frame)
        assert self.ground is not None, "the first frame has been painted"
        start = self.ground(frame[None])
        for memory in reversed(memories):
            start = torch.lerp(start, memory.painted, softened(memory.certain))
        criterion = _criterion(frame, self.regions, self.wanted, self.encoder, self.spec)
        return _last(start[0], with_memory(criterion, memories, self.spec.weight), self.spec)

    def _remember(self, frame: Tensor) -> list[Memory]:
        """Earlier paintings, nearest first; what a nearer one knows is left to it (Ruder 2016, 5.2)."""
        memories: list[Memory] = []
        known = torch.zeros(1, 1, *frame.shape[-2:], device=frame.device)
        for back in self.spec.reach:
            if back > len(self.past):
                break
            source, painted = self.past[back - 1]
            moved = recall(frame, source, painted)
            fresh = (moved.certain - known).clamp(min=0)
            memories.append(replace(moved, certain=fresh))
            known = torch.maximum(known, moved.certain)
        return memories


def softened(certain: Tensor) -> Tensor:
    """A mask (1,1,H,W) without hard edges and lone holes: a few steps would not paint over them."""
    grown = F.max_pool2d(certain, 3, stride=1, padding=1)
    return F.avg_pool2d(grown, 5, stride=1, padding=2, count_include_pad=False)


def recall(frame: Tensor, source: Tensor, painted: Tensor) -> Memory:
    """A painting of another frame, moved to this one along the film's motion."""
    flow, certain = follow(frame, source)
    return Memory(warp(painted[None], flow), certain.float())


def with_memory(criterion: Ask, memories: Sequence[Memory], weight: float) -> Ask:
    """The same losses, and one more: how far certain places are from what they were."""

    def ask(picture: Tensor) -> dict[str, Tensor]:
        apart = [(memory.certain * (picture - memory.painted).square()).mean() for memory in memories]
        return {**criterion(picture), "temporal": weight * torch.stack(apart).sum()}

    return ask


def paint_alone(frame: Tensor, regions: Sequence[Region], encoder: Encoder, spec: TemporalSpec) -> Tensor:
    """A frame painted for itself, coarse to fine, at its own size."""
    size_px = max(frame.shape[-2:])
    still = replace(spec.still, size_px=size_px, smallest_px=min(spec.still.smallest_px, size_px))
    return last_picture(optimize(frame, regions, encoder, still))


def settled(
    frame: Tensor, regions: Sequence[Region], spec: TemporalSpec
) -> tuple[Sequence[Region], TemporalSpec]:
    """The regions and spec with `matched` colours fixed once, to the palette of the shot's first frame."""
    if spec.still.color != "matched":
        return regions, spec
    recolored = [in_palette(each, frame) for each in regions]
    return recolored, replace(spec, still=replace(spec.still, color="style"))


def _to_and_fro(
    frames: Sequence[Tensor], regions: Sequence[Region], encoder: Encoder, spec: TemporalSpec
) -> list[Tensor]:
    """Frames apart; then passes from either end in turn, each frame drawn to its neighbour."""
    regions, spec = settled(frames[0], regions, spec)
    painted = [paint_alone(frame, regions, encoder, spec) for frame in frames]
    wanted = _wanted(frames[0], regions, encoder, spec)
    for number in range(1, spec.passes):
        order = range(len(frames)) if number % 2 else range(len(frames) - 1, -1, -1)
        before = -1 if number % 2 else 1
        for place in list(order)[1:]:
            frame, neighbour = frames[place], place + before
            memory = recall(frame, frames[neighbour], painted[neighbour])
            start = (painted[place] + memory.certain * memory.painted) / (1 + memory.certain)
            criterion = _criterion(frame, regions, wanted, encoder, spec)
            painted[place] = _last(start[0], with_memory(criterion, [memory], spec.weight), spec)
    return painted


def _wanted(
    frame: Tensor, regions: Sequence[Region], encoder: Encoder, spec: TemporalSpec
) -> list[dict[str, Wanted]]:
    return [measure_styles(each.styles, frame, encoder, spec.still.wishes) for each in regions]


def _criterion(
    frame: Tensor,
    regions: Sequence[Region],
    wanted: Sequence[dict[str, Wanted]],
    encoder: Encoder,
    spec: TemporalSpec,
) -> Criterion:
    return Criterion(frame, wanted, [each.matte for each in regions], encoder, spec.still.wishes)


def _last(start: Tensor, ask: Ask, spec: TemporalSpec) -> Tensor:
    return last_picture(descend(start, ask, replace(spec.still, steps=spec.steps)))
