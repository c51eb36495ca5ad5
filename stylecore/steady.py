"""Paint that stays on what it was laid on: a frame's strokes are the mean of its own and its neighbours'.

A network sets its strokes anew in every frame, and from one to the next they move by more than the film does.
Moved along the film's motion, what frames agree on stays and what flickers averages out. Only paint is
averaged, never the picture, so the film keeps its own detail; where motion is not certain a frame keeps its
own strokes. A frame depends on the few before and after it in its shot, and on nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stylecore.motion import warp
from stylecore.scaling import enlarge
from stylecore.shot import Look
from stylecore.ways import Way


@dataclass(frozen=True)
class Strokes:
    """What has been painted of a frame, before it is carried to full size."""

    planes: list[Tensor]
    """The frame, on the device."""
    small: list[Tensor]
    """Its parts at the size at which paint is made, (1,1,h,w) each."""
    paint: Tensor
    """What is changed of that, (1,3,h,w)."""
    look: Look
    ways: tuple[Way, Way] | None = None
    """From the frame before to this one, and back; none of the first that was seen."""


class Steadier:
    """Strokes of a shot's consecutive frames go in and come out, in order, `reach` frames later."""

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self._held: list[Strokes] = []
        self._ways: list[tuple[Way, Way]] = []
        """Between each that is held and the next, there and back."""
        self._next = 0
        """The place among them of the one to come out next."""

    @torch.inference_mode()
    def add(self, strokes: Iterable[Strokes]) -> list[Strokes]:
        """Take in the strokes of the next frames; returns those that are finished by them."""
        if not self.reach:
            return list(strokes)
        return [steady for each in strokes for steady in self._add(each)]

    @torch.inference_mode()
    def rest(self) -> list[Strokes]:
        """The strokes still held when the shot is over."""
        return [self._mean(place) for place in range(self._next, len(self._held))]

    def _add(self, strokes: Strokes) -> list[Strokes]:
        if self._held and strokes.ways:
            there, back = strokes.ways
            self._ways.append((there.on(strokes.paint.device), back.on(strokes.paint.device)))
        self._held.append(strokes)
        if len(self._held) <= self._next + self.reach:
            return []
        steady = self._mean(self._next)
        # From now on it lends its paint, and nothing else.
        self._held[self._next] = replace(self._held[self._next], planes=[], small=[])
        self._next += 1
        forgotten = max(0, self._next - self.reach)
        del self._held[:forgotten], self._ways[:forgotten]
        self._next -= forgotten
        return [steady]

    def _mean(self, place: int) -> Strokes:
        own = self._held[place]
        after = [there for there, _ in self._ways[place:]]
        before = [back for _, back in self._ways[:place][::-1]]
        total, shares = own.paint.clone(), list[Tensor]()
        for ways, others in ((after, self._held[place + 1 :]), (before, self._held[:place][::-1])):
            for way, other in zip(_onward(ways[: self.reach]), others, strict=False):
                there = way.fitted(own.paint)
                total.addcmul_(there.certain, warp(other.paint, there.flow))
                shares.append(way.certain)
        if not shares:
            return own
        theirs = enlarge(torch.cat(shares, 1).sum(1, keepdim=True), own.paint.shape[-2:], "bilinear")
        return replace(own, paint=total.div_(theirs.add_(1)))


def _onward(ways: Sequence[Way]) -> Iterable[Way]:
    """The way to the first, on to the second, and so on."""
    whole: Way | None = None
    for way in ways:
        whole = whole.then(way) if whole else way
        yield whole
