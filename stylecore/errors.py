"""What can go wrong inside the engine.

StyleError
├── PackError       a style pack is missing, damaged or of another version
├── WeightsError    a loss network's weights are missing or not the ones asked for
├── PictureError    a picture file cannot be read
├── DivergedError   a training or an optimization ran away: its numbers are none any more
└── ExportError     a style cannot be written for other programs, or would not paint the same there
"""


class StyleError(Exception):
    """The engine cannot do what was asked; the message says what was found and what to do."""


class PackError(StyleError):
    """A style pack is missing, damaged or of another version."""


class WeightsError(StyleError):
    """A loss network's weights are missing or are not the ones asked for."""


class PictureError(StyleError):
    """A picture file cannot be read."""


class DivergedError(StyleError):
    """A training or an optimization ran away; what was made before is kept."""


class ExportError(StyleError):
    """A style cannot be exported, or the exported file does not paint the same; no file is left."""
