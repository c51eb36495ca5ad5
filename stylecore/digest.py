"""Identity of what was computed and of files: sha256, the same on every machine."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor


def digest(text: str, tensors: Iterable[Tensor] = ()) -> str:
    """Hex sha256 of the text, then of each tensor's values in order."""
    found = hashlib.sha256(text.encode())
    for tensor in tensors:
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
