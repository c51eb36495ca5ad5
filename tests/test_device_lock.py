"""One process on a device: the lock is freed by the kernel, whoever dies and however."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from PIL import Image

from pipelines import schema
from pipelines.cli import run
from pipelines.device_lock import device_turn, is_taken, lock_file
from pipelines.errors import UsageError

HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_free_at_once_when_its_holder_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path))
    path = lock_file("GPU-7")
    path.parent.mkdir(parents=True)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n" and is_taken(path)
    holder.kill()
    holder.wait()
    assert not is_taken(path)


def test_programs_of_two_versions_take_the_same_lock(monkeypatch):
    ours = lock_file("GPU-7")
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    assert lock_file("GPU-7") == ours


def test_a_cpu_is_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path))
    with device_turn("cpu"), device_turn("cpu"):
        assert not lock_file("GPU-7").parent.exists()


@pytest.mark.parametrize(
    ("command", "step", "wish"),
    [
        ("bench", "open_stages", ["{film}"]),
        ("plan", "calibrate", ["{film}", "out.mp4", "--style", "noir"]),
        ("train", "train_steps", ["a.png", "--out", "a.safetensors", "--crop", "64"]),
    ],
)
def test_whoever_computes_waits_for_a_turn(film, tmp_path, monkeypatch, capsys, command, step, wish):
    held = []

    @contextmanager
    def turn(device):
        held.append(device)
        yield
        held.clear()

    def stop(*_):
        raise UsageError(f"held: {held}")

    monkeypatch.setattr(f"pipelines.commands.{command}.device_turn", turn)
    monkeypatch.setattr(f"pipelines.commands.{command}.{step}", stop)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "teal").save("a.png")
    assert run([command, *(each.format(film=film) for each in wish), "--device", "cpu"]) == 2
    assert "held: ['cpu']" in capsys.readouterr().err
