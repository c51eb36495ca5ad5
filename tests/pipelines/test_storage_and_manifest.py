"""Places and tables: whole or not at all, readable by anybody, torn files as if absent."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import index_film

from pipelines import attempts, disk, manifest
from pipelines.attempts import FAILED, OK, WITHDRAWN, ShardResult
from pipelines.credentials import hide_secrets
from pipelines.errors import InputError, StorageError
from pipelines.plan import plan_segments, plan_shards
from pipelines.sources import fetch_source
from pipelines.storage import Store, split_url
from pipelines.store_errors import explained
from pipelines.timeline import shots_from_cuts


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(str(tmp_path / "work") if request.param == "local" else f"memory://{tmp_path.name}")


@pytest.fixture(params=["local", "memory", "s3"])
def place(request, tmp_path):
    """Stores of every kind that the tests can reach."""
    if request.param == "local":
        return Store(str(tmp_path / "work"))
    prefix = "memory:/" if request.param == "memory" else request.getfixturevalue("s3")
    return Store(f"{prefix}/{tmp_path.name}")


def test_a_store_keeps_what_is_put(place, tmp_path):
    store = place
    assert store.read("a/b") is None and store.size("a/b") is None and store.names("a") == []
    store.write("a/b", b"one")
    store.write("a/b", b"two!")
    assert store.read("a/b") == b"two!" and store.size("a/b") == 4 and store.names("a") == ["a/b"]
    (tmp_path / "file").write_bytes(b"three")
    store.publish(tmp_path / "file", "a/c")
    assert store.fetch("a/c", tmp_path / "here").read_bytes() == b"three"
    assert not (tmp_path / "file").exists() and store.names("a") == ["a/b", "a/c"]
    assert store.sizes("a") == {"a/b": 4, "a/c": 5}
    assert store.read_many(["a/c", "a/d", "a/b"]) == {"a/b": b"two!", "a/c": b"three"}
    store.remove("a")
    store.remove("a")
    assert store.names("a") == [] == list(store.sizes("a")) and store.read_many([]) == {}


def test_a_name_with_brackets_is_no_pattern(place):
    store = Store(f"{place.url}/ep [12]")
    other = Store(f"{place.url}/ep 1")
    for each in (store, other):
        each.write("results/a", b"mine")
    assert store.read_many(["results/a", "results/b"]) == {"results/a": b"mine"}
    assert store.names("results") == ["results/a"] and store.sizes("results") == {"results/a": 4}
    store.remove("results")
    assert store.names("results") == [] and other.read("results/a") == b"mine"


def test_of_many_that_create_a_thing_one_succeeds(place):
    store = place
    contents = [b"%d" % number for number in range(16)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda content: store.create("a/b", content), contents))
    assert made.count(True) == 1
    assert store.read("a/b") == contents[made.index(True)]
    assert store.names("a") == ["a/b"]


def test_a_failed_write_leaves_nothing(tmp_path):
    store = Store(str(tmp_path))
    (tmp_path / "dir").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError, match="choose another place"):
        store.write("dir/x", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["dir"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "disk is full"),
        (PermissionError(13, "no"), "may not be written"),
    ],
)
def test_errors_of_file_systems_say_what_to_do(error, says):
    with pytest.raises(StorageError, match=says), explained("writing", "there"):
        raise error


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/film.mp4", "s3://bucket/film.mp4"),
        ("https://ann:secret@host/film.mp4?token=abc", "https://host/film.mp4"),
        ("/films/what?.mp4", "/films/what?.mp4"),
    ],
)
def test_secrets_are_not_shown(url, shown):
    assert hide_secrets(url) == shown


def test_a_missing_source_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not found"):
        fetch_source("memory://nowhere/film.mp4", tmp_path)
    with pytest.raises(InputError, match="nosuch"):
        fetch_source("nosuch://x/film.mp4", tmp_path)


def test_a_url_is_a_folder_and_a_name(tmp_path):
    store, name = split_url(str(tmp_path / "film.mp4"))
    assert name == "film.mp4" and store.local_folder() == tmp_path


def test_an_index_comes_back_whole_or_not_at_all(store, film):
    index = index_film(film)[1]
    assert manifest.load_index(store, "k") is None
    manifest.save_index(store, "k", index)
    again = manifest.load_index(store, "k")
    assert again == index
    torn = store.read("index/k/frames.parquet")
    store.write("index/k/frames.parquet", torn[: len(torn) // 2])
    assert manifest.load_index(store, "k") is None


def test_the_plan_is_readable_by_anybody(store, film):
    index = index_film(film)[1]
    shots = shots_from_cuts([30, 56], 96)
    shards = plan_shards(plan_segments(shots), 60)
    style = {
        "style": "s",
        "style_digest": "d",
        "strength": 1.0,
        "color": "style",
        "brush": 1.0,
        "look_digest": "l",
    }
    manifest.save_plan(store, "p", index, shots, [style] * 3, shards, ["k1", "k2"])
    table = pq.read_table(pa.BufferReader(store.read("plan/p/timeline.parquet")))
    rows = table.to_pylist()
    assert table.schema.metadata[b"stylereel_schema"] == b"5" and len(rows) == 96
    assert [row["shot"] for row in rows] == [1] * 30 + [2] * 26 + [3] * 40
    assert [row["shard"] for row in rows] == [1] * 56 + [2] * 40
    assert [row["pts"] for row in rows] == list(index.timeline.pts)
    shot_rows = pq.read_table(pa.BufferReader(store.read("plan/p/shots.parquet"))).to_pylist()
    assert [(row["start"], row["stop"]) for row in shot_rows] == [(0, 30), (30, 56), (56, 96)]
    whole = store.read("plan/p/timeline.parquet")
    store.write("plan/p/timeline.parquet", whole[:-40])
    assert not manifest.plan_stands(store, "p")
    manifest.save_plan(store, "p", index, shots, [style] * 3, shards, ["k1", "k2"])
    assert store.read("plan/p/timeline.parquet") == whole, "a torn one is written anew"


def test_what_killed_moves_from_another_disk_left_is_removed(tmp_path, monkeypatch):
    new, target, left = (tmp_path / name for name in ("new", "film.mp4", ".film.mp4.1a2b3c4d.partial"))
    new.write_text("new")
    left.write_text("as large as the film")
    replace = os.replace

    def between_disks(file, place):
        if Path(file) == new:
            raise OSError(errno.EXDEV, "another disk")
        replace(file, place)

    monkeypatch.setattr(os, "replace", between_disks)
    disk.move(new, target)
    assert target.read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def row(attempt, state, key="k"):
    return ShardResult(key=key, shard=1, attempt=attempt, state=state)


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        ([OK], (1, OK)),
        ([FAILED, OK], (2, OK)),
        ([OK, FAILED], (1, OK)),  # a later failure does not void what is there
        ([OK, WITHDRAWN], (2, WITHDRAWN)),  # asked for anew
        ([OK, WITHDRAWN, OK], (3, OK)),
        ([OK, WITHDRAWN, FAILED], (3, FAILED)),
    ],
)
def test_which_attempt_counts(store, states, counts):
    for attempt, state in enumerate(states, start=1):
        attempts.record(store, row(attempt, state))
    standing = attempts.standing(attempts.ended(store))["k"]
    assert (standing.attempt, standing.state) == counts
    assert (
        attempts.claim(store, row(0, FAILED)).attempt == 1 and attempts.claim(store, row(0, OK)).attempt == 2
    )


def test_a_snapshot_holds_what_was_recorded_and_later_results_are_added(store):
    for attempt in range(1, 6):
        attempts.record(store, replace(row(attempt, OK), packet_crcs=tuple(range(attempt))))
    rows = attempts.ended(store)
    attempts.compact(store)
    assert store.names("snapshots") == []  # five are not worth it
    for attempt in range(6, 9):
        attempts.compact(store, least=1)
        assert attempts.ended(store) == rows
        attempts.record(store, row(attempt, FAILED))
        rows = attempts.ended(store)
        assert [result.attempt for result in rows] == list(range(1, attempt + 1))
    newest, held = store.names("snapshots")[-1], len(store.names("snapshots"))
    store.write(newest, b"torn")
    assert attempts.ended(store) == rows and held == 2


def test_an_attempt_has_one_owner_and_one_outcome(store):
    mine, other = (attempts.claim(store, row(0, OK)) for _ in range(2))
    assert [result.attempt for result in attempts.cut_off(store)] == [1, 2]
    attempts.record(store, mine)
    with pytest.raises(StorageError, match="recorded already"):
        attempts.record(store, replace(other, attempt=1, state=FAILED))
    assert [(result.attempt, result.state) for result in attempts.cut_off(store)] == [(2, "started")]


def test_torn_and_foreign_files_among_results_do_no_harm(store):
    attempts.record(store, row(1, OK))
    store.write("results/torn.parquet", b"PAR1 and no more")
    store.write("results/notes.txt", b"hello")
    attempts.claim(store, row(0, OK))
    store.write("results/k-0007.parquet", store.read("claims/k-0001.parquet"))  # a table, and not this one
    assert len(attempts.ended(store)) == 1


def test_another_version_of_the_manifest_is_refused(store):
    table = pa.table({"a": [1]}).replace_schema_metadata({"stylereel_schema": "99"})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    store.write("results/k-0001-x.parquet", sink.getvalue().to_pybytes())
    with pytest.raises(StorageError, match="version 99"):
        attempts.ended(store)
