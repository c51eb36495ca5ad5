"""Paint that stays on what it was laid on: a frame's strokes are the mean of its own and its neighbours'.

A network sets its strokes anew in every frame, and from one to the next they move by more than the film does.
Moved along the film's motion, what frames agree on stays and what flickers averages out. Only paint is
averaged, never the picture, so the film keeps its own detail; where motion is not certain a frame keeps its
own strokes. A frame depends on the few before and after it in its shot, and on nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from stylecore.bus import send
from stylecore.motion import fast_flow, returning, warp
from stylecore.scaling import enlarge
from stylecore.shot import Look

VIEW_HEIGHT_PX = 180
"""Motion is found at this height, where a stroke is ten pixels long; 270 lines cost twice as much."""

ALIKE_CODES = 12
"""Of 255: what differs by less from what it was is the same, what differs by twice as much is not."""


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
    view: Any = None
    """What motion is found in: the first plane in 8 bits, an array of OpenCV's."""


@dataclass(frozen=True)
class Way:
    """Motion from frame to frame: flow (1,2,h,w) in pixels, and how certain it is, (1,1,h,w) in 0..1."""

    flow: Tensor
    certain: Tensor

    def then(self, onward: "Way") -> "Way":
        """This way continued by another: from where this one starts to where that one ends."""
        moved = warp(torch.cat([onward.flow, onward.certain], 1), self.flow)
        return Way(self.flow + moved[:, :2], self.certain * moved[:, 2:])

    def on(self, device: torch.device) -> "Way":
        """The same way on a device; the CPU does not wait."""
        return Way(send(self.flow, device), send(self.certain, device))

    def fitted(self, picture: Tensor) -> "Way":
        """The same way in a picture (1,C,h,w) of another size."""
        (height, width), (rows, columns) = picture.shape[-2:], self.flow.shape[-2:]
        right, down = self.flow.split(1, 1)
        scaled = torch.cat([right * (width / columns), down * (height / rows), self.certain], 1)
        fitted = enlarge(scaled, (height, width), "bilinear")
        return Way(fitted[:, :2], fitted[:, 2:])


def ways_between(here: Any, there: Any) -> tuple[Way, Way]:
    """The ways from one view to another and back."""
    forward, backward = fast_flow(here, there), fast_flow(there, here)
    first, second = (torch.from_numpy(view)[None, None].float() for view in (here, there))
    return (
        Way(forward, returning(forward, backward) * _alike(first, warp(second, forward))),
        Way(backward, returning(backward, forward) * _alike(second, warp(first, backward))),
    )


def _alike(here: Tensor, brought: Tensor) -> Tensor:
    """Motion between flat pictures, or into a flash, looks certain: light must agree as well, 1 to 0."""
    return (2 - (here - brought).abs() / ALIKE_CODES).clamp(0, 1)


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
        if self._held:
            there, back = ways_between(self._held[-1].view, strokes.view)
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
