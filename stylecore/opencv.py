"""OpenCV, for what torch has no operation for, or a slow one on a CPU: motion, and pictures made larger."""

from functools import cache
from typing import Any


@cache
def opencv() -> Any:
    """The module, in one thread: it is slow to load, and not all commands need it."""
    import cv2

    # Its search for motion is cut into stripes, one a thread, and finds other motion with another number.
    cv2.setNumThreads(1)
    return cv2
