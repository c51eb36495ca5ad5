"""Styles as a person looks at them, and what doctor says."""

import json
from pathlib import Path

import pytest
from conftest import result
from PIL import Image

from stylecore.catalog import called
from stylecore.pack import load_pack, save_pack

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_doctor_and_styles(capsys):
    code, out, _ = result(capsys, "doctor")
    assert code == 0 and "FAIL" not in out and "prefect" in out
    listed = json.loads(result(capsys, "styles", "--json")[1])
    assert {"identity", "cartoon", "starry-night"} <= set(listed) and all(
        card["work"] for card in listed.values()
    )


def test_a_style_shows_its_card(pack, capsys):
    code, out, _ = result(capsys, "styles", "show", "starry-night", "--json")
    card = json.loads(out)
    assert code == 0 and card["artist"] == "Vincent van Gogh" and card["recipe"]["steps"]
    assert Path(card["preview"]).is_file()
    assert result(capsys, "styles", "show", f"{pack}#plain")[0] == 0


def test_a_contact_sheet_of_a_film_and_of_a_picture(film, pack, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))
    styles = f"noir,{pack}#other"
    sheet = tmp_path / "sheet.png"
    code, out, _ = result(capsys, "look", film, "--styles", styles, "--frames", 3, "--out", sheet, "--json")
    assert code == 0 and json.loads(out)["frames"] == 3
    with Image.open(sheet) as opened:
        assert opened.height > 3 * 200 and opened.width > 3 * 300
    again = tmp_path / "again.jpg"
    assert result(capsys, "look", sheet, "--styles", "ink", "--out", again)[0] == 0 and again.exists()


def test_a_style_is_called_by_what_is_in_it():
    assert called("starry-night:0.6+seurat:0.4") == "starry-night:0.6+seurat:0.4"
    assert called("/far/a.jpg:0.5+/away/p.safetensors#x:0.5") == "a.jpg:0.5+p.safetensors#x:0.5"
    assert called("/far/v1.2.jpg") == "v1.2"


def test_the_check_of_a_style_fails_when_it_finds_a_fault(pack, capsys, tmp_path):
    assert result(capsys, "styles", "check", "identity")[0] == 0
    loud = load_pack(pack)
    loud.network.paint.weight.mul_(40)
    save_pack(loud, tmp_path / "loud.safetensors")
    code, out, _ = result(capsys, "styles", "check", tmp_path / "loud.safetensors")
    assert code == 1 and "FAULT" in out
