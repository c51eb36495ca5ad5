"""Whose fault a failure is, and what is done about it."""

import errno
import random
import time
from contextlib import nullcontext
from itertools import islice, pairwise, repeat

import httpx
import pytest
import torch

from pipelines import attempts
from pipelines.config import make_job
from pipelines.errors import DiskFullError, EngineError, InputError, OutageError, StorageError
from pipelines.faults import Fault, Trust, backoff, fault_of, patient, wait_out
from pipelines.flows.run import run_title
from pipelines.flows.spread import _ask
from pipelines.storage import Store
from pipelines.store_errors import explained


def caused(err, cause):
    err.__cause__ = cause
    return err


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (RuntimeError("shapes differ"), Fault.POISON),
        (EngineError("the encoder wrote nothing"), Fault.POISON),
        (torch.OutOfMemoryError("CUDA out of memory"), Fault.ENVIRONMENT),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), Fault.ENVIRONMENT),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `...`"), Fault.ENVIRONMENT),
        (RuntimeError("GET was unable to find an engine to execute this computation"), Fault.ENVIRONMENT),
        (MemoryError(), Fault.ENVIRONMENT),
        (OSError(errno.EMFILE, "too many open files"), Fault.ENVIRONMENT),
        (DiskFullError("the disk is full"), Fault.ENVIRONMENT),
        (caused(EngineError("cannot encode"), OSError(errno.ENOSPC, "full")), Fault.ENVIRONMENT),
        (InputError("the reader ended"), Fault.TRANSIENT),
        (ConnectionResetError("reset"), Fault.TRANSIENT),
        (OutageError("no answer"), Fault.OUTAGE),
    ],
)
def test_a_failure_is_somebodys(error, fault):
    assert fault_of(error) is fault


class ClientError(Exception):
    """What the clients of stores raise is told by its name, or by the status that it carries."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


class EndpointConnectionError(type("ConnectionError", (Exception,), {})):
    """As botocore has it: no OSError."""


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ClientError(503), OutageError),
        (ClientError(403), StorageError),
        (EndpointConnectionError("could not connect"), OutageError),
        (OSError(errno.EBUSY, "reduce your request rate"), OutageError),
        (OSError(errno.EFBIG, "too large"), DiskFullError),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_errors_of_stores_are_told_apart(error, becomes):
    with pytest.raises(becomes) as told, explained("reading", "s3://films/film.mp4"):
        raise error
    assert type(told.value) is becomes


def test_pauses_grow_up_to_a_limit_and_differ():
    pauses = list(islice(backoff(1, 8, random.Random(1)), 12))
    assert all(0.5 <= pause <= 12 for pause in pauses) and len(set(pauses)) == 12
    assert all(later > before / 3 for before, later in pairwise(pauses))
    assert sum(pauses[-4:]) > sum(pauses[:4])


def test_time_at_work_is_no_time_away():
    """A transfer that went well for longer than our patience, and then broke, goes on."""
    answers = iter([OutageError("cut off"), "all of it"])

    def transfer():
        answer = next(answers)
        if isinstance(answer, OutageError):
            time.sleep(1.1)
            raise answer
        return answer

    with patient(limit_seconds=1.0):
        assert wait_out(transfer, "the store") == "all of it"


def test_two_blips_far_apart_are_two(monkeypatch):
    """What was away, came back and worked for long has a new hour when it goes again."""
    monkeypatch.setattr("pipelines.faults._AT_WORK_SECONDS", 0.5)
    monkeypatch.setattr("pipelines.faults.backoff", lambda: repeat(0.01))
    answers = iter([0, 1.2, 0, None])

    def transfer():
        if (seconds := next(answers)) is None:
            return "all of it"
        time.sleep(seconds)
        raise OutageError("cut off")

    with patient(limit_seconds=1.0):
        assert wait_out(transfer, "the store") == "all of it"


@pytest.mark.parametrize(("status", "waits"), [(503, True), (500, True), (404, False)])
def test_a_server_that_is_restarted_is_waited_for(status, waits):
    request = httpx.Request("GET", "http://127.0.0.1/api")
    fault = httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))
    answers = iter([fault, "well"])

    def question():
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    with nullcontext() if waits else pytest.raises(httpx.HTTPStatusError):
        assert _ask(question) == "well"


def test_a_worker_stops_after_three_different_shards():
    trust = Trust()
    for key, fault in [("a", Fault.ENVIRONMENT), ("a", Fault.ENVIRONMENT), ("b", Fault.POISON)] * 5:
        trust.note(key, fault, "no room")
    trust.note("c", Fault.ENVIRONMENT, "no room")
    assert trust.refusal == ""
    trust.note("d", Fault.ENVIRONMENT, "no room")
    assert trust.refusal == "this worker failed 3 shards and takes no more; no room"


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize(
    ("error", "fault", "shards_tried"),
    [
        (MemoryError("no memory"), "environment", [1, 2, 3]),
        (InputError("reader"), "transient", [1] * 4 + [2] * 4),
    ],
)
def test_what_a_run_does_about_it(tiny_film, pack, tmp_path, monkeypatch, error, fault, shards_tried):
    """Of a broken worker's shards three are tried; what may pass is tried four times."""
    from pipelines.media import parts

    def broken(*_):
        raise error

    monkeypatch.setattr(parts, "_frame", broken)
    monkeypatch.setattr("pipelines.flows.tasks.transient_pauses", lambda: iter([0.0] * 3))
    shards = 5 if fault == "environment" else 2
    job = make_job({"source": str(tiny_film(shards)), "output": str(tmp_path / "out.mp4"), "device": "cpu",
                    "style": f"{pack}#plain", "shard_frames": 8, "at_once": 1})  # fmt: skip
    with pytest.raises(EngineError, match=f"{shards} of {shards} shards failed"):
        run_title(job, page=False)
    rows = attempts.ended(Store(job.work))
    assert sorted(row.shard for row in rows) == shards_tried
    assert {row.fault for row in rows} == {fault}
    assert len({(row.key, row.attempt) for row in rows}) == len(rows)


@pytest.fixture
def tiny_film(tmp_path):
    from conftest import draw

    return lambda shots: draw(tmp_path / "tiny.mp4", size="64x48", shots=(8,) * shots, sound=False)
