"""The demo's sound: wind, rain and surf made of noise, and a slow line of plucked notes; mono, 48 kHz."""

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
_NOTES_HZ = (220.0, 277.2, 329.6, 440.0, 370.0, 329.6, 246.9, 220.0)
_NOTE_SECONDS = 0.75

Sound = NDArray[np.float32]


def score(shot_seconds: list[float]) -> Sound:
    """Sound for shots of these lengths; each has its own air, the notes run through."""
    generator = np.random.default_rng(11)
    air = np.concatenate([_air(generator, seconds, number) for number, seconds in enumerate(shot_seconds)])
    notes = _notes(len(air))
    mixed = air + 0.5 * notes[: len(air)]
    fade = np.minimum(1, np.arange(len(mixed), 0, -1) / (0.6 * RATE))
    return (0.8 * mixed / np.abs(mixed).max() * fade).astype(np.float32)


def _air(generator: np.random.Generator, seconds: float, number: int) -> Sound:
    """Noise, darker or brighter by shot (rain is brightest), swelling slowly."""
    count = round(seconds * RATE)
    width = (90, 120, 6, 40, 200)[number % 5]
    rough = generator.standard_normal(count + width).astype(np.float32)
    smooth = np.convolve(rough, np.ones(width, np.float32) / width, "valid")[:count]
    swell = 0.6 + 0.4 * np.sin(np.linspace(0, 2 * np.pi * seconds / 2.2, count))
    return (smooth / (np.abs(smooth).max() + 1e-6) * swell * 0.28).astype(np.float32)


def _notes(count: int) -> Sound:
    total = np.zeros(count + 4 * RATE, np.float32)
    length = 3 * RATE
    time = np.arange(length, dtype=np.float32) / RATE
    for number in range(int(count / RATE / _NOTE_SECONDS)):
        pitch = _NOTES_HZ[number % len(_NOTES_HZ)]
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k**2 for k in (1, 2, 3))
        start = round(number * _NOTE_SECONDS * RATE)
        total[start : start + length] += (tone * np.exp(-2.2 * time)).astype(np.float32) * 0.4
    return total[:count]
