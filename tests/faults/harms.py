"""What can happen to a run: real signals, real limits, real damage. Each harm is a small plain value."""

import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.kill_at import at_call

MOMENTS = {
    "indexing": ("pipelines.media.indexing:Indexing._note_frame", 20, ""),
    "index half stored": ("pipelines.storage:Store.write", 1, "frames.parquet"),
    "planning": ("pipelines.storage:Store.write", 1, "shots.parquet"),
    "claiming": ("pipelines.attempts:claim", 3, ""),
    "claimed": ("pipelines.flows.tasks:render_shard", 3, ""),
    "encoding": ("pipelines.media.parts:_frame", 36, ""),
    "part encoded": ("pipelines.storage:Store.publish", 3, "parts/"),
    "published, not recorded": ("pipelines.attempts:record", 3, ""),
    "half a record": ("pipelines.disk:os.link", 6, ""),
    "assembling": ("pipelines.media.assemble:read_part", 3, ""),
    "compacting": ("pipelines.storage:Store.write", 1, "snapshots/"),
    "conforming": ("pipelines.media.conform:prove_head", 1, ""),
    "publishing": ("pipelines.disk:move", 4, ""),
    "published, not noted": ("pipelines.storage:Store.write", 1, "delivery.json"),
}
"""Function, calls of it in a whole run at most, and what an argument mentions."""


def arm(harm: dict) -> None:
    """Prepare this process, which is about to run a film, for what will happen to it."""
    kind = harm["kind"]
    if kind == "call":
        at_call(*harm["at"], lambda: _strike(harm["signal"]))
    elif kind == "time":
        _later(harm["seconds"], lambda: _strike(harm["signal"]))
    elif kind == "reader":
        _later(harm["seconds"], _kill_readers)
    elif kind == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (harm["bytes"], resource.RLIM_INFINITY))
    elif kind == "clock":
        _jumping_clock(random.Random(harm["seed"]))


def _strike(number: int) -> None:
    """SIGKILL takes the whole group at once, as a power cut would."""
    if number == signal.SIGKILL:
        os.killpg(0, number)
    os.kill(os.getpid(), number)


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def _kill_readers() -> None:
    """kill -9 of whatever reads media for us: the nursery and, with it, its children."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                os.kill(int(entry.parent.name), signal.SIGKILL)


def _jumping_clock(chance: random.Random) -> None:
    """A wall clock that jumps up to a day either way, again and again."""
    real = time.time
    time.time = lambda: real() + chance.choice([-86_400, -3_600, 0, 0, 3_600, 86_400])


def damage(work: Path, chance: random.Random) -> str:
    """Lose, cut, flip or swap a file of a work; what was done to which."""
    folders = ("parts", "parts", "parts", "results", "claims", "index", "plan", "snapshots")
    files = sorted(path for name in folders for path in (work / name).rglob("*") if path.is_file())
    if not files:
        return "nothing to damage"
    path, how = chance.choice(files), chance.choice(["lost", "cut", "flipped", "swapped"])
    if how == "lost" and path.parent.name == "claims":
        how = "cut"  # a lost claim would let its number be given twice; it is never deleted
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif how == "flipped":
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :])
    else:
        path.write_bytes(chance.choice(files).read_bytes())
    return f"{how} {path.relative_to(work)}"
