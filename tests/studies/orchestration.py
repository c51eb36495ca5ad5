"""What Prefect costs on a long film: task runs, seconds that are nobody's work, memory of the flow's process.

The film is real but tiny: 500 shots of eight frames, "painted" by the identity style, in as many shards
as a two-hour film of 2,000 shots has. What is measured is what does not shrink with the frames. Usage:

    python tests/studies/orchestration.py [FOLDER]
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg

from pipelines import attempts
from pipelines.config import make_job
from pipelines.flows.run import run_title
from pipelines.flows.server import EmbeddedServer, pointed_at
from pipelines.plan import plan_segments, plan_shards, usual_shard_frames
from pipelines.storage import Store
from pipelines.timeline import shots_from_cuts

SHOTS, TWO_HOURS = 2000, 172_800
FRAMES, SHOT_FRAMES = 4000, 8
REALISTIC_FPS = {"one H100": 200, "a small GPU": 60, "two CPU cores": 8}


def two_hour_shards() -> int:
    """Shards of a two-hour film whose 2,000 cuts lie anywhere."""
    cuts = sorted(random.Random(1).sample(range(1, TWO_HOURS), SHOTS - 1))
    return len(plan_shards(plan_segments(shots_from_cuts(cuts, TWO_HOURS)), usual_shard_frames(TWO_HOURS)))


def draw(path: Path) -> None:
    """A film of so many frames, quickly."""
    noise = f"testsrc2=size=64x48:rate=24,trim=end_frame={FRAMES},format=yuv420p"
    command = ["-v", "error", "-y", "-f", "lavfi", "-i", noise, "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *command, str(path)], check=True)


def task_runs(url: str) -> int:
    """How many the server has seen."""
    request = urllib.request.Request(
        f"{url}/task_runs/count", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def gaps_seconds(url: str) -> float:
    """Seconds between the tasks, from the first to the last: nobody's work but Prefect's."""
    request = urllib.request.Request(
        f"{url}/task_runs/filter", b'{"limit": 200}', {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        runs = json.load(answer)
    times = sorted((run["start_time"], run["end_time"]) for run in runs)
    moments = [tuple(map(datetime.fromisoformat, pair)) for pair in times]
    return sum((after[0] - before[1]).total_seconds() for before, after in pairwise(moments))


def main(folder: Path) -> None:
    """Render it once, and ask the server what it saw."""
    shards = two_hour_shards()
    film, server = folder / "long.mp4", EmbeddedServer(folder / "prefect")
    draw(film)
    cuts = tuple(range(0, FRAMES, SHOT_FRAMES))
    wish = {"style": "identity", "device": "cpu", "preset": "ultrafast", "cuts": cuts}
    job = make_job(
        {"source": str(film), "output": str(folder / "out.mp4"), "shard_frames": -(-FRAMES // shards), **wish}
    )
    server.wait()
    with pointed_at(server.url):
        began = time.monotonic()
        facts = run_title(job, page=False)
        wall = time.monotonic() - began
        time.sleep(5)  # the server records task runs a little later
        runs, left = task_runs(server.url), gaps_seconds(server.url)
    server.stop()
    began = time.monotonic()
    rows = attempts.ended(Store(job.work))
    reading = time.monotonic() - began
    painting = sum(row.wall_seconds for row in rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"a two-hour film of {SHOTS} shots: {shards} shards; here {facts['shards']} of {FRAMES} frames")
    print(f"task runs: {runs}")
    print(f"wall {wall:.1f} s, painting {painting:.1f} s")
    print(f"between tasks {left:.1f} s, {1000 * left / runs:.0f} ms each")
    for machine, fps in REALISTIC_FPS.items():
        print(f"  of two hours painted on {machine} ({fps} fps): {100 * left / (TWO_HOURS / fps):.2f} %")
    print(f"reading all results: {1000 * reading:.0f} ms; peak memory {peak:.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
