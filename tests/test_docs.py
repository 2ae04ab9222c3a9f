"""What the docs say of the code is still so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from understudy import plugins
from understudy.records import COLUMNS, OBJECT_COLUMNS, OPTIONAL_OBJECT_COLUMNS

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
