"""Checkpoints of trainings: written whole or not at all, and read by the training that they are of."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pipelines.errors import UsageError


def save(state: Mapping[str, Any], file: Path) -> None:
    """Put a state there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, file)


@contextmanager
def opened(file: Path, whose: str) -> Iterator[Mapping[str, Any]]:
    """The state that was saved there; that it cannot be restored, for whatever reason, is a UsageError."""
    try:
        yield torch.load(file, map_location="cpu", weights_only=True)
    except Exception as err:  # a damaged file can raise almost anything
        raise UsageError(
            f"{file}: not a checkpoint of this {whose} ({err}); choose another --checkpoints"
        ) from err
