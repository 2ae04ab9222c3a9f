"""The loop that improves the driver by itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from understudy.cli.group import json_option, lake_option, main, processes_option
from understudy.cli.output import open_lake


@main.command(
    epilog="""understudy turn --preset evening --turns 2 --processes 2
    understudy turn --preset standard --turns 20 --until "score>=0.9" """
)
@click.option("--turns", type=click.IntRange(1), default=1, show_default=True, help="Go on until there are so many.")
@click.option("--until", help='Stop as soon as the champion is so good: "score>=0.9".')
@click.option("--preset", default="evening", show_default=True, help="How large a turn is: evening or standard.")
@click.option("--budget", help="Seconds of clips that a turn may keep (120s) [default: the preset's].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other routes, traffic and chance.")
@click.option(
    "--world",
    type=click.Choice(["city", "none"]),
    help="Where the fleet drives [default: the city, unless the lake holds your own drives only].",
)
@click.option("--anew", is_flag=True, help="Begin the turn that was cut short anew, with the numbers given here.")
@processes_option
@json_option
@lake_option
def turn(
    turns: int,
    until: str | None,
    preset: str,
    budget: str | None,
    seed: int,
    world: str | None,
    anew: bool,
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Drive, shadow, mine, label, train, judge, promote; again.

    Makes the turns that the lake does not have yet, up to --turns in all. Killed and run again, a turn goes on where it
    was, with the numbers that it was begun with; what is done is left alone. The first champion learns from clips
    chosen at random. A turn that is refused or undecided leaves the champion where it is, and its clips to the next.
    Needs the extras [city] and [train]; on drives of your own [train] alone.
    """
    from understudy.turn.preset import preset as preset_of
    from understudy.turn.preset import with_budget
    from understudy.turn.run import run
    from understudy.turn.summary import Goal, line
    from understudy.web import turn as page
    from understudy.web import verdict

    here = open_lake(lake, make=True)
    size = preset_of(preset)
    if budget is not None:
        size = with_budget(size, budget)
    rows = run(
        here,
        turns,
        size,
        seed=seed,
        world=world,  # type: ignore[arg-type]
        until=Goal.parse(until) if until else None,
        anew=anew,
        processes=processes,
        on_line=teller(),
        on_verdict=lambda found: verdict.write(here, found),
        on_turn=lambda number: page.path(here, number).exists() or page.write(here, number),
    )
    for row in rows:
        click.echo(line(row) if sys.stdout.isatty() and not as_json else json.dumps(row))
    if rows:
        click.echo(str(page.path(here, rows[-1]["turn"])), err=True)


def teller() -> Callable[[Mapping[str, Any]], None]:
    """Says on stderr what each step came to; in a terminal also how it goes."""
    lively = sys.stderr.isatty()

    def tell(told: Mapping[str, Any]) -> None:
        step, state = f"turn {told['turn']} {told['step']:<9}", told["state"]
        if lively:
            click.echo("\r\033[2K", err=True, nl=False)
        if state in ("done", "skipped"):
            took = f" ({told['seconds']:.0f} s)" if told["seconds"] >= 1 else ""
            said = told.get("said", "")
            if said or took:
                click.echo(f"{step} {'– ' if state == 'skipped' else ''}{said}{took}", err=True)
        elif lively and state == "working":
            click.echo(f"{step} {told['done']} of {told['of']} {told['what'][-50:]}", err=True, nl=False)
        elif lively:
            click.echo(step, err=True, nl=False)

    return tell
