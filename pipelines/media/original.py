"""What a delivery is made of, beside the frames that were painted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.excerpt import WHOLE, Window
from pipelines.media.source_info import SourceInfo
from pipelines.media.tracks import Fate
from pipelines.timeline import Timeline


@dataclass(frozen=True)
class Original:
    """A source on this machine, and what of it goes into a delivery."""

    path: Path
    info: SourceInfo
    timeline: Timeline
    """When the delivered frames are shown; in an excerpt, from time 0."""
    fates: Sequence[Fate]
    window: Window = WHOLE
    """The time in which they are shown, on the source's clock: what else goes along."""
