"""One process on a device: the lock is freed by the kernel, whoever dies and however."""

import subprocess
import sys

from pipelines.device_lock import device_turn, is_taken, lock_file

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


def test_a_cpu_is_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path))
    with device_turn("cpu"), device_turn("cpu"):
        assert not lock_file("GPU-7").parent.exists()
