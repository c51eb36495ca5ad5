"""The encoder's settings follow the device, and are told."""

import pytest
import torch
from conftest import index_film

from pipelines.cli import run
from pipelines.config import make_job
from pipelines.device import find_device, resolve_device, with_device
from pipelines.errors import UsageError
from pipelines.prepare import plan_film


@pytest.mark.parametrize(
    ("wish", "preset"),
    [
        ({"device": "cpu"}, "faster"),
        ({"device": "cuda:0"}, "veryfast"),
        ({"device": "cuda:0", "preset": "slow"}, "slow"),
    ],
)
def test_a_preset_does_not_hold_up_its_device(wish, preset):
    job = make_job({"source": "a.mp4", "output": "b.mp4", **wish})
    assert job.encode_spec.preset == preset


@pytest.mark.parametrize(
    ("text", "count"), [("2GiB", 2 << 30), ("1500MB", 1_500_000_000), (4096, 4096), (0, 0)]
)
def test_memory_is_said_as_people_say_it(text, count):
    job = make_job({"source": "a.mp4", "output": "b.mp4", "memory": text, "device": "cpu"})
    assert job.engine_spec.memory_bytes == count
    halves = job.model_copy(update={"at_once": 2}).engine_spec
    assert halves.memory_bytes == count // 2


@pytest.mark.parametrize(
    ("cores", "wish", "at_once"),
    [
        ("1", {"device": "cpu"}, 1),
        ("16", {"device": "cpu"}, 2),
        ("16", {"device": "cpu", "memory": "2GiB"}, 1),
        ("16", {"device": "cpu", "memory": "2GiB", "at_once": 3}, 3),
        ("16", {"device": "cuda:0"}, 4),
        ("16", {"device": "cuda:0", "memory": "2GiB"}, 1),
        ("16", {"device": "cuda:0", "memory": "2GiB", "at_once": 3}, 3),
    ],
)
def test_shards_at_once_keep_the_device_busy(monkeypatch, cores, wish, at_once):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    assert make_job({"source": "a.mp4", "output": "b.mp4", **wish}).shards_at_once == at_once


def test_half_precision_is_taken_for_gpus_and_only_if_resolved():
    job = make_job({"source": "a.mp4", "output": "b.mp4", "device": "cuda:0"})
    assert job.engine_spec.precision == "fp32" and with_device(job, "gpu").engine_spec.precision == "fp16"
    assert resolve_device(job.model_copy(update={"device": "cpu", "precision": "bf16"})).precision == "bf16"


@pytest.mark.parametrize(
    ("gpus", "wish", "found"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda:1", "cuda:1"),
        (1, "cuda", "cuda"),
    ],
)
def test_a_device_is_one_of_this_machine(monkeypatch, gpus, wish, found):
    has_gpus(monkeypatch, gpus)
    assert find_device(wish) == found


@pytest.mark.parametrize(
    ("gpus", "wish", "told"),
    [
        (0, "cuda:0", "no CUDA device"),
        (1, "cuda:9", "has cuda:0 to cuda:0; choose"),
        (2, "cuda:2", "has cuda:0 to cuda:1; choose"),
        (2, "cuda:-1", "choose auto, cpu or cuda:N"),
        (9, "cuda:01", "choose auto, cpu or cuda:N"),
        (2, "cuda:", "choose auto, cpu or cuda:N"),
        (2, "cpux", "choose auto, cpu or cuda:N"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, gpus, wish, told):
    has_gpus(monkeypatch, gpus)
    with pytest.raises(UsageError, match=f"device '?{wish}.*{told}"):
        find_device(wish)


def has_gpus(monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_training_finds_its_device_before_all_else(capsys):
    assert run(["train", "none.jpg", "--out", "none.safetensors", "--device", "cpux"]) == 2
    assert "device 'cpux': choose auto, cpu or cuda:N" in capsys.readouterr().err


@pytest.mark.parametrize("wish", ["auto", "cpux", "cuda:x"])
def test_a_pool_is_told_what_its_workers_have(wish):
    job = make_job({"source": "a.mp4", "output": "b.mp4", "device": wish})
    with pytest.raises(UsageError, match="say what they have"):
        with_device(job, "gpu")


@pytest.mark.parametrize(
    ("wish", "least"),
    [
        ({}, "6.."),
        ({"batch": 8}, "6.."),
        ({"device": "cuda:0"}, "6.."),
        ({"device": "cuda:0", "batch": 8}, "7.."),
        ({"at_once": 2}, "13.."),
    ],
)
def test_too_little_memory_is_refused_in_the_plan(film, tmp_path, wish, least):
    places = {"source": str(film), "output": str(tmp_path / "b.mp4")}
    job = make_job({**places, "memory": "100MiB", "device": "cpu", **wish})
    with pytest.raises(UsageError, match=f"100.0MiB: a film of 160x96 takes {least} MiB at least"):
        plan_film(job, *index_film(film)[:2])
