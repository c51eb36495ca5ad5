"""The five shots of the demo's film: a traveller's day, from dawn on the hills to a lit window at night.

A scene is a function from `t`, the place in its shot (0..1), to a picture (H,W,3) in 0..1.
"""

import math
from collections.abc import Callable

import numpy as np

from pipelines.demo.canvas import HEIGHT, WIDTH, Color, Ink, Picture, glow, noise, ridge, sky, water, window

Scene = Callable[[float], Picture]

_COAT: Color = (0.62, 0.13, 0.10)
_DARK: Color = (0.10, 0.09, 0.12)
_SKIN: Color = (0.86, 0.66, 0.52)


def dawn(t: float) -> Picture:
    """Hills and a windmill; the camera pans as the sun comes up."""
    pan = 150 * t
    picture = sky((0.36, 0.50, 0.74), (0.99, 0.79, 0.52), (1.0, 0.93, 0.83), 40 * t, 0.45, 3)
    picture = glow(picture, 430 - 0.15 * pan, 178 - 46 * t, 21, (1.0, 0.93, 0.64), 0.95)
    picture = ridge(picture, 196, 38, pan * 0.25, (0.40, 0.46, 0.62), (0.63, 0.62, 0.72), 11, 60)
    picture = ridge(picture, 232, 44, pan * 0.5, (0.22, 0.40, 0.30), (0.62, 0.66, 0.42), 12, 36)
    ink = Ink()
    _windmill(ink, 470 - pan * 0.8, 226, t)
    for number in range(4):
        _house(ink, 120 + number * 34 - pan * 0.8, 262 + 5 * (number % 2), 0.8 + 0.1 * (number % 3))
    for number in range(7):
        _bird(ink, 160 + 46 * number + 70 * t, 74 + 13 * math.sin(number * 2.1) - 14 * t, 12 * t + number)
    picture = ink.over(picture)
    return ridge(picture, 292, 30, pan * 1.1, (0.16, 0.30, 0.12), (0.60, 0.62, 0.22), 13, 18)


def walk(t: float) -> Picture:
    """The traveller on the ridge road; the camera keeps pace."""
    road = 330 * t
    picture = sky((0.20, 0.47, 0.80), (0.80, 0.90, 0.94), (1.0, 1.0, 0.98), road * 0.1, 0.6, 23)
    picture = ridge(picture, 212, 60, road * 0.2, (0.30, 0.45, 0.55), (0.62, 0.72, 0.74), 24, 70)
    picture = ridge(picture, 258, 26, road * 0.55, (0.20, 0.42, 0.18), (0.75, 0.72, 0.30), 25, 30)
    ink = Ink()
    for number in range(6):
        _tree(ink, (number * 173 - road * 0.8) % 900 - 120, 284 + 6 * (number % 3), 0.9 + 0.16 * (number % 3))
    picture = ridge(ink.over(picture), 304, 8, road, (0.36, 0.25, 0.14), (0.86, 0.70, 0.42), 26, 14)
    ink = Ink()
    _traveller(ink, 300 + 26 * math.sin(2 * t), 318, 1.25, road / 21)
    picture = ink.over(picture)
    return ridge(picture, 344, 10, road * 1.7, (0.12, 0.26, 0.08), (0.52, 0.62, 0.16), 27, 10)


def rain(t: float) -> Picture:
    """A storm over the valley; the traveller bends into the rain under an umbrella."""
    road = 120 * t
    picture = sky((0.16, 0.19, 0.26), (0.50, 0.54, 0.58), (0.30, 0.33, 0.40), 60 * t, 1.0, 33)
    picture = ridge(picture, 204, 50, road * 0.2, (0.15, 0.22, 0.27), (0.34, 0.41, 0.45), 34, 60)
    picture = ridge(picture, 266, 22, road * 0.6, (0.10, 0.19, 0.14), (0.34, 0.40, 0.26), 35, 26)
    picture = ridge(picture, 308, 6, road, (0.16, 0.15, 0.16), (0.50, 0.50, 0.52), 36, 16)
    ink = Ink()
    _tree(ink, 520 - road * 0.9, 302, 1.6, lean=14)
    _traveller(ink, 250 + 40 * t, 322, 1.45, road / 24, umbrella=True)
    generator = np.random.default_rng(7)
    for x, y, speed in generator.random((170, 3)):
        top = (y + t * (3.2 + 2 * speed)) % 1 * (HEIGHT + 60) - 40
        left = (x * (WIDTH + 120) - 60 * t) % (WIDTH + 60)
        ink.stroke([(left, top), (left - 7, top + 26)], 1, (0.80, 0.86, 0.92), 0.30 + 0.3 * speed)
    return ink.over(picture)


def sea(t: float) -> Picture:
    """A sail beats along the coast at sunset, past the lighthouse."""
    drift = 70 * t
    picture = sky((0.30, 0.27, 0.52), (0.99, 0.60, 0.33), (0.98, 0.74, 0.52), drift, 0.6, 43)
    picture = glow(picture, 180, 196, 26, (1.0, 0.86, 0.52), 0.95)
    ink = Ink()
    cliff = [
        (WIDTH, 120),
        (560 - drift * 0.4, 142),
        (520 - drift * 0.4, 178),
        (486 - drift * 0.4, 212),
        (WIDTH, 216),
    ]
    ink.shape(cliff, (0.26, 0.20, 0.26))
    _lighthouse(ink, 566 - drift * 0.4, 142)
    picture = water(ink.over(picture), 204, 90 * t, (0.07, 0.19, 0.33), (0.96, 0.66, 0.42), 44)
    ink = Ink()
    _boat(ink, 170 + 170 * t, 250 + 4 * math.sin(9 * t), 1.5, 0.09 * math.sin(7 * t))
    picture = ink.over(picture)
    foam = window(noise(47, 34), 150 * t) * np.clip((np.arange(HEIGHT)[:, None] - 300) / 60, 0, 1)
    return picture + (0.9 - picture) * (np.clip(foam * 2 - 0.9, 0, 1)[..., None] * 0.6).astype(np.float32)


def night(t: float) -> Picture:
    """Home under the moon; the window is lit, smoke rises, and the picture fades to black."""
    push = 1 + 0.12 * t
    picture = sky((0.03, 0.05, 0.16), (0.16, 0.24, 0.42), (0.26, 0.33, 0.50), 30 * t, 0.35, 53)
    generator = np.random.default_rng(5)
    ink = Ink()
    for x, y, size in generator.random((70, 3)):
        ink.disc(x * WIDTH, y * 190, 0.5 + 1.1 * size, (0.95, 0.93, 0.78))
    picture = glow(ink.over(picture), 470 + 8 * t, 76, 24, (0.99, 0.96, 0.78), 0.95)
    picture = ridge(picture, 214 * push**0.3, 44, 10 * t, (0.06, 0.10, 0.18), (0.16, 0.24, 0.36), 54, 60)
    picture = ridge(picture, 262 * push**0.2, 26, 20 * t, (0.03, 0.07, 0.08), (0.14, 0.22, 0.22), 55, 24)
    picture = glow(picture, 262, 262, 16 * push, (0.98, 0.72, 0.30), 0.75)
    ink = Ink()
    _cottage(ink, 262, 286, 1.5 * push, t)
    _tree(ink, 130, 306, 1.7 * push, leaf=(0.05, 0.12, 0.11))
    _tree(ink, 410, 296, 1.3 * push, leaf=(0.06, 0.14, 0.12))
    picture = ink.over(picture)
    return picture * np.float32(1 - max(0.0, (t - 0.72) / 0.28))


SCENES: tuple[tuple[Scene, float], ...] = ((dawn, 2.5), (walk, 2.25), (rain, 2.0), (sea, 2.5), (night, 2.75))
"""Each shot and its length in seconds."""


def _windmill(ink: Ink, x: float, y: float, t: float) -> None:
    ink.shape([(x - 15, y + 44), (x - 9, y - 18), (x + 9, y - 18), (x + 15, y + 44)], (0.88, 0.80, 0.70))
    ink.shape([(x - 12, y - 16), (x, y - 32), (x + 12, y - 16)], (0.55, 0.20, 0.16))
    for arm in range(4):
        angle = 2.4 * t + arm * math.pi / 2
        tip = (x + 46 * math.cos(angle), y - 18 + 46 * math.sin(angle))
        side = (tip[0] - 9 * math.sin(angle), tip[1] + 9 * math.cos(angle))
        ink.shape([(x, y - 18), tip, side], (0.97, 0.94, 0.88))
        ink.stroke([(x, y - 18), tip], 1.5, _DARK)


def _house(ink: Ink, x: float, y: float, size: float) -> None:
    w, h = 22 * size, 16 * size
    ink.shape([(x, y), (x, y - h), (x + w, y - h), (x + w, y)], (0.93, 0.85, 0.72))
    ink.shape([(x - 2, y - h), (x + w / 2, y - 1.9 * h), (x + w + 2, y - h)], (0.70, 0.26, 0.17))
    ink.shape(
        [(x + w * 0.4, y), (x + w * 0.4, y - h * 0.5), (x + w * 0.6, y - h * 0.5), (x + w * 0.6, y)], _DARK
    )


def _bird(ink: Ink, x: float, y: float, beat: float) -> None:
    lift = 4 * math.sin(beat * 2)
    ink.stroke([(x - 7, y - lift), (x, y), (x + 7, y - lift)], 1.6, _DARK)


def _tree(
    ink: Ink, x: float, y: float, size: float, lean: float = 0, leaf: Color = (0.16, 0.36, 0.14)
) -> None:
    top = (x + lean, y - 56 * size)
    ink.stroke([(x, y), top], 5 * size, (0.28, 0.18, 0.12))
    lit: Color = (min(1, leaf[0] * 1.9), min(1, leaf[1] * 1.5), min(1, leaf[2] * 1.5))
    for dx, dy, radius in ((-14, -48, 15), (13, -50, 16), (0, -66, 19), (-5, -40, 13)):
        ink.disc(x + lean + dx * size, y + dy * size, radius * size, leaf)
    for dx, dy, radius in ((-9, -55, 8), (7, -70, 9), (15, -55, 7)):
        ink.disc(x + lean + dx * size, y + dy * size, radius * size, lit)


def _traveller(ink: Ink, x: float, y: float, size: float, steps: float, umbrella: bool = False) -> None:
    swing = math.sin(steps * 2)
    bob = abs(math.cos(steps * 2)) * 2 * size
    hip, neck = y - 26 * size - bob, y - 52 * size - bob
    for side in (-1, 1):
        foot = x + side * swing * 12 * size
        ink.stroke([(x, hip), (foot, y - max(0, -side * swing) * 3 * size)], 5 * size, (0.18, 0.15, 0.22))
    ink.shape(
        [
            (x - 12 * size, hip + 8 * size),
            (x - 5 * size, neck),
            (x + 6 * size, neck),
            (x + 11 * size, hip + 6 * size),
        ],
        _COAT,
    )
    ink.disc(x + 2 * size, neck - 6 * size, 7 * size, _SKIN)
    ink.shape(
        [
            (x - 11 * size, neck - 9 * size),
            (x + 14 * size, neck - 9 * size),
            (x + 5 * size, neck - 17 * size),
            (x - 3 * size, neck - 17 * size),
        ],
        _DARK,
    )
    hand = (x + (12 + 3 * swing) * size, neck + 14 * size)
    ink.stroke([(x + 4 * size, neck + 5 * size), hand], 4 * size, _COAT)
    if umbrella:
        top = (hand[0] + 4 * size, neck - 30 * size)
        ink.stroke([hand, top], 1.5 * size, _DARK)
        rim = [
            (top[0] + 34 * size * math.cos(a), top[1] + 18 * size * math.sin(a))
            for a in np.linspace(math.pi, 2 * math.pi, 12)
        ]
        ink.shape(rim, (0.93, 0.74, 0.20))
    else:
        ink.stroke(
            [(hand[0] - 2 * size, neck - 14 * size), (hand[0] + (4 + 6 * swing) * size, y)],
            2 * size,
            (0.36, 0.24, 0.14),
        )


def _lighthouse(ink: Ink, x: float, y: float) -> None:
    for band in range(4):
        wide = 9 - band * 1.2
        fill: Color = (0.95, 0.92, 0.88) if band % 2 else (0.78, 0.20, 0.16)
        ink.shape(
            [
                (x - wide, y - band * 15),
                (x - wide + 1.2, y - band * 15 - 15),
                (x + wide - 1.2, y - band * 15 - 15),
                (x + wide, y - band * 15),
            ],
            fill,
        )
    ink.disc(x, y - 66, 6, (1.0, 0.93, 0.60))
    ink.shape([(x - 8, y - 70), (x, y - 80), (x + 8, y - 70)], _DARK)


def _boat(ink: Ink, x: float, y: float, size: float, roll: float) -> None:
    def turned(dx: float, dy: float) -> tuple[float, float]:
        return (
            x + size * (dx * math.cos(roll) - dy * math.sin(roll)),
            y + size * (dx * math.sin(roll) + dy * math.cos(roll)),
        )

    ink.shape([turned(*p) for p in ((-34, -6), (36, -8), (26, 9), (-24, 9))], (0.34, 0.18, 0.12))
    ink.stroke([turned(0, -6), turned(0, -76)], 2 * size, (0.24, 0.15, 0.10))
    ink.shape([turned(*p) for p in ((3, -74), (4, -12), (34, -14))], (0.98, 0.94, 0.84))
    ink.shape([turned(*p) for p in ((-3, -66), (-3, -12), (-27, -13))], (0.90, 0.36, 0.24))


def _cottage(ink: Ink, x: float, y: float, size: float, t: float) -> None:
    def box(left: float, top: float, right: float, bottom: float, fill: Color) -> None:
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        ink.shape([(x + dx * size, y + dy * size) for dx, dy in corners], fill)

    box(-30, -26, 30, 6, (0.24, 0.22, 0.27))
    ink.shape(
        [(x + dx * size, y + dy * size) for dx, dy in ((-36, -25), (0, -52), (36, -25))], (0.15, 0.12, 0.17)
    )
    box(-8, -18, 8, -4, (1.0, 0.80, 0.36))
    box(-0.8, -18, 0.8, -4, _DARK)
    box(16, -56, 22, -38, (0.16, 0.13, 0.17))
    for puff in range(6):
        rise = (puff / 6 + t * 0.8) % 1
        ink.disc(
            x + (19 + 9 * math.sin(5 * rise + puff)) * size,
            y - (58 + 50 * rise) * size,
            (3 + 6 * rise) * size,
            (0.25, 0.29, 0.38),
        )
