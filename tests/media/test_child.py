"""Reading in a child process: whatever becomes of it, we get its bytes, its error, or one clear line."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import naughty
import pytest
from conftest import gone, index_film

from pipelines.errors import ConformError, InputError, UsageError
from pipelines.media import child
from pipelines.media.child import read_in_child
from pipelines.media.decoding import checksum
from pipelines.timeline import FrameRange


def heard(work, *given):
    return [[bytes(part) for part in message] for message in read_in_child("film.mkv", work, *given)]


def test_bytes_come_as_they_are_sent_and_are_never_taken_for_pickles():
    words = [b"", b"one", bytes(range(256)) * 40_000, pickle.dumps(UsageError("no"))]
    assert heard(naughty.say, *words) == [[word, b"", word] for word in words]


def test_a_child_has_loaded_nothing_it_does_not_need():
    loaded = {name.partition(".")[0] for name in json.loads(heard(naughty.modules)[0][0])}
    assert {"av", "numpy"} <= loaded
    assert not loaded & {"torch", "prefect", "pyarrow", "fsspec", "click", "pydantic", "rich"}


@pytest.mark.parametrize("kind", [InputError, UsageError, ConformError])
def test_errors_of_the_project_come_out_unchanged(kind):
    with pytest.raises(kind) as error:
        heard(naughty.refuse, kind.__name__, "frame 7: \N{SNOWMAN}, 'as it was'")
    assert type(error.value) is kind and str(error.value) == "frame 7: \N{SNOWMAN}, 'as it was'"


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (naughty.stumble, "film.mkv: reading it failed (KeyError: 'packet')"),
        (naughty.crash, "film.mkv: crashed its decoder or ran it out of memory"),
        (naughty.devour, "film.mkv: takes more memory than a film of its size may"),
    ],
)
def test_every_other_end_is_one_line(work, says):
    with pytest.raises(InputError) as error:
        heard(work)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)
    assert heard(naughty.say, b"next") == [[b"next", b"", b"next"]]


def test_a_child_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(child, "STALL_SECONDS", 3)
    messages = read_in_child("film.mkv", naughty.hang)
    pid = int(bytes(next(messages)[0]))
    with pytest.raises(InputError, match="film.mkv: reading gave nothing for 3 s and was stopped"):
        next(messages)
    assert gone(pid)


def test_a_child_that_says_it_is_alive_is_not(monkeypatch):
    monkeypatch.setattr(child, "STALL_SECONDS", 4)
    assert heard(naughty.ponder, 4.5) == [[b"done"]]


def test_a_child_waits_for_who_listens_and_ends_when_nobody_does(tmp_path):
    place, size = tmp_path / "count", 1 << 20
    messages = read_in_child("film.mkv", naughty.pour, str(place), size)
    for _ in range(3):
        next(messages)
    counts = []
    while len(counts) < 5 or not counts[-1] or counts[-1] != counts[-5]:  # empty while it is written anew
        time.sleep(0.02)
        counts.append(place.read_text())
    pid, count = map(int, counts[-1].split())
    assert count <= 3 + 20, "a handful are on their way"
    messages.close()
    assert gone(pid)


def test_many_threads_read_at_once(film):
    _, index, reader = index_film(film)
    ranges = [FrameRange(start, start + 12) for start in range(0, 84, 7)]
    with ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda frames: [checksum(frame) for frame in reader.read(frames)], ranges)
    wanted = [[index.frames[number].crc for number in frames] for frames in ranges]
    assert list(found) == wanted


def test_a_nursery_that_died_is_replaced():
    (nursery,) = (pid for pid in children(os.getpid()) if b"nursery.nurse" in command(pid))
    os.kill(nursery, signal.SIGKILL)
    assert gone(nursery)
    assert heard(naughty.say, b"again") == [[b"again", b"", b"again"]]


PARENT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been started in the background
import naughty
from pipelines.media.child import read_in_child
messages = read_in_child("film.mkv", naughty.hang)
print(bytes(next(messages)[0]).decode(), flush=True)
next(messages)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_its_parent(number):
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(child.__file__).parents[2])])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    hanging = int(parent.stdout.readline())
    (nursery,) = children(parent.pid)
    assert not gone_now(hanging) and not gone_now(nursery)
    parent.send_signal(number)
    parent.wait(20)
    parent.stdout.close()
    assert gone(hanging) and gone(nursery)


def gone_now(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def children(pid: int) -> list[int]:
    """Children of any of a process's threads."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # threads end meanwhile
            found += map(int, listed.read_text().split())
    return found
