"""A command and the machine: a full disk, signals, servers that must not outlive it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import gone

from pipelines.environment import cache_folder

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_a_full_disk_is_one_line_and_keeps_what_is_done(film, tmp_path):
    """The kernel's own file size limit stands in for a full disk: writes fail in the middle of a part."""
    limited = (
        "import resource, signal, errno, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from pipelines.cli import run; import os; os._exit(run(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-c",
        limited,
        "render",
        str(film),
        str(tmp_path / "out.mp4"),
        "--style",
        "identity",
        "--lossless",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("stylereel:")]) == 1
    assert not (tmp_path / "out.mp4").exists()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.long),
        (signal.SIGKILL, -9),
    ],
)
def test_no_server_outlives_its_command(film, tmp_path, number, code):
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "render",
        str(film),
        str(tmp_path / "out.mp4"),
        "--style",
        "starry-night",
    ]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    for line in process.stderr:
        if line.startswith("render:"):
            break
    servers = children(process.pid)
    assert servers, "an embedded server runs"
    process.send_signal(number)
    assert process.wait(60) == code
    assert all(gone(pid) for pid in servers)
    assert (cache_folder() / "prefect" / "prefect.db").stat().st_size, "not a database of others"
    process.stderr.close()
