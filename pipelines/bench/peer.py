"""What people run today: the classic network in eager fp32, frame by frame, in a process of its own.

`python -m pipelines.bench.peer FRAMES.pt WEIGHTS.pt MEMORY THREADS` reads one word a line and answers with
one JSON object a line: `network` paints a frame, `files` does it the usual way, from a PNG to a PNG. It is a
process of its own because how memory is given back is a setting of a process: MEMORY is `tuned` or `stock`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from stylecore.runtime import keep_freed_memory

_CONTRAST, _MIDDLE = 100.0, 127.0


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, upsample: int = 1) -> None:
        super().__init__()
        self.upsample = upsample
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.upsample > 1:
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(self.pad(x))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.in1 = _Conv(channels, channels, 3), nn.InstanceNorm2d(channels, affine=True)
        self.conv2, self.in2 = _Conv(channels, channels, 3), nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class Classic(nn.Module):
    """Johnson 2016 with instance normalization: codes (N,3,H,W) in and out, the names of its usual files."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128)
        self.conv1, self.conv2, self.conv3 = (
            _Conv(3, widths[0], 9),
            _Conv(widths[0], widths[1], 3, stride=2),
            _Conv(widths[1], widths[2], 3, stride=2),
        )
        for number, channels in enumerate((*widths, widths[1], widths[0]), start=1):
            setattr(self, f"in{number}", nn.InstanceNorm2d(channels, affine=True))
        for number in range(1, 6):
            setattr(self, f"res{number}", _Residual(widths[2]))
        self.deconv1 = _Conv(widths[2], widths[1], 3, upsample=2)
        self.deconv2 = _Conv(widths[1], widths[0], 3, upsample=2)
        self.deconv3 = _Conv(widths[0], 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        for number in (1, 2, 3):
            x = F.relu(getattr(self, f"in{number}")(getattr(self, f"conv{number}")(x)))
        for number in range(1, 6):
            x = getattr(self, f"res{number}")(x)
        for number in (1, 2):
            x = F.relu(getattr(self, f"in{number + 3}")(getattr(self, f"deconv{number}")(x)))
        return self.deconv3(x)


def classic() -> Classic:
    """The network with weights that no training made, and a picture of full contrast; it costs the same."""
    torch.manual_seed(1)
    network = Classic().eval()
    weight, bias = network.deconv3.conv2d.parameters()
    with torch.no_grad():
        weight.mul_(_CONTRAST)
        bias.fill_(_MIDDLE)
    return network


@torch.inference_mode()
def _paint(network: Classic, codes: Tensor) -> Tensor:
    return network(codes[None].float()).clamp(0, 255)[0].byte()


def _through_files(network: Classic, codes: Tensor, folder: Path) -> None:
    """A frame as the usual scripts do it: written, read, painted, written, read."""
    source, painted = folder / "source.png", folder / "painted.png"
    Image.fromarray(codes.permute(1, 2, 0).numpy()).save(source)
    read = torch.from_numpy(_pixels(source)).permute(2, 0, 1)
    Image.fromarray(_paint(network, read).permute(1, 2, 0).numpy()).save(painted)
    _pixels(painted)


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.array(picture)


def _timed(work: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def main(frames: str, weights: str, memory: str, threads: str) -> None:
    """Answer until the questions end."""
    torch.set_num_threads(int(threads))
    if memory == "tuned":
        keep_freed_memory()
    network, pictures = Classic().eval(), torch.load(frames, weights_only=True)
    network.load_state_dict(torch.load(weights, weights_only=True))
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "network": lambda codes: _paint(network, codes),
            "files": lambda codes: _through_files(network, codes, Path(folder)),
        }
        for number, line in enumerate(sys.stdin):
            codes = pictures[number % len(pictures)]
            print(json.dumps(_timed(partial(ways[line.strip()], codes))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
