"""The ffmpeg command line: found, checked, and run from ffmpeg-python graphs."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import ffmpeg
import imageio_ffmpeg

from pipelines.errors import AssemblyError, UnreadError, UsageError

Graph: TypeAlias = ffmpeg.nodes.OutputStream
MINIMUM = (5, 1)
_STOP_SECONDS = 5
_ANSWER_SECONDS = 120
_WHITELIST = ("-protocol_whitelist", "file")


@dataclass(frozen=True)
class Binary:
    """An ffmpeg that is new enough; `origin` is `system` or `package`."""

    path: str
    version: tuple[int, int]
    origin: str


@cache
def find_ffmpeg() -> Binary:
    """The system's ffmpeg if it is 5.1 or newer, else the one that came as a package."""
    candidates = [(shutil.which("ffmpeg"), "system"), (imageio_ffmpeg.get_ffmpeg_exe(), "package")]
    for path, origin in candidates:
        version = _version(path) if path else None
        if path and version and version >= MINIMUM:
            return Binary(path, version, origin)
    raise UsageError("no ffmpeg 5.1 or newer: reinstall the package imageio-ffmpeg")


def _version(path: str) -> tuple[int, int] | None:
    try:
        text = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=_ANSWER_SECONDS
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"ffmpeg version \D{0,2}(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def described(source: Path) -> str:
    """What ffmpeg says of a file's streams: the facts that its libraries keep to themselves."""
    arguments = ["-hide_banner", "-nostdin", "-v", "verbose", *_WHITELIST, "-i", f"file:{source.absolute()}"]
    try:
        done = subprocess.run(
            [find_ffmpeg().path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired as err:
        raise UnreadError(
            f"{source.name}: ffmpeg did not describe it in {_ANSWER_SECONDS} s; is its disk away?"
        ) from err
    return done.stderr.decode(errors="replace")


def run(graph: Graph, timeout_seconds: float) -> None:
    """Run a graph to its end; no shell, no prompt, and the whole process group ends with it."""
    arguments = ["-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", *ffmpeg.get_args(graph)]
    process = subprocess.Popen(
        [find_ffmpeg().path, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired as err:
        _end_group(process)
        raise AssemblyError(f"ffmpeg was not done after {timeout_seconds:.0f} s") from err
    except BaseException:
        _end_group(process)
        raise
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise AssemblyError(f"ffmpeg ended with status {process.returncode}: {last[0]}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_STOP_SECONDS)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def convert_subtitle_graph(source: Path, stream: int, codec: str, target: Path) -> Graph:
    """One text subtitle track, in another text form, on the source's own clock."""
    track = ffmpeg.input(f"file:{source.absolute()}", copyts=None)[str(stream)]
    return ffmpeg.output(track, f"file:{target.absolute()}", **{"c:s": codec})


def recode_graph(source: Path, encoding: str, options: Mapping[str, str], frames: int, target: Path) -> Graph:
    """The first pictures of a film decoded and encoded again, with nothing between."""
    picture = ffmpeg.input(f"file:{source.absolute()}").video
    settings = {"c:v": encoding, **options, "frames:v": frames}
    return ffmpeg.output(picture, f"file:{target.absolute()}", **settings)
