"""Process-wide settings of the compute library, to be made once before the first tensor."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import torch

from stylecore.spec import EXACT

IN_ORDER_THREADS = 2
"""Of a shot that is optimized, anywhere: threads split sums, and L-BFGS turns a last bit into strokes."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_ARENAS = 4
_FIRST_CALLS = Lock()
_CHOSEN_AT_FIRST_CALL = (
    *(torch.sin, torch.cos, torch.tan, torch.tanh, torch.asin, torch.acos, torch.atan, torch.erf, torch.sqrt),
    *(torch.exp, torch.expm1, torch.log, torch.log1p, torch.log2, torch.log10),
)


def fast_precision(device: str) -> str:
    """Of `spec.PRECISIONS`, the one for which a device has fast units; fp32 where there are none."""
    if device.startswith("cuda"):
        return "fp16"
    has_units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if has_units else EXACT


def keep_arithmetic_exact() -> None:
    """Let fp32 be fp32 in every process, from its first operation on; asked by whoever is about to compute.

    A GPU else rounds what it convolves to the ten bits of fp16: a look that does not bear them would be
    painted like that all the same, and surveys compared with it. On CPUs, oneMKL 2024.2 chooses the kernel
    of each function when it is first called, and of two threads that do so at once one may get the estimate
    (pytorch/pytorch#188792): a canvas was 5e-4 off in one process of five, and with it all that followed.
    """
    torch.backends.cudnn.allow_tf32 = False
    with _FIRST_CALLS:
        for function in _CHOSEN_AT_FIRST_CALL:
            for dtype in (torch.float32, torch.float64):
                function(torch.full((1,), 0.5, dtype=dtype))


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Run this thread's torch operations on so many threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory(mapped_from_bytes: int = 1 << 30) -> bool:
    """Ask glibc to reuse buffers smaller than that instead of returning them at once; False elsewhere.

    Frame-sized tensors otherwise fault in all their pages anew at each step: 1.3 to 1.7 times slower. Threads
    share a few pools: each would keep the most it ever held, and encoders begin new threads for every shot.
    That limit holds if it is set before there are many threads. Whole pictures in fp32 are few: mapped apart,
    they leave no holes among smaller buffers that only their like would fill.
    """
    return _set_up_malloc(mapped_from_bytes, 2_000_000_000, 1 << 26)


def spare_memory() -> bool:
    """Ask glibc to return every buffer of a plane's size at once; False elsewhere.

    Slower by the faults that `keep_freed_memory` avoids: for where memory is short.
    """
    return _set_up_malloc(1 << 20, 1 << 20, 1 << 17)


def _set_up_malloc(mapped_from_bytes: int, kept_bytes: int, asked_ahead_bytes: int) -> bool:
    """Buffers of that size are the system's own; of smaller ones so much is kept, and asked for at once."""
    mallopt = _of_glibc("mallopt")
    settings = (
        (_M_MMAP_THRESHOLD, mapped_from_bytes),
        (_M_TRIM_THRESHOLD, kept_bytes),
        (_M_TOP_PAD, asked_ahead_bytes),
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
