"""Files from and to other stores: halves are never taken for whole, a replaced source is another film."""

import functools
import os
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import fsspec
import pytest
from filelock import FileLock

from pipelines import transfer
from pipelines.config import make_season
from pipelines.credentials import whole
from pipelines.disk import PARTIAL
from pipelines.errors import InputError, OutageError, StorageError
from pipelines.faults import patient
from pipelines.progress import LOGGER, Advance, Stage
from pipelines.season import expand
from pipelines.sources import fetch_source, find_files
from pipelines.storage import Store
from pipelines.work import forget_others, lock_work, open_work

CONTENT = bytes(range(256)) * 40_000


@pytest.fixture
def served(tmp_path):
    """A folder, and its URL at a web server that gives no ranges."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_web_server_is_read_and_never_written(served, tmp_path):
    folder, url = served
    (folder / "film.mp4").write_bytes(CONTENT)
    assert fetch_source(f"{url}/film.mp4", tmp_path / "here").read_bytes() == CONTENT
    with pytest.raises(InputError, match="not found"):
        fetch_source(f"{url}/other.mp4", tmp_path / "here")
    with pytest.raises(StorageError, match="can only be read"):
        Store(url).refuse_unwritable()


def test_a_source_replaced_under_its_name_is_noticed(s3, tmp_path):
    store, url = Store(f"{s3}/{tmp_path.name}"), f"{s3}/{tmp_path.name}/film.mp4"
    for content in (b"one", b"two"):
        store.write("film.mp4", content)
        assert fetch_source(url, tmp_path).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir() if PARTIAL in path.name] == []


def test_an_interrupted_download_goes_on_where_it_stopped(s3, tmp_path, monkeypatch):
    """Its first part is kept under its identity; that of another content is thrown away."""
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 1 << 20)
    store, url = Store(f"{s3}/{tmp_path.name}"), f"{s3}/{tmp_path.name}/film.mp4"
    store.write("film.mp4", CONTENT)
    with pytest.raises(RuntimeError), _stopping_after(3):
        fetch_source(url, tmp_path)
    assert not (tmp_path / "film.mp4").exists()
    (partial,) = tmp_path.glob(f"*{PARTIAL}")
    assert partial.stat().st_size == 3 << 20
    with _told() as stages:
        assert fetch_source(url, tmp_path).read_bytes() == CONTENT
    assert [stage.done for stage in stages if isinstance(stage, Stage)] == [3]
    assert sum(event.count for event in stages if isinstance(event, Advance)) == 7
    with _told() as stages:
        fetch_source(url, tmp_path)
    assert stages == []


def test_the_first_part_of_another_content_is_not_continued(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 1 << 20)
    store, url = Store(f"{s3}/{tmp_path.name}"), f"{s3}/{tmp_path.name}/film.mp4"
    store.write("film.mp4", CONTENT)
    with pytest.raises(RuntimeError), _stopping_after(2):
        fetch_source(url, tmp_path)
    store.write("film.mp4", CONTENT[::-1])
    assert fetch_source(url, tmp_path).read_bytes() == CONTENT[::-1]


class _Events(transfer.progress.logging.Handler):
    def __init__(self, events, stop_after=None):
        super().__init__()
        self.events, self.left = events, stop_after

    def emit(self, record):
        self.events.append(record.event)
        if self.left is not None and isinstance(record.event, Advance):
            self.left -= 1
            if self.left == 0:
                raise RuntimeError("a power cut")


class _told:
    """What progress is told meanwhile."""

    stop_after = None

    def __enter__(self):
        events = []
        self.handler = _Events(events, self.stop_after)
        LOGGER.addHandler(self.handler)
        return events

    def __exit__(self, *_):
        LOGGER.removeHandler(self.handler)


class _stopping_after(_told):
    """A power cut after so many megabytes."""

    def __init__(self, advances):
        self.stop_after = advances


@pytest.mark.long
def test_large_files_go_up_in_pieces_and_whole(s3, tmp_path):
    """Over 100 MB s3fs sends several pieces; the whole appears at their end, and megabytes are told."""
    store, file = Store(f"{s3}/{tmp_path.name}"), tmp_path / "large"
    with file.open("wb") as opened:
        for number in range(120):
            opened.write(bytes([number]) * 1_000_000)
    with _told() as events:
        store.publish(file, "film.mp4", stage="publish")
    assert events[0] == Stage("publish", 120, 0, "MB") and sum(event.count for event in events[1:]) == 120
    assert store.size("film.mp4") == 120_000_000 and not file.exists()
    assert "-3" in store.identity("film.mp4").version  # the mark of a whole made of three pieces
    assert store.read("film.mp4")[59_999_999:60_000_001] == bytes([59, 60])


def test_a_folder_may_be_called_what_a_pattern_or_a_half_is_called(tmp_path):
    folder = tmp_path / "Show [1080p].partial"
    store = Store(str(folder))
    store.write("parts/one.mkv", b"one")
    store.write(f"parts/two.mkv{PARTIAL}", b"tw")
    assert store.names("parts") == ["parts/one.mkv"] and store.sizes("parts") == {"parts/one.mkv": 3}
    (found,) = (each for each in find_files(str(folder)) if PARTIAL not in Path(each.url).name)
    assert found.url == f"{folder}/parts/one.mkv"


def test_a_pattern_means_the_same_in_a_store_as_on_disk(s3, tmp_path):
    for place in (f"{s3}/{tmp_path.name}", str(tmp_path / "here")):
        for name in ("ep1.mp4", "ep2.mp4", "ep10.mp4"):
            Store(place).write(name, b"film")
        for pattern in ("ep?.mp4", "ep[12].mp4"):
            found = [each.url for each in find_files(f"{place}/{pattern}")]
            assert found == [f"{place}/ep1.mp4", f"{place}/ep2.mp4"]


def test_signed_urls_are_titles_of_a_season(served, tmp_path):
    folder, url = served
    (folder / "ep.mp4").write_bytes(b"film")
    names = ("ep.mp4?sig=aS1gnature", "ep.mp4?sig=An0therOne", "gone.mp4?sig=aS1gnature")
    entries = [
        {"source": f"{url}/{name}", "output": f"{tmp_path}/{number}.mp4"} for number, name in enumerate(names)
    ]
    titles = expand(make_season({"name": "s", "titles": entries, "output": "{stem}.mp4"}))
    assert [title.name for title in titles] == ["ep.mp4", "ep.mp4", "gone.mp4"]
    assert [bool(title.found) for title in titles] == [True, True, False] and all(t.job for t in titles)
    assert {whole(title.source) for title in titles} == {f"{url}/{name}" for name in names}
    assert len({title.known_as for title in titles}) == 3
    assert titles[2].known_as == f"{url}/gone.mp4", "also once it is signed anew"


def test_copies_of_what_nobody_has_used_for_a_day_are_forgotten(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))
    mine, busy, old = (open_work(f"{s3}/{tmp_path.name}/{name}") for name in ("mine", "busy", "old"))
    for work in (mine, busy, old):
        (work.scratch / "source").mkdir(parents=True)
        (work.scratch / "source" / "film.mp4").write_bytes(b"film")
        for each in (*work.scratch.rglob("*"), work.scratch):
            os.utime(each, (1, 1))
    (mine.scratch / "rendering").mkdir()
    lock_work(mine).release()  # where only batches have been so far, a title is welcome
    os.utime(mine.scratch / "lock", (1, 1))
    (mine.scratch.parent / ".DS_Store").touch()
    os.utime(mine.scratch.parent / ".DS_Store", (1, 1))
    with FileLock(busy.scratch / "lock"):  # painted by others, it writes nothing here
        os.utime(busy.scratch / "lock", (1, 1))
        os.utime(busy.scratch, (1, 1))
        forget_others(mine)
    assert mine.scratch.exists() and busy.scratch.exists() and not old.scratch.exists()
    forget_others(open_work(str(tmp_path)))


class _Failing(BaseHTTPRequestHandler):
    """Says 503 so many times, then gives what is asked for."""

    left = 0

    def do_GET(self):
        type(self).left -= 1
        self.send_response(503 if self.left >= 0 else 200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"film")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("failures", "comes"), [(3, True), (10_000, False)])
def test_an_outage_is_waited_out_up_to_a_limit(failures, comes, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.faults._NOTED_AFTER_SECONDS", 0)
    monkeypatch.setattr("pipelines.faults.backoff", lambda: repeat(0.05))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Failing,), {"left": failures}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = Store(f"http://127.0.0.1:{server.server_port}")
    try:
        with _told() as events, patient(limit_seconds=60 if comes else 2):
            if comes:
                assert store.read("film") == b"film"
            else:
                with pytest.raises(OutageError, match=r"no answer \(.*503.*gave up after \d+ s, run again"):
                    store.read("film")
        assert any("does not answer; waiting for it" in event.text for event in events)
    finally:
        server.shutdown()
        server.server_close()


def test_an_outage_is_not_taken_for_a_missing_thing(tmp_path):
    fs = fsspec.filesystem("http")
    assert fs.exists("http://127.0.0.1:9/film.mp4") is False  # what fsspec itself would say
    with pytest.raises(OutageError):
        fetch_source("http://127.0.0.1:9/film.mp4", Path(tmp_path))
