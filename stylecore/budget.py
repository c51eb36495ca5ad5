"""How large a tile may be when memory is short: a network's features are most of what painting holds."""

HELD_BYTES = 640 << 20
"""Of a process that paints and the one that decodes for it, before the first frame."""
FRAME_BYTES_PER_PX = 95
"""Of a frame at its own size: what paint is carried with, and frames that wait to be painted or encoded."""
KEPT_BYTES_PER_PX = 60
"""Of a frame, what stays with the process where freed memory is kept for the next."""
NETWORK_BYTES_PER_PX = 600
"""Of a picture inside the network, all its features at once: the hungriest of ours, and a little more."""
WINDOW_BYTES_PER_PX = 28
"""Of a picture that waits for those around it: parts, paint, the way to the next; at the network's size."""
CODED_BYTES_PER_PX = 3
"""Of its planes: ten bits, chroma at half size."""
_STEP_PX = 64
_SMALLEST_PX = 128


def has_room(
    frame_px: int, size: tuple[int, int], memory_bytes: int, waiting: int = 0, together: int = 1
) -> bool:
    """Whether pictures can be painted whole, and freed memory be kept; arguments as for `tile_side`."""
    kept = KEPT_BYTES_PER_PX * frame_px + together * NETWORK_BYTES_PER_PX * size[0] * size[1]
    return _held(frame_px, size, waiting, together) + kept <= memory_bytes


def tile_side(
    frame_px: int,
    size: tuple[int, int],
    halo_px: int,
    memory_bytes: int,
    waiting: int = 0,
    together: int = 1,
) -> int:
    """Side of the largest tile of a picture of `size` that fits into memory; 0 if the whole picture does.

    `frame_px` counts the full-size frame's pixels, `waiting` the pictures held beside the `together` painted.
    Freed memory is taken to be given back, as it must be where there is not even `has_room`.
    Raises ValueError with the bytes needed if not even the smallest tile fits.
    """
    held = _held(frame_px, size, waiting, together)
    if held + together * NETWORK_BYTES_PER_PX * size[0] * size[1] <= memory_bytes:
        return 0
    for side in range(max(size) // _STEP_PX * _STEP_PX, _SMALLEST_PX - 1, -_STEP_PX):
        if held + together * _tile_bytes(side, size, halo_px) <= memory_bytes:
            return side
    raise ValueError(held + together * _tile_bytes(_SMALLEST_PX, size, halo_px))


def _held(frame_px: int, size: tuple[int, int], waiting: int, together: int) -> int:
    """All but what is inside the network."""
    beside = CODED_BYTES_PER_PX * frame_px + WINDOW_BYTES_PER_PX * size[0] * size[1]
    return HELD_BYTES + FRAME_BYTES_PER_PX * frame_px + (waiting + together - 1) * beside


def _tile_bytes(side: int, size: tuple[int, int], halo_px: int) -> int:
    rows, columns = (min(side + 2 * halo_px, whole) for whole in size)
    return NETWORK_BYTES_PER_PX * rows * columns
