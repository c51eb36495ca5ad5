"""Starts runs that will be killed: a warm process forks one for each order, within milliseconds.

Orders and answers are lines of JSON: `{"runs": [{"job": {}, "harm": {}, "environment": {}}]}` in, what became
of each out.
"""

import json
import os
import signal
import sys
import tempfile
import time
import traceback

import torch

import pipelines.flows.title  # noqa: F401  loaded once, for all forks
from pipelines.errors import StylereelError
from pipelines.flows.run import run_title
from pipelines.jobs import TitleJob
from tests.faults.harms import arm

LIMIT_SECONDS = 900


def launch(run: dict, report: str) -> int:
    """The process id of a fork that does the run and then writes its report."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.environ.update(run.get("environment", {}))
    status, answer = 0, {}
    try:
        if run.get("harm"):
            arm(run["harm"])
        answer = run_title(TitleJob(**run["job"]), page=False)
    except StylereelError as err:
        status, answer = err.exit_code, {"error": str(err)}
    except BaseException as err:
        traceback.print_exc()
        status, answer = 70, {"error": f"{type(err).__name__}: {err}"}
    finally:
        with open(report, "w") as file:
            json.dump({"sha256": answer.get("sha256"), "error": answer.get("error")}, file)
        os._exit(status)


def wait_for(child: int) -> int:
    """Its exit status, negative for a signal; a run that hangs is killed and told as -1000."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1000


def main() -> None:
    """Serve orders until there are none."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            runs = json.loads(line)["runs"]
            reports = [f"{folder}/{number}.json" for number in range(len(runs))]
            children = [launch(run, report) for run, report in zip(runs, reports, strict=True)]
            answers = []
            for child, report in zip(children, reports, strict=True):
                status, told = wait_for(child), {}
                if os.path.exists(report) and os.path.getsize(report):
                    with open(report) as file:
                        told = json.load(file)
                    os.unlink(report)
                answers.append({"status": status, **told})
            print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
