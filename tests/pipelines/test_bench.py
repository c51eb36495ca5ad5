"""What `stylereel bench` compares is comparable: the peer is the classic network, the counts are counts."""

import json
import subprocess
import sys
from subprocess import PIPE

import pytest
import torch
import torch.nn.functional as F

from pipelines.bench.limits import operations
from pipelines.bench.peer import classic
from pipelines.bench.peers import peers, same_network
from pipelines.bench.report import STAGES
from pipelines.bench.stages import open_stages
from pipelines.bench.timing import Timing, take_turns, timed
from pipelines.cli import run
from pipelines.config import make_job
from pipelines.painting import painted_for
from stylecore.networks.convolution import convolve
from stylecore.spec import EngineSpec


def test_each_stage_is_measured_and_judged(film, capsys):
    wish = ["--style", "noir", "--frames", "3", "--rounds", "1", "--no-peer", "--json"]
    assert run(["bench", str(film), *wish]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["frame"]) == {*STAGES, "read", "render", "recode"}
    assert all(timing["wall_seconds"] > 0 for timing in facts["frame"].values())
    assert facts["machine"]["picture"] == "160x96" and facts["limits"]["copied_bytes_per_second"] > 0
    assert facts["ratios"]["render / floor"] > 0


@pytest.mark.parametrize("count", [3, 10_000])
def test_no_frame_is_painted_that_is_not_counted(film, tmp_path, count):
    wish = {"source": str(film), "output": str(tmp_path / "out.mp4"), "device": "cpu", "style": "scream"}
    stages = open_stages(make_job(wish), count, tmp_path)
    whole = stages.shard.frames
    assert len(stages.frames) == len(whole) == min(count, len(stages.film.index.frames))
    assert stages.stylizer.steady > 0 and painted_for(stages.film, whole) == whole


def test_the_peer_paints_what_we_paint(tmp_path):
    torch.manual_seed(2)
    rgb = (F.interpolate(torch.rand(1, 3, 6, 8), (72, 96), mode="bicubic").clamp(0, 1) * 255).round() / 255
    torch.save(classic().state_dict(), tmp_path / "classic.pth")
    runner, look = same_network(tmp_path / "classic.pth", rgb, EngineSpec())
    with torch.inference_mode():
        theirs, ours = classic()(rgb * 255).clamp(0, 255), 255 * runner.paint(rgb, look)
    assert theirs.std() > 1 and (theirs - ours).abs().max() < 1


@pytest.mark.long
def test_a_peer_answers_frame_by_frame(tmp_path):
    with peers([torch.rand(1, 3, 48, 64)], tmp_path) as (found, _):
        for peer in found.values():
            assert all(peer.paint(way).wall_seconds > 0 for way in ("network", "files"))


def test_operations_are_counted():
    x, weight = torch.rand(1, 4, 10, 12), torch.rand(8, 4, 3, 3)
    for work in (lambda: F.conv2d(x, weight), lambda: convolve(x, weight, None, relu=True)):
        assert operations(work) == 2 * 8 * 10 * 8 * 4 * 9


def test_the_first_turn_does_not_count_and_the_median_does():
    walls = iter([9.0, 1.0, 5.0, 2.0])
    assert take_turns({"a": lambda: Timing(next(walls), 0.5)}, 3) == {"a": Timing(2.0, 0.5)}
    spent = timed(lambda: sum(range(200_000)), frames=2)
    assert spent.cpu_seconds > 0 and spent.wall_seconds > 0


TOIL = """
import sys, time
while time.process_time() < 0.5:
    pass
print("done", flush=True)
sys.stdin.read()
"""


def test_what_a_child_does_is_time_too_before_it_has_ended():
    with subprocess.Popen([sys.executable, "-c", TOIL], stdin=PIPE, stdout=PIPE) as child:
        assert timed(child.stdout.readline).cpu_seconds > 0.3
