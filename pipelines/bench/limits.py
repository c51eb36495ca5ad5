"""What this device could do at most: memory moved and numbers multiplied in a second."""

import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipelines.bench.timing import finish

Size = Sequence[int]
_BYTES = 1 << 28
_TRIES = 5
_CHANNELS, _ROWS, _COLUMNS = 64, 135, 240
"""A layer of the house network at 540 lines."""


def copied_bytes_per_second(device: str) -> float:
    """Memory bandwidth by copying; bytes read and bytes written both count."""
    source = torch.ones(_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _BYTES / _fastest(lambda: target.copy_(source), device)


def multiplied_per_second(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations of a 3x3 convolution, the best of a few tries."""
    shape = (1, _CHANNELS, _ROWS + 2, _COLUMNS + 2)
    x = torch.rand(shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    operations = 2 * 9 * _CHANNELS**2 * _ROWS * _COLUMNS
    with torch.inference_mode():
        return operations / _fastest(lambda: F.conv2d(x, weight), device)


def operations(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and products in some work."""
    in_one_step = {torch.ops.mkldnn._convolution_pointwise: _of_convolution}
    with FlopCounterMode(display=False, custom_mapping=in_one_step) as counter, torch.no_grad():
        work()
    return counter.get_total_flops()


def _of_convolution(_: Size, kernel: Size, *__: object, out_shape: Size) -> int:
    return 2 * math.prod(kernel) * math.prod(out_shape) // out_shape[1]


def _fastest(work: Callable[[], Tensor], device: str) -> float:
    work()
    seconds = []
    for _ in range(_TRIES):
        finish(device)
        began = time.perf_counter()
        work()
        finish(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
