"""Experiments: what choosing is worth, what the loop is, and what more data or a larger network would be."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import emit, number, open_lake, progress


@main.group()
def study() -> None:
    """Experiments on the whole, unit by unit, with a journal."""


def _journal(name: str) -> Callable[[Any], Any]:
    where = f"Where lines go [default: studies/{name}.jsonl]."
    return click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help=where)


_show = click.option("--show", is_flag=True, help="Only show what there is.")


@study.command(
    epilog="""understudy study selection --lake study --processes 2
    understudy study selection --lake study --set seeds=2 --set 'strategies=["ours", "core_set"]'"""
)
@click.option("--start", default="", help="A network of the lake to start from [default: one is trained].")
@_journal("selection")
@click.option("--most", type=click.IntRange(1), help="Do so many units at most.")
@_show
@set_option
@processes_option
@json_option
@lake_option
def selection(
    start: str,
    journal: Path | None,
    most: int | None,
    show: bool,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Does choosing beat choosing at random, and by how much?

    Strategies choose clips of the same seconds out of the same fleet driving; the same champion learns on from each
    choice, for as many steps; all are judged alike. k is how many times more seconds random needs for the same score.
    Every unit of work is a line of the journal, and is not done again. Needs the extras [city] and [train].
    """
    from understudy import settings
    from understudy.study.design import Selection
    from understudy.study.journal import read
    from understudy.study.report import comparable, rows
    from understudy.study.selection import JOURNAL, look_at_pools, prepare, run

    path = journal or JOURNAL
    told = settings.fill(Selection, settings.parse(assignments), prefix="selection")
    if show:
        lines = read(path)
    else:
        with progress("driving") as tell:
            ground = prepare(open_lake(lake, make=True), told, start, processes, tell)
        with progress("looking at the pools") as tell:
            look_at_pools(ground, processes, tell)
        command = shlex.join(["understudy", *sys.argv[1:]])
        with progress("choosing, training, judging") as tell:
            lines = run(ground, path, command, processes, tell, most)
    found = [
        {
            "id": f"{row.strategy} {row.seconds:.0f}s", "events": row.rate, "judged_by": row.group, "seeds": row.seeds,
            "score": row.score, "k": str(row.worth or ""), "gain": row.worth.gain if row.worth else float("nan"),
        }
        for row in rows(comparable(lines))
    ]  # fmt: skip
    shown: dict[str, Callable[[Any], str]] = dict.fromkeys(("id", "events", "judged_by", "seeds", "k"), str)
    shown |= {"score": number(3), "gain": number(3)}
    emit(found, shown, as_json, "no unit is done yet")


def _audited(outcome: Any, of: int) -> None:
    """Says in a terminal which route of an audit is done."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[2Kaudit of {of} routes {outcome.name[-60:]}", err=True, nl=False)


@study.command(
    epilog="""understudy study loop --lake arms --processes 2
    understudy study loop --lake arms --set preset=evening --set seeds=1 --set turns=2"""
)
@_journal("loop")
@_show
@set_option
@processes_option
@json_option
@lake_option
def loop(
    journal: Path | None, show: bool, assignments: tuple[str, ...], processes: int, as_json: bool, lake: Path | None
) -> None:
    """Does the loop improve the driver, and by more than chance?

    For every seed, turns as they are beside turns whose clips are chosen at random. The first champion, each arm's last
    champion and its last candidate drive audit routes that no fleet, no gate and no campaign comes to. Killed and run
    again it goes on; an audited driver is a line of the journal. Needs the extras [city] and [train].
    """
    from understudy import settings
    from understudy.cli.loop import teller
    from understudy.study.journal import read
    from understudy.study.loop import JOURNAL, Loop, comparable, rows, run, told_gain, told_ratio
    from understudy.turn.preset import preset

    path = journal or JOURNAL
    if show:
        lines = comparable(read(path))
    else:
        told = settings.fill(Loop, settings.parse(assignments), prefix="loop")
        here, command = open_lake(lake, make=True), shlex.join(["understudy", *sys.argv[1:]])
        lines = run(here.root, told, preset(told.preset), path, command, processes, teller(), _audited)
    found = [
        {
            "id": row.driver, "seeds": row.seeds, "driving_score": row.driving_score, "per_100_km": row.interventions,
            "of_first": row.of_first, "promoted": row.promoted,
            "over_first": row.over_first, "over_chance": row.over_chance,
        }
        for row in rows(lines)
    ]  # fmt: skip
    shown: dict[str, Callable[[Any], str]] = {"id": str, "seeds": str, "driving_score": number(3)}
    shown |= {"per_100_km": number(0), "of_first": told_ratio, "promoted": str}
    shown |= {"over_first": told_gain, "over_chance": told_gain}
    emit(found, shown, as_json, "no two drivers of one seed have been audited yet")


@study.command(
    epilog="""understudy study scale --lake lake --processes 2
    understudy study scale --lake lake --set 'sizes=["nano"]' --set 'shares=[0.25, 0.5, 1]' --set steps=1200"""
)
@_journal("scale")
@_show
@set_option
@processes_option
@json_option
@lake_option
def scale(
    journal: Path | None, show: bool, assignments: tuple[str, ...], processes: int, as_json: bool, lake: Path | None
) -> None:
    """Would more data help, or a larger network?

    Trains every size on nested shares of the lake's labelled drives, from nothing and for as many steps, and judges
    each in places where nobody learned. Every training is a line of the journal, and is not done again; its network
    stays in the lake. Needs the extra [train].
    """
    from understudy import settings
    from understudy.study.journal import read
    from understudy.study.scale import JOURNAL, SHOWN, Scale, comparable, rows, run

    path = journal or JOURNAL
    if show:
        lines = comparable(read(path))
    else:
        told = settings.fill(Scale, settings.parse(assignments), prefix="scale")
        command = shlex.join(["understudy", *sys.argv[1:]])
        with progress("training, judging") as tell:
            lines = run(open_lake(lake), told, path, command, processes, tell)
    found = [
        {
            "id": f"{row.size} {row.instants}", "parameters": row.parameters, "drives": row.drives, "seeds": row.seeds,
            **row.measured, "score": row.score, "low": row.low, "high": row.high,
        }
        for row in rows(lines)
    ]  # fmt: skip
    shown: dict[str, Callable[[Any], str]] = dict.fromkeys(("id", "parameters", "drives", "seeds"), str)
    shown |= dict.fromkeys((*SHOWN, "score", "low", "high"), number(3))
    emit(found, shown, as_json, "no unit is done yet")
