"""The peer at work beside us: a child that paints a frame when asked, and the same network as we run it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from pipelines.bench.peer import classic
from pipelines.bench.timing import Timing
from pipelines.errors import EngineError
from stylecore.color import brightness
from stylecore.importing import import_checkpoint
from stylecore.normalize import SurveyNorm
from stylecore.running import Runner
from stylecore.shot import Look
from stylecore.spec import EngineSpec


class Peer:
    """A child that answers how long it took over a frame, `network` alone or through `files`."""

    def __init__(self, frames: Path, weights: Path, memory: str, threads: int) -> None:
        words = [str(frames), str(weights), memory, str(threads)]
        self.child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.bench.peer", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def paint(self, way: str) -> Timing:
        """One frame more."""
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(f"{way}\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise EngineError("the peer's process ended; is there memory enough? try --height 540")
        return Timing(**json.loads(answer))

    def stop(self) -> None:
        """End it."""
        self.child.kill()
        self.child.communicate()


@contextmanager
def peers(pictures: Sequence[Tensor], scratch: Path) -> Iterator[tuple[dict[str, Peer], Path]]:
    """The peer with memory as it comes and as we set it, and the weights they share with us."""
    frames, weights = scratch / "frames.pt", scratch / "classic.pth"
    torch.save([(rgb[0] * 255).round().byte() for rgb in pictures], frames)
    torch.save(classic().state_dict(), weights)
    found = {memory: Peer(frames, weights, memory, torch.get_num_threads()) for memory in ("stock", "tuned")}
    try:
        yield found, weights
    finally:
        for peer in found.values():
            peer.stop()


@torch.inference_mode()
def same_network(weights: Path, rgb: Tensor, engine: EngineSpec) -> tuple[Runner, Look]:
    """The peer's network as we run it at full size: imported, with the statistics of this picture frozen."""
    pack = import_checkpoint(weights, "classic")
    network = pack.network.to(engine.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    norm = SurveyNorm(pack.vectors["classic"].to(engine.device), pack.prior.to(engine.device))
    network(rgb, norm)
    constants = tuple(norm.constants)
    return Runner(network), Look(constants, None, None, brightness(rgb)[0], 1.0, engine.precision)
