"""A Prefect server of our own for one command, when the user points to none. It cannot outlive us.

The child ends as soon as its standard input closes, which the kernel does for us however we die, so that
not even `kill -9` leaves an orphan behind. It starts while the film is being indexed.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from pipelines.credentials import hide_secrets
from pipelines.environment import prefect_certificates, prefect_server_given
from pipelines.errors import EngineError, OutageError, UsageError
from pipelines.faults import wait_out

START_SECONDS = 180
_PATIENCE = httpx.Timeout(120, connect=10)
"""A busy server takes its time, in seconds; one that is not there is soon known."""
_QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def quiet_prefect(home: Path | None) -> Mapping[str, str]:
    """Settings under which Prefect neither chats nor calls home; to be in place before it is imported."""
    settings = dict(_QUIET) if home is None else {**_QUIET, **_home_settings(home)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return settings


def _home_settings(home: Path) -> Mapping[str, str]:
    return {"PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml")}


class EmbeddedServer:
    """A server child on a free loopback port; `wait()` until it answers, `stop()` when done."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        quiet_prefect(home)
        self.log = home / "server.log"
        # Its port is bound here: one that was only looked up may be taken before the child has started. Its
        # home is its own, whatever this process has been told.
        with socket.socket() as door, self.log.open("wb") as log:
            door.bind(("127.0.0.1", 0))
            self.port = door.getsockname()[1]
            self.child = subprocess.Popen(
                [sys.executable, "-m", "pipelines.flows.server", str(door.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                pass_fds=[door.fileno()],
                env={**os.environ, **_home_settings(home)},
            )

    @property
    def url(self) -> str:
        """The API, for PREFECT_API_URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def wait(self) -> None:
        """Return once the server answers."""
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.url):
            if self.child.poll() is not None:
                raise EngineError(
                    f"Prefect's server ended with status {self.child.returncode} ({self.log}); "
                    "try `stylereel doctor`"
                )
            if time.monotonic() > deadline:
                raise EngineError(
                    f"Prefect's server did not answer in {START_SECONDS} s; try `stylereel doctor`"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """End the child; safe to call twice."""
        if self.child.stdin:
            self.child.stdin.close()
        self.child.kill()
        self.child.wait()


def given_server() -> str:
    """The API that the user points to, which answers."""
    given = prefect_server_given()
    if not given:
        raise UsageError(
            "PREFECT_API_URL names no Prefect server; start one and point to it (deploy/README.md)"
        )
    wait_out(lambda: _insist_on(given), "Prefect's server")
    if "prefect" not in sys.modules:  # a worker's process has decided what is heard
        quiet_prefect(None)
    return given


def _insist_on(given: str) -> None:
    if not answers(given):
        raise OutageError(f"PREFECT_API_URL={hide_secrets(given)} does not answer; start it or unset it")


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Flows of this process, and of its children, use the server at `url`."""
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = url
    if "prefect" in sys.modules:  # it has read its settings when it was loaded
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PREFECT_API_URL"]
        else:
            os.environ["PREFECT_API_URL"] = before


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are: those that Prefect is told of, or those of this machine."""
    return ssl.create_default_context(cafile=prefect_certificates())


def answers(url: str) -> bool:
    """Whether a Prefect API is there."""
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/health", timeout=_PATIENCE, follow_redirects=True, verify=_trusted()
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.status_code == 200


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _serve(door: socket.socket) -> None:
    import uvicorn

    os.environ["PREFECT__SERVER_EPHEMERAL"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app = "prefect.server.api.server:create_app"
    uvicorn.Server(uvicorn.Config(app, factory=True, log_level="critical", lifespan="on")).run([door])


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
