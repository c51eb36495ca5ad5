"""Credentials of URLs: used, and found in nothing that is stored, shown or sent to Prefect."""

import io
import json
import logging
import re
import sys
from contextlib import suppress
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines import catalogue, credentials
from pipelines.cli import run
from pipelines.commands.work import _works
from pipelines.config import load_season_file, make_job
from pipelines.credentials import hide_secrets, masked, scrub, whole
from pipelines.device import resolve_device
from pipelines.errors import StylereelError, UsageError
from pipelines.flows.run import run_title
from pipelines.jobs import Season, TitleJob
from pipelines.season import expand
from pipelines.storage import Store

SECRETS = ("pa55w0rdXQ", "AKIA77", "f00dzafe")


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch):
    """What one test has been told no other knows."""
    monkeypatch.setattr(credentials, "_users", {})
    monkeypatch.setattr(credentials, "_queries", {})


@pytest.mark.parametrize(
    ("url", "kept", "shown"),
    [
        ("https://ann:pa55w0rdXQ@host/film.mp4", "https://***@host/film.mp4", "https://host/film.mp4"),
        (
            "https://host/film.mp4?token=pa55w0rdXQ",
            "https://host/film.mp4?***DIGEST",
            "https://host/film.mp4",
        ),
        (
            "https://b.s3.host/my film.mp4?X-Amz-Credential=AKIA77/x/s3&X-Amz-Signature=f00dzafe",
            "https://b.s3.host/my film.mp4?***DIGEST",
            "https://b.s3.host/my film.mp4",
        ),
        (
            "sftp://ann:pa55%40w0rd@host:22/a/b.mkv?x#y",
            "sftp://***@host:22/a/b.mkv?***DIGEST#y",
            "sftp://host:22/a/b.mkv",
        ),
        (
            "simplecache::https://ann:pa55w0rdXQ@host/f",
            "simplecache::https://***@host/f",
            "simplecache::https://host/f",
        ),
        ("s3://bucket/film.mp4", "s3://bucket/film.mp4", "s3://bucket/film.mp4"),
        ("s3://k:pa55w0rdXQ@b/ep?.mp4", "s3://***@b/ep?.mp4", "s3://b/ep?.mp4"),
        ("gs://b/what?.mp4", "gs://b/what?.mp4", "gs://b/what?.mp4"),
        ("/films/what?.mp4", "/films/what?.mp4", "/films/what?.mp4"),
        ("memory://x/what?.mp4", "memory://x/what?.mp4", "memory://x/what?.mp4"),
    ],
)
def test_a_url_is_masked_and_made_whole_again(url, kept, shown):
    stored = masked(url)
    assert re.fullmatch(re.escape(kept).replace("DIGEST", "[0-9a-f]{8}"), stored) and masked(stored) == stored
    older = kept.replace("DIGEST", "")  # as works and manifests have had it
    assert whole(stored) == whole(older) == whole(url) == url and masked(older) == older
    assert hide_secrets(url) == hide_secrets(stored) == hide_secrets(older) == shown


def test_two_films_at_one_address_stay_two():
    urls = [f"https://host/get?id={number}" for number in (1, 2)]
    first, second = map(masked, urls)
    assert [whole(first), whole(second)] == urls
    with pytest.raises(UsageError, match="STYLEREEL_URLS"):
        whole("https://host/get?***")  # either of them


def test_a_url_that_was_signed_anew_is_the_one_that_was_stored(monkeypatch):
    stored = masked("https://host/film.mp4?sig=f00dzafe")
    monkeypatch.setattr(credentials, "_queries", {})
    masked("https://host/film.mp4?sig=fr3sh")
    assert whole(stored) == "https://host/film.mp4?sig=fr3sh"


def test_what_was_never_told_is_asked_for():
    with pytest.raises(UsageError, match=r"^https://host/film.mp4: .*STYLEREEL_URLS"):
        whole("https://***@host/film.mp4")


def test_texts_of_others_are_scrubbed():
    masked("https://ann:pa55%2Bw0rd@host/film.mp4?sig=f00dzafe")
    text = (
        "403 at 'https://ann:pa55%2Bw0rd@host/film.mp4?sig=f00dzafe' for ann:pa55+w0rd, ftp://x/y?z f00dzafe"
    )
    assert scrub(text) == "403 at 'https://***@host/film.mp4?***' for ***, ftp://x/y?*** ***"


def test_a_traceback_in_a_runs_log_is_scrubbed():
    masked("https://ann:pa55%2Bw0rd@host/film.mp4?sig=f00dzafe")
    import pipelines.flows.artifacts  # noqa: F401  whatever runs on a worker has it

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        try:
            raise FileNotFoundError("https://ann:pa55%2Bw0rd@host/film.mp4?sig=f00dzafe")
        except FileNotFoundError as err:
            facts = sys.exc_info()
            record = logger.makeRecord(name, logging.ERROR, "", 0, "ended with %r", (err,), facts)
        assert logger.filter(record)
        text = logging.Formatter().format(record)
        assert "FileNotFoundError: https://***@host/film.mp4?***" in text
        assert "f00dzafe" not in text and "w0rd" not in text


class Vault(MemoryFileSystem):
    """A store that opens for one user and one signature only."""

    protocol = "vault"

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.rpartition("@")[2].partition("?")[0].removeprefix("vault://").lstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(url):
        return {"url": url}

    def __init__(self, url="", **options):
        super().__init__(**options)
        self.open_to = "ann:pa55w0rdXQ@" in url and "Signature=f00dzafe" in url

    def info(self, path, **options):
        if not self.open_to:
            raise PermissionError(path)
        return super().info(path, **options)

    def exists(self, path, **options):
        return bool(self.info(path, **options)) if self.open_to else self.info(path)


SOURCE = "vault://ann:pa55w0rdXQ@host/film.mp4?X-Amz-Credential=AKIA77/x&X-Amz-Signature=f00dzafe"


@pytest.fixture
def rendered(film, tmp_path, prefect_api):
    fsspec.register_implementation("vault", Vault, clobber=True)
    MemoryFileSystem().pipe_file("/host/film.mp4", film.read_bytes())
    options = {"style": "identity", "device": "cpu", "preset": "ultrafast", "shard_frames": 40}
    job = resolve_device(make_job({"source": SOURCE, "output": str(tmp_path / "out.mp4"), **options}))
    return run_title(job), Path(job.work)


def texts(folder: Path):
    """Every file's bytes, and what is compressed in tables."""
    for path in folder.rglob("*"):
        with suppress(IsADirectoryError, FileNotFoundError):  # a living database's come and go
            yield path, path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(io.BytesIO(path.read_bytes()))
            yield path, f"{table.to_pylist()} {table.schema.metadata}".encode()


def test_nothing_that_is_kept_holds_a_secret(rendered, prefect_home, capsys):
    facts, work = rendered
    source = json.loads((work / "job.json").read_text())["source"]
    assert source.startswith("vault://***@host/film.mp4?***")
    stored = [(work, json.dumps(facts).encode()), *texts(work)]
    for command in (["status", str(work)], ["status", str(work), "--json"], ["report", str(work)]):
        assert run(command) == 0
        stored.append((Path(command[0]), "".join(capsys.readouterr()).encode()))
    prefect = list(texts(prefect_home))
    assert any(b"vault://***@host" in data for _, data in prefect), "Prefect has seen the job"
    for path, data in [*stored, *prefect]:
        assert [secret for secret in SECRETS if secret.encode() in data] == [], path


@pytest.mark.parametrize("command", ["plan", "look"])
def test_what_is_planned_leaves_no_secret_in_names(rendered, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))
    rest = {"look": ["--styles", "noir", "--frames", "1", "--height", "40"], "plan": ["--style", "noir"]}
    assert run([command, SOURCE, *rest[command], "--json"]) == 0
    told = "".join(capsys.readouterr()) + " ".join(map(str, tmp_path.rglob("*")))
    assert not [secret for secret in SECRETS if secret in told]


def test_a_retry_asks_for_what_is_not_stored_and_takes_it_from_the_environment(rendered, monkeypatch, capsys):
    _, work = rendered
    monkeypatch.setattr(credentials, "_users", {})
    monkeypatch.setattr(credentials, "_queries", {})
    capsys.readouterr()
    assert run(["retry", str(work), "--shots", "2"]) == 2
    _, err = capsys.readouterr()
    assert err.startswith("stylereel: vault://host/film.mp4: ") and "STYLEREEL_URLS" in err
    monkeypatch.setenv("STYLEREEL_URLS", f"https://x:y@else/where {SOURCE}")
    assert run(["retry", str(work), "--shots", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shards_rendered"] == 1


@pytest.mark.parametrize("command", ["status", "report", "clean", "retry"])
def test_a_work_behind_a_password_is_opened_by_its_masked_url(monkeypatch, capsys, command):
    fsspec.register_implementation("vault", Vault, clobber=True)
    monkeypatch.setenv("STYLEREEL_URLS", SOURCE)
    force = ["--force"] if command == "clean" else []
    assert run([command, "vault://***@host/work", *force]) == 2
    assert "no work of stylereel here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flow", "place", "answer"),
    [
        ("retry", "vault://***@host/work", "no work of stylereel here"),
        ("render", "vault://***@host/gone.mp4?***", "not found"),
        ("season", "vault://***@host/gone.mp4?***", "1 of 1 titles failed, .* not found"),
    ],
)
def test_a_server_opens_what_is_behind_a_password(tmp_path, monkeypatch, flow, place, answer):
    from pipelines.flows import deployed

    fsspec.register_implementation("vault", Vault, clobber=True)
    monkeypatch.setenv("STYLEREEL_URLS", SOURCE.replace("film", "gone"))
    how = {"output": str(tmp_path / "out.mp4"), "style": "identity", "device": "cpu"}
    job, season = TitleJob(source=place, **how), Season(name="s", titles=[{"source": place}], **how)
    monkeypatch.setattr(deployed, "stylize_season", deployed.stylize_season.fn)  # without a server
    with pytest.raises(StylereelError, match=answer):
        getattr(deployed, flow).fn({"render": job, "season": season}.get(flow, place))


def test_works_of_a_season_are_cleaned_with_their_credentials(tmp_path):
    from pipelines.flows.season import _begun

    place = "vault://ann:pa55w0rdXQ@host/out"
    file = tmp_path / "season.yaml"
    file.write_text(f"name: s\ntitles: [a.mp4]\noutput: '{place}/{{stem}}.mp4'\ncatalogue: {tmp_path}/kept\n")
    (title,) = expand(load_season_file(file))
    catalogue.record(Store(str(tmp_path / "kept")), _begun(title))
    (work,) = _works(str(file))
    assert whole(work) == f"{place}/a.mp4.stylereel"
    assert not any(b"pa55w0rd" in data for _, data in texts(tmp_path / "kept"))
