"""The house's walls: who may import whom, asserted by walking the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob("stylecore/**/*.py"), *ROOT.glob("pipelines/**/*.py")])
ONLY_IN = {
    "prefect": "pipelines/flows/",
    "fsspec": ("pipelines/places.py", "pipelines/transfer.py"),
    "pyarrow": ("pipelines/tables.py", "pipelines/schema.py"),
    "ffmpeg": "pipelines/media/ffmpeg.py",
    "imageio_ffmpeg": "pipelines/media/ffmpeg.py",
    "subprocess": (
        "pipelines/media/ffmpeg.py",
        "pipelines/media/nursery.py",
        "pipelines/flows/server.py",
        "pipelines/bench/peers.py",
    ),
    "click": ("pipelines/cli.py", "pipelines/commands/"),
    "pydantic": ("pipelines/config.py", "pipelines/jobs.py"),
    "cv2": "stylecore/opencv.py",
}
LAYERS = {
    "frames and times": "timeline timecode excerpt plan",
    "this machine": "errors progress disk overlap credentials environment device_lock faults schema tables",
    "films": "media demo",
    "places": "store_errors places transfer storage sources belongings",
    "wishes": "jobs overwriting config device",
    "records": "manifest attempts rows catalogue indexed batches publications",
    "looks": "planes stopwatch mattes looks loss_networks studio",
    "one film's work": "companions prepare season cores work",
    "what is made": "painting render sequence delivery review steadiness",
    "what is told and chosen": "calibration forecast room selection choice page bench",
    "flows": "flows",
    "commands": "display commands",
    "the program": "cli",
}
"""The product's modules; each imports those of its own layer and of the layers before it."""
RANKS = {name: rank for rank, names in enumerate(LAYERS.values()) for name in names.split()}


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(("package", "places"), ONLY_IN.items())
def test_a_package_is_imported_in_one_room_only(package, places):
    guests = [
        name_of(file)
        for file in FILES
        if any(name == package or name.startswith(f"{package}.") for name in imports(file))
        and not name_of(file).startswith(places)
    ]
    assert guests == []


def test_the_engine_knows_nothing_of_the_product():
    foreign = {"pipelines", "prefect", "ffmpeg", "av", "fsspec", "pyarrow", "click", "rich", "subprocess"}
    for file in ROOT.glob("stylecore/**/*.py"):
        assert not {name.partition(".")[0] for name in imports(file)} & foreign, name_of(file)


@pytest.mark.parametrize("word", ["os.environ", "os.getenv"])
def test_one_room_reads_the_environment(word):
    readers = [name_of(file) for file in FILES if word in file.read_text()]
    # The others write: for Prefect and its server, put back as it was found, for OpenMP and for glibc.
    writers = {"pipelines/flows/server.py", "pipelines/__init__.py", "pipelines/__main__.py"}
    assert set(readers) <= {"pipelines/environment.py", *writers}


def test_the_engine_neither_prints_nor_chooses_a_device():
    for file in ROOT.glob("stylecore/**/*.py"):
        text = file.read_text()
        assert "print(" not in text and "is_available" not in text, name_of(file)


def test_media_knows_no_storage_flows_or_styles():
    storage = ("pipelines.places", "pipelines.storage", "pipelines.sources")
    records = ("pipelines.manifest", "pipelines.attempts")
    for file in ROOT.glob("pipelines/media/*.py"):
        for name in imports(file):
            assert not name.startswith(("stylecore", "pipelines.flows", *storage, *records))


def test_every_module_is_in_one_layer():
    modules = [path.stem for path in ROOT.glob("pipelines/*") if path.name[:2] != "__"]
    assert sorted(" ".join(LAYERS.values()).split()) == sorted(modules)


@pytest.mark.parametrize("module", RANKS)
def test_imports_run_one_way(module):
    mine = (f"pipelines/{module}.py", f"pipelines/{module}/")
    names = {name for file in FILES if name_of(file).startswith(mine) for name in imports(file)}
    modules = {name.split(".")[1] for name in names if name.startswith("pipelines.")}
    assert [name for name in modules if RANKS[name] > RANKS[module]] == []
