"""Process-wide settings of the compute library, to be made once before the first tensor."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from stylecore.spec import EXACT

IN_ORDER_THREADS = 2
"""Of a shot that is optimized, anywhere: threads split sums, and L-BFGS turns a last bit into strokes."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_ARENAS = 4


def fast_precision(device: str) -> str:
    """Of `spec.PRECISIONS`, the one for which a device has fast units; fp32 where there are none."""
    if device.startswith("cuda"):
        return "fp16"
    has_units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if has_units else EXACT


def keep_convolutions_exact() -> None:
    """Let fp32 be fp32 on a GPU, which else rounds what it convolves to the ten bits of fp16.

    A look that does not bear fp16 would be painted like that all the same, and surveys compared with it.
    """
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Run this thread's torch operations on so many threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> bool:
    """Ask glibc to reuse big buffers instead of returning them after every operation; False elsewhere.

    Frame-sized tensors otherwise fault in all their pages anew at each step: 1.3 to 1.7 times slower. Threads
    share a few pools: each would keep the most it ever held, and encoders begin new threads for every shot.
    That limit holds if it is set before there are many threads.
    """
    mallopt = _of_glibc("mallopt")
    settings = (
        (_M_MMAP_THRESHOLD, 1 << 30),
        (_M_TRIM_THRESHOLD, 2_000_000_000),
        (_M_TOP_PAD, 1 << 26),
        (_M_ARENA_MAX, _ARENAS),
    )
    return mallopt is not None and all([mallopt(name, value) for name, value in settings])


def return_freed_memory() -> None:
    """Give the system what is kept: painting is over, and what comes next needs other memory."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


def _of_glibc(function: str) -> Callable[..., int] | None:
    """A function of glibc; None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL("libc.so.6"), function)
    except (OSError, AttributeError):
        return None
    return found
