"""The commands as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from tests.conftest import steady_turn
from tests.small_lake import read_in
from understudy.cli import main, output
from understudy.cli.find import silence
from understudy.settings import parse
from understudy.store import Lake

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


def test_the_console_takes_its_lake_as_every_command_does_and_by_its_name(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")
    for words in (("serve", nowhere), ("serve", "--lake", nowhere)):
        assert f"no lake yet in {nowhere}" in understudy(*words).stderr
    assert "named twice" in understudy("serve", nowhere, "--lake", nowhere).stderr


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
        (("mine", "--set", "mine.context_s=-4"), "mine.context_s wants seconds, 0 or more, got -4"),
        (("mine", "--set", "triggers=hard_brake"), "mine.triggers wants a list, as in --set 'triggers="),
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


SCENARIO = "scenario:city/grid:1/r0/everyday/clear/none/0"


def refusal(result: Result) -> str:
    """The one line that a command answers with."""
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("understudy: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.fixture
def nobody_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    """No world begins."""

    def begin(*_: object, **__: object) -> None:
        raise AssertionError("it has begun to drive")

    monkeypatch.setattr("understudy.worlds.city.City.__init__", begin)
    monkeypatch.setattr("understudy.gate.run.run", begin)


@pytest.mark.parametrize("words", [("ingest", "mcap"), ("sample",), ("drives",), ("mine",)], ids=" ".join)
def test_a_folder_that_cannot_be_is_one_line(
    words: tuple[str, ...], sample_logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    if words == ("sample",):
        assert "Not a directory; " in refusal(understudy(*words, file / "logs"))
        return
    more = (sample_logs,) if words[0] == "ingest" else ()
    monkeypatch.setenv("UNDERSTUDY_LAKE", str(file))
    assert "a lake is a folder, and this is a file" in refusal(understudy(*words, *more))
    if more:
        assert "Not a directory; " in refusal(understudy(*words, *more, lake=file / "lake"))


@pytest.mark.usefixtures("nobody_drives")
@pytest.mark.parametrize("words", [("watch", SCENARIO, "--film"), ("gate", "human", "lane_follow", "--junit")])
def test_what_is_written_in_the_end_has_its_place_before_anything_is_driven(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_LAKE", str(tmp_path / "lake"))
    (tmp_path / "file").write_bytes(b"")
    assert "a file is in the way" in refusal(understudy(*words, tmp_path / "file" / "told"))
    begun = understudy(*words, tmp_path / "new" / "folder" / "told")
    assert isinstance(begun.exception, AssertionError) and (tmp_path / "new" / "folder").is_dir()


@pytest.mark.usefixtures("nobody_drives")
@pytest.mark.parametrize("words", [("watch", SCENARIO), ("fleet", "drive")], ids=" ".join)
def test_the_human_of_the_world_can_be_told_nothing(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no setting named 'foo'; the driver human has no settings" in refusal(understudy(*words, "--set", "foo=1"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weather", "hail"), "no weather named 'hail'"),
        (("--traffic", "everday"), "no level of traffic named 'everday'; did you mean 'everyday'?"),
        (("--event", "cutin"), "no event named 'cutin'; did you mean 'cut_in'?"),
    ],
)
def test_a_fleet_that_nobody_can_send_is_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refusal(understudy("fleet", "drive", *words, lake=tmp_path / "lake"))
    assert not (tmp_path / "lake").exists()


def test_names_that_nobody_has_are_refused_before_a_lake_is_made(tmp_path: Path) -> None:
    for names in (("nope", "nope2"), ("lane_follow", "nope")):
        assert "no driver named 'nope'" in refusal(understudy("gate", *names, lake=tmp_path / "lake"))
    assert not (tmp_path / "lake").exists()


def test_a_lake_without_what_is_wanted_says_what_makes_it(tmp_path: Path) -> None:
    assert "`understudy mine` keeps some" in refusal(understudy("extract", "csv", "--to", "z", lake=tmp_path))
    for words in (("mine",), ("shadow", "lane_follow")):
        result = understudy(*words, lake=tmp_path)
        assert result.exit_code == 0 and result.stderr == f"{output.NO_DRIVES}\n"


def test_without_a_name_the_only_dataset_is_meant(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert "`understudy dataset` freeze one" in refusal(understudy("train", lake=tmp_path))
    for name in ("abc", "def"):
        with Lake(tmp_path).run("dataset", name, {}, "code") as run:
            run.part("drive", [name]).write({}, about={"dataset": name})
    assert "2 datasets; name one of them: abc, def" in refusal(understudy("train", lake=tmp_path))


def test_triggers_that_could_not_be_asked_are_told_apart(tmp_path: Path) -> None:
    read_in(Lake(tmp_path), [steady_turn()])
    lacking = {str(row["id"]): row["lacking"] for row in lines(understudy("mine", lake=tmp_path))}
    assert lacking["hard_brake"] == {} and lacking["light_flicker"] == {"lights": 1}
    assert lacking["red_light"] == {"lights": 1, "map": 1}
    able, unable = {"drives": 1, "lacking": {}}, {"drives": 0, "lacking": {"map": 2, "spedd": 2}}
    assert silence([able]) == "1 trigger found nothing"
    assert silence([unable]) == "1 was not asked: 1 lacks map, 1 lacks spedd"
    seen = silence([able, able, unable, {"drives": 0, "lacking": {"map": 2}}])
    assert seen == "2 triggers found nothing; 2 were not asked: 2 lack map, 1 lacks spedd"


def test_an_answer_in_sql_has_every_column_and_its_numbers_are_numbers(tmp_path: Path) -> None:
    with Lake(tmp_path).run("mine", "events", {}, "code") as run:
        run.part("drive", []).write({"events": pa.table({"id": ["a", "b"], "n": [1, 2]})})

    def answer(sql: str) -> list[dict[str, object]]:
        return lines(understudy("query", sql, lake=tmp_path))

    assert answer("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a") == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]
    (both,) = answer("SELECT * FROM events e JOIN events c ON e.n < c.n")
    assert both == {"id": "a", "n": 1, "id_1": "b", "n_1": 2}
    assert answer("SELECT sum(n) AS n, [sum(n)] AS all, 1.50 AS x FROM events") == [{"n": 3, "all": [3], "x": 1.5}]


def test_columns_that_do_not_fit_side_by_side_are_told_one_a_line_or_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    def told(rows: list[dict[str, object]], lists: bool = True) -> str:
        command = click.Command("told", callback=lambda: _to_a_terminal(rows, lists))
        return CliRunner().invoke(command).stdout

    narrow: dict[str, object] = {"id": "[red]a", "score": 0.123456789, "poses": [1.5] * 32, "none": None}
    assert [line.split() for line in told([narrow]).splitlines()] == [
        ["id", "score", "poses", "none"],
        ["[red]a", "0.123457", "[1.5,", "1.5,", "1.5,", "1.5,", "…", "32", "in", "all]", "–"],
    ]
    wide: dict[str, object] = narrow | {f"column_{number}": number for number in range(9)}
    assert told([wide, wide]).splitlines() == 2 * [
        "id: [red]a",
        "score: 0.123457",
        "poses: [1.5, 1.5, 1.5, 1.5, … 32 in all]",
        "none: –",
        *(f"column_{number}: {number}" for number in range(9)),
        "",
    ]
    of_the_city: dict[str, object] = {"id": "city/roundabout:1/r10000:420/everyday/rain_night/tail/10000", "seconds": 1}
    assert [line.split() for line in told([of_the_city], lists=False).splitlines()] == [
        ["id", "seconds"],
        [of_the_city["id"], "1"],
    ]


def _to_a_terminal(rows: list[dict[str, object]], lists: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        patch.setenv("TERM", "dumb")
        output.emit(rows, dict.fromkeys(rows[0], output.short), False, "no rows", lists=lists)


def test_plugins_are_told_in_whole_sentences() -> None:
    for row in lines(understudy("plugins")):
        assert str(row["about"]).rstrip(")").endswith("."), row


def test_plugins_are_listed_with_what_they_are() -> None:
    rows = lines(understudy("plugins", "policy"))
    assert {"constant_turn", "lane_follow", "logged", "onnx"} <= {row["id"] for row in rows}
    assert all(row["about"] for row in rows)
    assert understudy("plugins", "polcy").exit_code == 1


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("torch", "train", ("train",)),
        ("sumo", "city", ("watch", "scenario:city/grid:1/r0/everyday/clear/none/0")),
        ("sumo", "city", ("fleet", "drive", "--cars", "2")),
        ("sumo", "city", ("gate", "lane_follow", "constant_turn")),
        ("sumo", "city", ("turn",)),
    ],
)
def test_a_missing_extra_is_one_line(module: str, extra: str, words: tuple[str, ...], tmp_path: Path) -> None:
    code = f"import sys\nsys.modules[{module!r}] = None\nfrom understudy.cli import main\nmain({list(words)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"needs the extra [{extra}]" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_numbers_and_times_that_json_or_python_cannot_say_are_said_otherwise(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [steady_turn()])
    sql = "SELECT 1 / 0.0 AS far, ['nan'::double, 2.0] AS some, make_timestamp_ns(t_ns + 1) AS at FROM instants LIMIT 1"
    done = CliRunner().invoke(main, ["query", sql, "--lake", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (row,) = lines(done)
    assert row["some"] == [None, 2.0] and row["far"] is None and row["at"].endswith("000000001")
    assert "NaN" not in done.stdout and "Infinity" not in done.stdout


def test_spans_of_time_and_stamps_within_lists_are_said_too(tmp_path: Path) -> None:
    read_in(Lake(tmp_path), [steady_turn()])
    stamp = "make_timestamp_ns(1)"
    sql = f"SELECT INTERVAL 3 MONTH AS span, [{stamp}] AS some, {{'at': {stamp}}} AS one, MAP {{'k': [{stamp}]}} AS map"
    done = understudy("query", sql, lake=tmp_path)
    assert done.exit_code == 0, done.output
    said = "1970-01-01 00:00:00.000000001"
    assert lines(done) == [{"span": [3, 0, 0], "some": [said], "one": {"at": said}, "map": [["k", [said]]]}]


def test_settings_of_a_policy_in_a_package_are_told_by_its_whole_name() -> None:
    assert parse(["pol.mine:Slower.share=0.5", "other.x.y=1"], ["pol.mine:Slower"]) == {
        "pol.mine:Slower": {"share": 0.5},
        "other": {"x": {"y": 1}},
    }


def test_who_is_told_to_end_takes_along_what_is_half_written(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from understudy.cli import main\n"
        "from understudy import exporters; from understudy.store.files import whole_folder\n"
        "def write(kind, lake, moments, folder, *_):\n"
        "    with whole_folder(folder) as aside:\n"
        "        (aside / 'half').touch(); os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "exporters.write = write\n"
        "main(['extract', 'csv', 'a', '--to', 'out/x', '--lake', 'lake'])"
    )
    read_in(Lake(tmp_path / "lake"), [replace(steady_turn(), id="a")])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 143 and list((tmp_path / "out").iterdir()) == [], done.stderr


def test_what_turns_and_judges_recorded_drives_imports_nothing_of_the_city() -> None:
    code = "import sys\nfor name in ('sumo', 'simplejpeg', 'gymnasium'):\n    sys.modules[name] = None\n"
    code += "import understudy.turn.run, understudy.gate.run"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_main_job_needs_no_extra(tmp_path: Path) -> None:
    """What `scripts/look` does, with nothing that an extra brings."""
    extras = ("sumo", "libsumo", "sumolib", "gymnasium", "simplejpeg", "fastapi", "uvicorn", "torch", "onnx", "ray")
    job = (
        ["sample", "sample"],
        ["ingest", "mcap", "sample"],
        ["shadow", "lane_follow", "constant_turn"],
        ["mine", "--budget", "20"],
        ["show"],
    )
    code = (
        "import sys\n"
        "class Extras:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {extras}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Extras())\n"
        "from understudy.cli import main\n"
        f"for words in {job}:\n"
        "    main(words, standalone_mode=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lake" / "pages" / "moments.html").is_file()
