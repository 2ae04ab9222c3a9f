"""Imports go down the floors, never up, and never sideways between families."""

from __future__ import annotations

import ast
from pathlib import Path

import understudy

ROOT = Path(understudy.__file__).parent

FLOORS: dict[str, int] = {
    "errors": 0,
    "records": 1,
    **dict.fromkeys(("geometry", "settings", "plugins", "identifiers", "evidence"), 2),
    **dict.fromkeys(("maps", "metrics", "observe", "store"), 3),
    **dict.fromkeys(("readers", "triggers", "policies", "labelers", "network", "worlds"), 4),
    **dict.fromkeys(("recorder", "registry", "workers"), 5),
    **dict.fromkeys(
        (
            "ingest",
            "sample",
            "shadow",
            "mine",
            "audit",
            "label",
            "dataset",
            "train",
            "evaluate",
            "gate",
            "exporters",
            "fleet",
        ),
        6,
    ),
    **dict.fromkeys(("turn", "study"), 7),  # what knows the order of stages
    **dict.fromkeys(("cli", "web"), 8),
}
# On one floor a room may lean on another only where listed here, with the reason.
SIDEWAYS = {
    ("plugins", "settings"),  # a plug-in's fields are filled like any settings
    ("metrics", "maps"),  # metrics and observations ask what a map answers
    ("observe", "maps"),
    ("store", "maps"),
    ("network", "labelers"),  # the heads answer what labelers tell, in their words
    ("cli", "web"),
    ("network", "policies"),  # an exported model's card is what the onnx policy reads
    ("study", "turn"),  # an experiment on the loop goes round it
    ("fleet", "ingest"),  # a fleet records, then ingests
    ("labelers", "worlds"),  # `expert` lives a drive of the city again, with the city's own driver
    ("dataset", "label"),  # a dataset is labels, frozen: it reads them as they were written
}
TORCH_ROOMS = {"network", "train"}
ONLY = {"torch": TORCH_ROOMS, "ray": {"workers"}, "fastapi": {"web"}, "starlette": {"web"}}


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "understudy"
                else [node.module]
            )
    return found


def room(module: str) -> str:
    return module.removeprefix("understudy.").split(".")[0]


def files() -> list[tuple[str, Path]]:
    return [
        (path.relative_to(ROOT).with_suffix("").parts[0], path)
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / "__init__.py" and path != ROOT / "__main__.py"
    ]


def test_every_room_has_a_floor() -> None:
    assert {here for here, _ in files()} <= FLOORS.keys()


def test_imports_go_down() -> None:
    broken = []
    for here, path in files():
        for module in imports(path):
            if not module.startswith("understudy.") or room(module) == "__version__":
                continue
            there = room(module)
            if there == here:
                continue
            if FLOORS[there] > FLOORS[here] or (FLOORS[there] == FLOORS[here] and (here, there) not in SIDEWAYS):
                broken.append(f"{path.relative_to(ROOT)} may not import {there}")
    assert not broken, "\n".join(broken)


def test_heavy_libraries_stay_in_their_rooms() -> None:
    broken = [
        f"{path.relative_to(ROOT)} may not import {module}"
        for here, path in files()
        for module in imports(path)
        if here not in ONLY.get(module.split(".")[0], {here})
    ]
    assert not broken, "\n".join(broken)


def test_every_room_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for _, path in files()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent
