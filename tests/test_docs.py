"""What the docs say of the code is still so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy import plugins
from understudy.ingest import ingest
from understudy.records import COLUMNS, OBJECT_COLUMNS, OPTIONAL_OBJECT_COLUMNS
from understudy.store import Lake

ROOT = Path(__file__).resolve().parents[1]
DOCS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def test_the_pages_of_commands_and_settings_are_what_the_code_says() -> None:
    write = runpy.run_path(str(ROOT / "scripts" / "write_docs"))
    assert DOCS["commands.md"] == write["commands"](), "run scripts/write_docs"
    assert DOCS["settings.md"] == write["settings"](), "run scripts/write_docs"


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("reader", "logs.md"),
        ("policy", "policies.md"),
        ("trigger", "triggers.md"),
        ("labeler", "labels.md"),
        ("exporter", "exports.md"),
    ],
)
def test_every_plugin_is_in_its_page(kind: str, page: str) -> None:
    assert not [name for name in plugins.names(kind) if f"`{name}`" not in DOCS[page]]


def test_every_word_of_the_vocabulary_is_explained() -> None:
    words = {**COLUMNS, **OBJECT_COLUMNS, **OPTIONAL_OBJECT_COLUMNS}
    assert not [word for word in words if f"`{word}`" not in DOCS["drives.md"]]


def test_the_reader_of_the_page_of_logs_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(# csv_log.py.*?)```", DOCS["logs.md"], re.DOTALL)
    (tmp_path / "csv_log.py").write_text(source)
    trip = tmp_path / "trips" / "11-30"
    trip.mkdir(parents=True)
    rows = [f"{1.6e9 + 0.1 * k:.1f},{0.5 * k},0,0" for k in range(30)]
    (trip / "poses.csv").write_text("\n".join(["t,x,y,yaw", *rows]))
    for k in range(30):
        Image.new("RGB", (8, 4), (k, 0, 0)).save(trip / f"{k:04d}.jpg")
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path / "lake")
    report = ingest(lake, "csv_log:CsvLog", tmp_path / "trips", {"degrees": True})
    assert report.made == ("11-30",), report.failures
    drive = lake.drive("11-30")
    assert drive.t_s[-1] == pytest.approx(2.9) and drive["speed"] == pytest.approx(5.0)
    assert drive.cameras[0].pictures.read(np.array([29])).shape == (1, 4, 8, 3)
    (trip / "poses.csv").write_text("t,x,y,yaw\n1,2,3")
    (why,) = ingest(lake, "csv_log:CsvLog", tmp_path / "trips").failures.values()
    assert "reading poses" in why and why.endswith("poses.csv")


def test_links_between_pages_lead_somewhere() -> None:
    pages = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")} | {
        f"docs/{name}": text for name, text in DOCS.items()
    }
    broken = []
    for page, text in pages.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target and not ((ROOT / page).parent / target).exists():
                broken.append(f"{page} -> {target}")
    assert not broken
