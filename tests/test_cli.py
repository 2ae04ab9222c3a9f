"""The commands as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from understudy.cli import main

HEAVY = (
    "numpy",
    "pyarrow",
    "duckdb",
    "torch",
    "cv2",
    "onnxruntime",
    "jinja2",
    "rich",
    "av",
    "shapely",
    "scipy",
    "numba",
    "fastapi",
)


def _leaves(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, *above, name)
        else:
            yield (*above, name)


LEAVES = list(_leaves(main))


def understudy(*words: str | Path, lake: Path | None = None) -> Result:
    more = ["--lake", str(lake)] if lake else []
    return CliRunner().invoke(main, [*map(str, words), *more])


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("words", [["--help"], *([*words, "--help"] for words in LEAVES)])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom understudy.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_an_example_that_names_it(words: tuple[str, ...]) -> None:
    assert f"  understudy {' '.join(words)}" in understudy(*words, "--help").stdout.split("Example")[1]


def test_a_mistyped_command_is_answered_with_the_right_one() -> None:
    result = understudy("shaddow")
    assert result.exit_code == 2
    assert "did you mean 'shadow'" in result.stderr


def test_without_a_lake_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    result = understudy("drives", lake=tmp_path / "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("understudy: there is no lake yet") and result.stderr.count("\n") == 1


def test_a_wrong_reader_folder_or_setting_is_one_line(tmp_path: Path) -> None:
    for words, message in [
        (("ingest", "tubb", tmp_path), "did you mean 'tub'"),
        (("ingest", "tub", tmp_path / "nowhere"), "no such folder"),
        (("ingest", "tub", tmp_path), "found none; expected"),
        (("ingest", "tub", tmp_path, "--set", "rate=20"), "did you mean 'rate_hz'"),
        (("ingest", "tub", tmp_path, "--set", "rate_hz"), "--set wants key=value"),
    ]:
        result = understudy(*words, lake=tmp_path / "lake")
        assert result.exit_code == 1
        assert message in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mine", "--set", "context_s=-4"), "mine.context_s wants seconds, 0 or more, got -4"),
        (("mine", "--set", "context_s=nan"), "mine.context_s wants finite numbers, got nan"),
        (("mine", "--set", "longest_s=inf"), "mine.longest_s wants finite numbers, got inf"),
        (("mine", "--set", 'triggers=[{use="hard_brake", decel=nan}]'), "mine.triggers wants finite numbers, got"),
        (("label", "--set", "every_s=nan"), "label.every_s wants finite numbers, got nan"),
        (("label", "--set", "every_s=-0.5"), "label.every_s wants seconds, 0 or more, got -0.5"),
        (("dataset", "--set", "history_s=[-inf, 0.0]"), "dataset.history_s wants finite numbers, got [-inf, 0.0]"),
        (("extract", "csv", "x", "--to", "y", "--set", "fps=3"), "no setting named 'csv.fps'; csv has no settings"),
    ],
)
def test_settings_without_sense_are_refused_by_name(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = understudy(*words, lake=tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"understudy: {message}") and result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mien]\nbudget = 5", "no section [mien]; did you mean 'mine'?"),
        ("budget = 5", "no section [budget]"),
        ("mine = 5", "mine wants to be a section, [mine]"),
        ("[mine]\nbugdet = 5", "no setting named 'mine.bugdet'; did you mean 'budget'?"),
    ],
)
def test_nothing_in_the_settings_of_a_lake_is_overlooked(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "understudy.toml").write_text(text, encoding="utf-8")
    result = understudy("mine", lake=tmp_path)
    assert result.exit_code == 1
    assert message in result.stderr and result.stderr.count("\n") == 1, result.stderr


def test_plugins_are_listed_with_what_they_are() -> None:
    rows = lines(understudy("plugins", "policy"))
    assert {"constant_turn", "lane_follow", "logged", "onnx"} <= {row["id"] for row in rows}
    assert all(row["about"] for row in rows)
    assert understudy("plugins", "polcy").exit_code == 1


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [("torch", "train", ("train",)), ("sumo", "city", ("watch", "scenario:city/grid:1/r0/everyday/clear/none/0"))],
)
def test_a_missing_extra_is_one_line(module: str, extra: str, words: tuple[str, ...], tmp_path: Path) -> None:
    code = f"import sys\nsys.modules[{module!r}] = None\nfrom understudy.cli import main\nmain({list(words)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"needs the extra [{extra}]" in done.stderr and done.stderr.count("\n") == 1, done.stderr
