"""Media drawn by ffmpeg, a small real network, and one Prefect server for the whole run."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import imageio_ffmpeg
import pytest
import torch
from hypothesis import settings

from pipelines.cli import run
from pipelines.flows.server import START_SECONDS, EmbeddedServer, answers, pointed_at
from pipelines.media.frames import FrameReader
from pipelines.media.index import FilmIndex
from pipelines.media.indexing import Indexing
from pipelines.media.probe import probe
from pipelines.media.source_info import SourceInfo
from stylecore.encoders import LAYOUTS, Encoder
from stylecore.pack import blank_pack, save_pack

# How long a machine takes is no fact about the code: benchmarks time, tests do not. And what is red today
# is red tomorrow.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core; threads of two would only wait for each other.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

SCENES = ("testsrc2", "mandelbrot=end_scale=0.3", "smptehdbars", "cellauto=rule=110:scroll=1")


def result(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def ffmpeg(*arguments: str) -> None:
    """Run the packaged ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=600)


def draw(
    path: Path,
    *,
    size: str = "160x96",
    rate: str = "24",
    shots: tuple[int, ...] = (30, 26, 40),
    video: list[str] | None = None,
    sound: bool = True,
) -> Path:
    """A film of hard cuts between moving patterns, with a tone; `video` are the codec's options."""
    inputs, labels, area = [], "", size.replace("x", ":")
    for number, frames in enumerate(shots):
        scene = SCENES[number % len(SCENES)]
        joint = ":" if "=" in scene else "="
        inputs += ["-f", "lavfi", "-i", f"{scene}{joint}size={size}:rate={rate}"]
        shape = f"setpts=PTS-STARTPTS,scale={area},setsar=1,format=yuv420p"
        labels += f"[{number}:v]trim=end_frame={frames},{shape}[v{number}];"
    joined = "".join(f"[v{number}]" for number in range(len(shots)))
    graph = f"{labels}{joined}concat=n={len(shots)}:v=1[v]"
    seconds = sum(shots) / eval(rate)
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"] if sound else []
    maps = ["-map", "[v]", *(["-map", f"{len(shots)}:a", "-c:a", "aac"] if sound else [])]
    codec = video or ["-c:v", "libx264", "-crf", "20", "-g", "24", "-bf", "2"]
    ffmpeg(*inputs, *tone, "-filter_complex", graph, *maps, *codec, "-threads", "2", str(path))
    return path


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Noise is the same whichever tests a worker ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for films that tests share and never change."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def film(media: Path) -> Path:
    """Three shots of 30, 26 and 40 frames at 24 fps with AAC, in mp4."""
    return draw(media / "film.mp4")


@pytest.fixture(scope="session")
def pack(media: Path) -> Path:
    """An untrained painter, small and quick, with two styles."""
    made = blank_pack("painter", ["plain", "other"], seed=3, width=8)
    made.vectors["other"][1] += 0.4
    path = media / "small.safetensors"
    save_pack(made, path)
    return path


def checkpoint(width: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """The names and shapes of pytorch/examples fast_neural_style, with random weights."""
    generator = torch.Generator().manual_seed(seed)
    half, middle = 2 * width, 4 * width
    residual = [(f"res{block}.", conv, middle, middle, 3) for block in range(1, 6) for conv in (1, 2)]
    layers = [
        *(("", 1, 3, width, 9), ("", 2, width, half, 3), ("", 3, half, middle, 3), *residual),
        *(("", 4, middle, half, 3), ("", 5, half, width, 3)),
    ]
    state = {}
    for prefix, number, inputs, outputs, kernel in layers:
        name = f"{prefix}conv{number}" if prefix or number < 4 else f"deconv{number - 3}"
        size = (outputs, inputs, kernel, kernel)
        state[f"{name}.conv2d.weight"] = torch.randn(size, generator=generator) / kernel
        state[f"{name}.conv2d.bias"] = torch.randn(outputs, generator=generator)
        state[f"{prefix}in{number}.weight"] = 1 + 0.3 * torch.randn(outputs, generator=generator)
        state[f"{prefix}in{number}.bias"] = 0.3 * torch.randn(outputs, generator=generator)
    state["deconv3.conv2d.weight"] = torch.randn(3, width, 9, 9, generator=generator) * 6 / width**0.5
    state["deconv3.conv2d.bias"] = torch.full((3,), 127.0)
    return state


def index_film(path: Path) -> tuple[SourceInfo, FilmIndex, FrameReader]:
    """Probe and index a film."""
    info = probe(path)
    indexing = Indexing(path, info)
    for _ in indexing:
        pass
    index = indexing.index()
    return info, index, FrameReader(path, info, index)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many randomized runs tests/faults makes, and of which seeds; films of a season on a pool."""
    parser.addoption("--runs", type=int, default=12)
    parser.addoption("--seed", type=int, default=1)
    parser.addoption("--films", metavar="FOLDER")


_SERVER, _SERVER_HOME = "STYLEREEL_TEST_SERVER", "STYLEREEL_TEST_SERVER_HOME"


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a cache of its own, and its workers one Prefect server: a new one takes many seconds."""
    if hasattr(config, "workerinput"):
        return
    config.run_folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    folder = Path(config.run_folder.name)
    os.environ["STYLEREEL_CACHE"] = str(folder / "cache")
    if getattr(config.option, "numprocesses", None):
        config.shared_server = EmbeddedServer(folder / "prefect")
        os.environ |= {_SERVER: config.shared_server.url, _SERVER_HOME: str(folder / "prefect")}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it and leave nothing."""
    if hasattr(config, "shared_server"):
        config.shared_server.stop()
    if hasattr(config, "run_folder"):
        config.run_folder.cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_end_to_end.py"))


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Prefect server keeps what it has seen."""
    return Path(os.environ.get(_SERVER_HOME) or tmp_path_factory.mktemp("prefect"))


@pytest.fixture(scope="session")
def prefect_api(prefect_home: Path) -> Iterator[str]:
    """A real Prefect server that flows of this process and its children use."""
    shared = os.environ.get(_SERVER)
    server = None if shared else EmbeddedServer(prefect_home)
    url = shared or server.url
    await_server(url)
    with pointed_at(url):
        yield url
    if server:
        server.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket at a real S3 endpoint on loopback, which child processes reach too."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    facts = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in facts.items():
            environment.setenv(name, value)
        fsspec.filesystem("s3").mkdir("films")
        yield "s3://films"
    server.stop()


def gone(pid: int) -> bool:
    """Whether a process ends within a minute; one that waits to be buried has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def await_server(url: str) -> None:
    """Return once a server that is starting answers."""
    deadline = time.monotonic() + 3 * START_SECONDS
    while not answers(url):
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.1)


def loss_weights(layout: str, width: int = 8, seed: int = 1) -> dict[str, torch.Tensor]:
    """A loss network's names and shapes, narrow, with random weights: the real code, small numbers."""
    generator = torch.Generator().manual_seed(seed)
    weights, inputs = {}, 3
    for name in LAYOUTS[layout].convolutions:
        scale = (2 / (9 * inputs)) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(width, inputs, 3, 3, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(width)
        inputs = width
    return weights


def loss_network(layout: str = "compact") -> Encoder:
    """The same, ready to look."""
    return Encoder(LAYOUTS[layout], loss_weights(layout))
