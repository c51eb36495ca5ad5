"""A season: which films it is made of, what is due of it and why, and what is remembered."""

import os
from dataclasses import replace
from hashlib import sha256

import pytest

from pipelines import catalogue, publications
from pipelines.catalogue import DELIVERED, FAILED, TitleRun
from pipelines.config import load_season_file, make_job, make_season
from pipelines.errors import UsageError
from pipelines.manifest import save_json
from pipelines.season import expand, has_stopped_growing, take_stock
from pipelines.sources import Found
from pipelines.storage import Store


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of episodes, and of things that are none."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "e01.mp4",
        "e02.mkv",
        "notes.txt",
        "extra/e01.mp4",
        "a.mp4.stylereel/parts/x.mp4",
        ".e03.mp4",
        ".incoming/show/e04.mp4",
        ".incoming/show/.e05.mp4",
    ):
        Store("eps").write(name, name.encode())
    return tmp_path


def season_of(*titles, **options):
    wish = {"name": "one", "titles": titles, "output": "out/{stem}.mp4", "style": "identity"}
    return make_season({**wish, **options})


def told(titles):
    return {title.source.partition("/eps/")[2]: title.job and title.job.output for title in titles}


TITLES = {
    "a file": (["eps/e01.mp4"], ["e01.mp4"]),
    "a missing file": (["eps/e09.mp4"], ["e09.mp4"]),
    "a folder": (["eps/"], ["e01.mp4", "e02.mkv", "extra/e01.mp4"]),
    "a pattern": (["eps/*.mp4"], ["e01.mp4"]),
    "a deep pattern": (["eps/**/e01.mp4"], ["e01.mp4", "extra/e01.mp4"]),
    "a hidden folder by its name": (["eps/.incoming/"], [".incoming/show/e04.mp4"]),
    "a pattern in a hidden folder": (["eps/.incoming/*/*.mp4"], [".incoming/show/e04.mp4"]),
    "all of these, once each": (["eps/e0*", {"source": "eps/e02.mkv"}], ["e01.mp4", "e02.mkv"]),
    "a pattern that fits nothing": (["eps/*.avi"], []),
}


@pytest.mark.parametrize("what", TITLES)
def test_titles_are_files_patterns_and_folders(place, what):
    entries, names = TITLES[what]
    assert list(told(expand(season_of(*entries)))) == names


def test_a_title_may_differ_from_the_season_and_later_entries_win(place):
    entries = ("eps/*", {"source": "eps/e0*", "strength": 0.5}, {"source": "eps/e02.mkv", "style": "noir"})
    season = season_of(*entries, codec="h265", work="kept/{stem}")
    first, second = (title.job for title in expand(season))
    assert (first.style, first.strength, first.codec) == ("identity", 0.5, "h265")
    assert (second.style, second.strength, second.codec) == ("noir", 0.5, "h265")
    assert second.output == f"{place}/out/e02.mp4" and second.work == f"{place}/kept/e02"


def test_two_titles_in_one_place_are_both_refused_and_a_folder_tells_them_apart(place):
    shared = expand(season_of("eps/"))
    assert [title.job is None for title in shared] == [True, False, True]
    assert "e01.mp4 would go there too" in str(shared[0].fault)
    parts = expand(season_of("eps/*.mkv", "eps/*.mp4", work="night"))
    assert all("would go there too" in str(title.fault) and "`work:`" in str(title.fault) for title in parts)
    apart = expand(season_of("eps/", output="out/{folder}/{stem}.mp4"))
    assert all(title.job for title in apart)
    assert apart[2].job.output == f"{place}/out/extra/e01.mp4"


def test_a_catalogue_does_not_lie_among_the_pictures_of_a_title(place):
    for output, apart in {"out/f_%06d.png": False, "out/{stem}/f_%06d.png": True}.items():
        (title,) = expand(season_of("eps/e01.mp4", output=output))
        assert bool(title.job) is apart
        assert apart or "catalogue" in str(title.fault) and "choose a place outside" in str(title.fault)


def test_what_is_delivered_is_no_new_title(place):
    season = season_of("eps/*.mp4", output="eps/{stem}-painted.mp4")
    made = f"{place}/eps/e01-painted.mp4"
    Store("eps").write("e01-painted.mp4", b"made before")
    save_json(Store(f"{made}.stylereel"), "delivery.json", {"output": made, "bytes": 11})
    assert list(told(expand(season))) == ["e01.mp4"]
    Store("eps").remove("e01.mp4")
    run = TitleRun("x", 1, DELIVERED, "", "", "", output=made)
    catalogue.record(Store(season.catalogue), run)
    assert take_stock(season) == []
    catalogue.record(Store(season.catalogue), replace(run, run=2, output=f"{place}/elsewhere/e01.mp4"))
    assert take_stock(season) == [], "nor is what was delivered under another name before"


FILM = b"e01.mp4"
"""What lies in that file."""
ORIGINALS = {
    "nothing delivered yet": (lambda place, made: None, ["e01.mkv", "e01.mp4"]),
    "a run that failed": (lambda place, made: note(place, made, FAILED), ["e01.mkv", "e01.mp4"]),
    "delivered, says the catalogue": (lambda place, made: note(place, made, DELIVERED), ["e01.mkv"]),
    "delivered, says its work": (
        lambda place, made: save_json(Store(f"{made}.stylereel"), "delivery.json", {"output": made}),
        ["e01.mkv"],
    ),
    "killed before its work said so": (lambda place, made: begin_publishing(made, FILM), ["e01.mkv"]),
    "killed before it was put there": (
        lambda place, made: begin_publishing(made, FILM[::-1]),
        ["e01.mkv", "e01.mp4"],
    ),
    "delivered by another name of the folder": (
        lambda place, made: note(place, made.replace("eps", "link"), DELIVERED),
        ["e01.mkv"],
    ),
}


def note(place, made, state):
    catalogue.record(Store(f"{place}/kept"), TitleRun("x", 1, state, "", "", "", output=made))


def begin_publishing(made, content):
    """And as it was before it: one note says nothing of another."""
    job = make_job({"source": "eps/e01.mkv", "output": made, "style": "identity"})
    for each in (b"before", content):
        publications.note(job, sha256(each).hexdigest(), len(each))


@pytest.mark.parametrize("what", ORIGINALS)
def test_only_what_was_delivered_is_overwritten(place, what):
    """Two films may differ in nothing but their suffix."""
    prepare, names = ORIGINALS[what]
    Store("eps").write("e01.mkv", b"another film")
    (place / "link").symlink_to("eps")
    prepare(place, f"{place}/eps/e01.mp4")
    season = season_of("eps/e01.mkv", "eps/e01.mp4", output="eps/{stem}.mp4", catalogue="kept")
    titles = take_stock(season)
    assert list(told(titles)) == names
    if len(names) == 1:
        assert titles[0].job
    else:
        assert titles[0].job is None and "e01.mp4: is a film of this season" in str(titles[0].fault)


def test_parts_of_films_are_no_titles_wherever_the_work_is(place):
    Store("eps").write("work/e01/parts/x.mp4", b"a part")
    Store("eps").write("work/e09/parts/y.mp4", b"of a film that has gone")
    season = season_of("eps/", output="out/{folder}/{stem}.mp4", work="eps/work/{stem}")
    titles = ["e01.mp4", "e02.mkv", "extra/e01.mp4"]
    assert list(told(expand(season))) == [*titles, "work/e09/parts/y.mp4"], "whose it is nobody knows yet"
    run = TitleRun("x", 1, DELIVERED, "", "", "", output="o", work=f"{place}/eps/work/e09")
    catalogue.record(Store(season.catalogue), run)
    assert list(told(take_stock(season))) == titles


FAULTS = {
    "no titles": ({"titles": []}, "lists files"),
    "titles that are no list": ({"titles": "eps/*.mp4"}, "expected a list"),
    "titles that are a number": ({"titles": 5}, "expected a list"),
    "no output": ({"titles": ["eps/"], "output": None}, "output"),
    "unknown option": ({"titles": ["eps/"], "stile": "noir"}, "stile"),
    "bad option of a title": ({"titles": [{"source": "eps/", "strength": 3}]}, "strength"),
    "unknown word in the output": ({"titles": ["eps/"], "output": "out/{name}.mp4"}, "{name} is unknown"),
    "bad price": ({"titles": ["eps/"], "price_per_hour": "much"}, "price_per_hour"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_season_is_one_clear_line(place, fault):
    options, says = FAULTS[fault]
    with pytest.raises(UsageError, match=says) as caught:
        expand(make_season({"name": "one", "output": "out/{stem}.mp4", **options}))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_season_is_one_clear_line(place):
    for name, text in {
        "list.yaml": "- a\n- b\n",
        "key.yaml": "1: a\n",
        "broken.yaml": "titles: [\n",
        "none.yaml": None,
    }.items():
        if text:
            (place / name).write_text(text)
        with pytest.raises(UsageError) as caught:
            load_season_file(place / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.fixture
def delivered(place):
    """A season of one title, delivered; and the run that did it."""
    season = season_of("eps/e01.mp4")
    (title,) = take_stock(season)
    assert title.due == "new"
    (place / "out").mkdir(exist_ok=True)
    (place / "out" / "e01.mp4").write_bytes(b"painted")
    run = TitleRun(title.source, 1, DELIVERED, title.version, title.wish, "", output="o", bytes=7)
    catalogue.record(Store(season.catalogue), run)
    return season, run


def change_source(place, season, run):
    os.utime(place / "eps" / "e01.mp4", (1, 1))
    return season


def lose_delivery(place, season, run):
    (place / "out" / "e01.mp4").unlink()
    return season


def redo_a_shot(place, season, run):
    """What `retry` leaves: a delivery of another size, and its facts beside it."""
    made = place / "out" / "e01.mp4"
    made.write_bytes(b"painted otherwise")
    facts = {"output": str(made), "bytes": made.stat().st_size}
    save_json(Store(f"{made}.stylereel"), "delivery.json", facts)
    return season


def overwrite(place, season, run):
    (place / "out" / "e01.mp4").write_bytes(b"something else")
    return season


def fail(error_class):
    def record(place, season, run):
        failed = replace(run, run=2, state=FAILED, error_class=error_class, error_text="why")
        catalogue.record(Store(season.catalogue), failed)
        return season

    return record


DUE = {
    "nothing changed": (lambda place, season, run: season, ""),
    "another file": (change_source, "source changed"),
    "another style": (lambda place, *_: season_of("eps/e01.mp4", style="noir"), "look changed"),
    "another codec": (lambda place, *_: season_of("eps/e01.mp4", codec="h265"), "look changed"),
    "another machine": (lambda place, *_: season_of("eps/e01.mp4", device="cpu", shard_frames=9), ""),
    "delivery lost": (
        lambda place, season, run: (place / "out" / "e01.mp4").unlink() or season,
        "delivery is gone",
    ),
    "delivery overwritten": (overwrite, "delivery is gone"),
    "a shot done anew since": (redo_a_shot, ""),
    "failed, a rerun may heal it": (fail("EngineError"), "failed before"),
    "failed, the file was refused": (fail("InputError"), ""),
    "failed, the file was away": (fail("UnreadError"), "failed before"),
}


@pytest.mark.parametrize("what", DUE)
def test_only_what_is_new_changed_or_failed_is_due(place, delivered, what):
    change, due = DUE[what]
    season = change(place, *delivered)
    season = season.model_copy(update={"catalogue": delivered[0].catalogue})
    assert [title.due for title in take_stock(season)] == [due]
    if "refused" in what:
        assert [title.due for title in take_stock(season, again=True)] == ["failed before"]


def test_the_catalogue_counts_runs_and_overlooks_torn_files(tmp_path):
    store = Store(str(tmp_path))
    runs = [TitleRun("a", 2, FAILED, "v", "w", "later"), TitleRun("a", 1, DELIVERED, "v", "w", "2030")]
    for run in (*runs, TitleRun("b", 1, DELIVERED, "v", "w", "", frames=9, cost=0.5)):
        catalogue.record(store, run)
    store.write("runs/00009-torn.parquet", b"PAR1 and no more")
    last = catalogue.latest(catalogue.runs(store))
    assert len(catalogue.runs(store)) == 3 and last["a"].run == 2 and last["b"].cost == 0.5


@pytest.mark.parametrize(
    ("before", "changed", "ready"),
    [("5-a", 990, True), ("4-a", 990, False), (None, 990, False), (None, 300, True), (None, 0, False)],
)
def test_a_film_is_taken_up_once_it_has_stopped_growing(place, before, changed, ready):
    (title,) = expand(season_of("eps/e01.mp4"))
    title = replace(title, found=Found(title.source, "5-a", changed, told=True))
    seen = {title.source: before} if before else {}
    assert has_stopped_growing(title, seen, now_unix_seconds=1000, every_seconds=600) is ready
    assert not has_stopped_growing(replace(title, found=None), {}, 1000, 600)
