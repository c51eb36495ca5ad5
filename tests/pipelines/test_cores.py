"""How many processors we count: those we may run on, fewer if told so or given a quota."""

import os

import pytest

from pipelines import environment

ALL = 8


@pytest.mark.parametrize(
    ("files", "told", "expected"),
    [
        ({}, "", ALL),
        ({"cpu.max": "max 100000"}, "", ALL),
        ({"cpu.max": "50000 100000"}, "", 1),
        ({"cpu.max": "250000 100000"}, "", 3),
        ({"cpu.max": "strange"}, "", ALL),
        ({"cpu.max": f"{ALL * 250000} 100000"}, "", ALL),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "", ALL),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, "", 1),
        ({"cpu.max": "50000 100000"}, "3", 3),
        ({}, "5,2", 5),
        ({}, "0", ALL),
    ],
)
def test_processors_are_those_we_may_use(files, told, expected, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(environment, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(ALL)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert environment.cores() == expected
