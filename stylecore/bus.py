"""Frames on their way to the device that paints them, and back: whole numbers cross, and nobody waits.

Planes leave from pinned memory and come back to it, each way on a stream of its own, while other frames are
painted. Pinned memory is torch's own pool: a buffer returns to it when nobody holds it any more and the
copies from it are done. So what is on its way and what waits for an encoder is a ring of just the length that
it needs, and no buffer is written over before its frame has been used. On a CPU nothing has to travel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

Planes = Sequence[Tensor]
Device = torch.device | str


class Arrival(Protocol):
    """A frame on its way back."""

    def take(self) -> list[Tensor]:
        """Its planes on the CPU, once they are there."""
        ...


class Bus(Protocol):
    """Both ways between the CPU and a device; frames come back in the order in which they were sent."""

    late: int
    """Batches to be left on their way back while later ones are painted."""

    def carry(self, planes: Planes) -> list[Tensor]:
        """The planes on the device, for what is asked of it from now on."""
        ...

    def bring(self, planes: Planes) -> Arrival:
        """The way back, as soon as the device has made them."""
        ...


@dataclass(frozen=True)
class Arrived:
    """A frame that is where it should be."""

    planes: list[Tensor]

    def take(self) -> list[Tensor]:
        return self.planes


class NoBus:
    """Of a CPU: what it paints is there already."""

    late = 0

    def carry(self, planes: Planes) -> list[Tensor]:
        return list(planes)

    def bring(self, planes: Planes) -> Arrival:
        return Arrived(list(planes))


@dataclass(frozen=True)
class _Landing:
    """Planes in pinned memory, and the event after which they are whole."""

    planes: list[Tensor]
    landed: torch.cuda.Event

    def take(self) -> list[Tensor]:
        self.landed.synchronize()
        return self.planes


class CudaBus:
    """Of a GPU. A stream each way: on one alone, frames going up would wait for painted ones to come down."""

    late = 2

    def __init__(self, device: Device) -> None:
        self.device = torch.device(device)
        self.up, self.down = torch.cuda.Stream(self.device), torch.cuda.Stream(self.device)

    def carry(self, planes: Planes) -> list[Tensor]:
        with torch.cuda.stream(self.up):
            sent = [send(plane, self.device) for plane in planes]
        painting = torch.cuda.current_stream(self.device)
        painting.wait_stream(self.up)
        for plane in sent:
            plane.record_stream(painting)
        return sent

    def bring(self, planes: Planes) -> Arrival:
        self.down.wait_stream(torch.cuda.current_stream(self.device))
        # Blocking: a thread that waits sleeps, and leaves its core to an encoder.
        landed = torch.cuda.Event(blocking=True)
        with torch.cuda.stream(self.down):
            pinned = [_pinned_like(plane).copy_(plane, non_blocking=True) for plane in planes]
            landed.record()
        for plane in planes:
            plane.record_stream(self.down)
        return _Landing(pinned, landed)


def open_bus(device: Device) -> Bus:
    """The bus between the CPU and a device."""
    return CudaBus(device) if torch.device(device).type == "cuda" else NoBus()


def send(tensor: Tensor, device: Device) -> Tensor:
    """A tensor on a device, for what is asked of it from now on; the CPU does not wait for it."""
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@lru_cache(maxsize=64)
def on_device(constant: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A module's constant on a device, sent there once: the CPU would wait at every use otherwise."""
    with torch.inference_mode(False):
        return constant.to(device, dtype)


def _pinned_like(plane: Tensor) -> Tensor:
    return torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True)
