"""A real Prefect server and real process workers on this machine, for as long as a test needs them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from pipelines.flows.server import answers

ROOT = Path(__file__).parents[1]
QUIETED = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_TO_API_ENABLED", "PREFECT_API_URL")


class Farm:
    """A server of its own; workers are added and killed as one likes. Nothing outlives `stop`."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            port = door.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{port}/api"
        kept = {name: value for name, value in os.environ.items() if name not in QUIETED}
        self.env = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "STYLEREEL_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("server", "server", "start", "--port", str(port), "--no-ui")
        deadline = time.monotonic() + 180
        while not answers(self.url):
            assert time.monotonic() < deadline, self.log("server")
            time.sleep(0.2)

    def prefect(self, *arguments: str) -> str:
        """Run a command of Prefect's to its end."""
        return self._run("prefect", *arguments)

    def stylereel(self, *arguments: str) -> dict[str, Any]:
        """Run a command of ours with --json; what it prints."""
        return json.loads(self.python("-m", "pipelines", *arguments, "--json"))

    def python(self, *arguments: str) -> str:
        """Run Python as a worker would."""
        return self._run(sys.executable, *arguments)

    def worker(self, pool: str, queue: str, limit: int = 1) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        name = f"{queue}-{len(self.processes)}"
        options = ("--pool", pool, "--work-queue", queue, "--limit", str(limit), "--name", name)
        return self._start(name, "worker", "start", *options)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Talk to this server; Prefect is imported late, for it reads the environment only once."""
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            yield client

    def submit(self, deployment: str, parameters: dict[str, Any]) -> UUID:
        """Ask for a run."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def runs(self, **wanted: Any) -> list[Any]:
        """Flow runs, by Prefect's filter."""
        from prefect.client.schemas.filters import FlowRunFilter

        with self.client() as client:
            return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))

    def over(self, run: UUID, seconds: float = 600) -> Any:
        """A run, once it is over; a lost one is not, it has its turn again."""
        from pipelines.flows.spread import LOST

        def done() -> bool:
            state = self.runs(id={"any_": [run]})[0].state
            return state.is_final() and state.name != LOST

        self.until(done, seconds)
        return self.runs(id={"any_": [run]})[0]

    def until(self, condition: Callable[[], bool], seconds: float = 600) -> None:
        """Return once something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.5)

    def logs(self) -> str:
        """The last words of all processes."""
        return "\n".join(f"{log.name}\n{log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        """Kill everything, the server last."""
        for process in reversed(self.processes):
            kill_family(process.pid)
            process.wait()

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
        return done.stdout.decode()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["prefect", *arguments],
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )
        self.processes.append(process)
        return process


def _hear_interrupts() -> None:
    # In the background of a shell SIGINT is ignored; a worker turns SIGTERM into it, and would ignore both.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            found += map(int, children.split())
    return found


def kill_family(pid: int) -> None:
    """`kill -9` of a process and its descendants: a machine that goes down."""
    for member in family(pid):
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
