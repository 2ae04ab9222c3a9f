"""The city: fleets that drive in it, and one scenario to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import emit, make_room, number, open_lake, progress, tell_failures
from understudy.errors import SettingsError, UnderstudyError

_driver = click.option(
    "--driver",
    default="human",
    show_default=True,
    help="Who drives: human (the world's own), a policy, a model.onnx, champion, or model:HASH.",
)


@main.group()
def fleet() -> None:
    """Simulated cars that record drives into the lake."""


@fleet.command(
    epilog="""understudy fleet drive --cars 8 --minutes 10 --processes 2
    understudy fleet drive --town organic:6 --cars 4 --minutes 5 --driver lane_follow"""
)
@click.option(
    "--town",
    "towns",
    multiple=True,
    metavar="KIND:N",
    help="Towns to drive in, in turn [default: others for each car].",
)
@click.option("--cars", type=click.IntRange(1), default=8, show_default=True, help="How many cars.")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="How long each drives."
)
@_driver
@click.option("--traffic", default="everyday", show_default=True, help="How many others there are.")
@click.option("--weather", default="clear", show_default=True, help="clear, rain, fog, night, ...")
@click.option("--event", default="tail", show_default=True, help="A rare event, `tail` for now and then any, or none.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other routes, other traffic.")
@click.option("--cameras/--no-cameras", default=True, show_default=True, help="Whether pictures are taken.")
@click.option(
    "--pictures",
    nargs=2,
    type=click.IntRange(8, 4096),
    default=(128, 64),
    show_default=True,
    metavar="W H",
    help="How large they are; a network of size small wants 256 128.",
)
@click.option(
    "--pictures-hz",
    type=click.FloatRange(0, 10, min_open=True),
    default=10.0,
    show_default=True,
    help="Pictures a second of each camera, of 10 that it could take; 2 are enough to learn from a human.",
)
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def drive(
    ctx: click.Context,
    towns: tuple[str, ...],
    cars: int,
    minutes: float,
    driver: str,
    traffic: str,
    weather: str,
    event: str,
    seed: int,
    cameras: bool,
    pictures: tuple[int, int],
    pictures_hz: float,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Let cars drive, and take their drives into the lake.

    Without --town every fifth car is in a town kept for regression, the others in towns to train in; the gate's towns
    are refused. With a model at the wheel, a safety driver takes over when it gets dangerous. A car that is lost (SUMO
    crashed, the disk is full) is told, and the others go on.
    """
    from understudy.fleet import fleet_drive, tours
    from understudy.registry import Registry

    taken = pictures if cameras else None
    own = _settings(driver, assignments)
    here = open_lake(lake, make=True)
    plan = tours(
        towns, cars, minutes, Registry(here.root).spec(driver), own, taken, traffic, weather, event, seed, pictures_hz
    )
    with progress("driving") as tell:
        report = fleet_drive(here, plan, processes, lambda outcome: tell(outcome, len(plan)))
    row = {"id": "fleet", "drives": len(report.made), "kept": len(report.kept), "lost": len(report.failures)}
    emit([row], dict.fromkeys(("drives", "kept", "lost"), str), as_json, "")
    tell_failures("recorded", report.failures)
    ctx.exit(1 if report.failures else 0)


@main.command(epilog="""understudy watch scenario:city/organic:3/r12/everyday/clear/cut_in/7 --driver lane_follow""")
@click.argument("scenario")
@_driver
@click.option(
    "--film", "path", type=click.Path(dir_okay=False, path_type=Path), help="Where the film goes [default: NAME.mp4]."
)
@set_option
@json_option
@lake_option
def watch(
    scenario: str, driver: str, path: Path | None, assignments: tuple[str, ...], as_json: bool, lake: Path | None
) -> None:
    """Drive one scenario, film it, and print how it went.

    The film (MP4) shows the cameras and the scene from above. Whoever drives is shown what the gate would show.
    """
    from understudy.gate.driving import FIRST_LIMIT_S, asked
    from understudy.gate.entrants import entrant
    from understudy.registry import Registry
    from understudy.worlds.city import City
    from understudy.worlds.film import film
    from understudy.worlds.outcome import judged
    from understudy.worlds.rig import default_rig
    from understudy.worlds.scenario import Scenario
    from understudy.worlds.world import drive_with

    wanted, told = Scenario.parse(scenario), _settings(driver, assignments)
    if wanted.world != "city":
        raise UnderstudyError(f"filming {wanted}: only the city has cameras; expected scenario:city/...")
    parts = (wanted.town, wanted.route, wanted.event, driver.rpartition("/")[2])
    path = path or Path(f"{'-'.join(parts).replace(':', '-')}.mp4")
    make_room(path)
    known = driver == "champion" or driver.startswith("model:")  # by the lake, which is not needed for anybody else
    spec = Registry(open_lake(lake).root).spec(driver) if known else driver
    who = entrant(spec, told)
    with City(who.driver.needs, who.driver.history_s, who.rig or default_rig()) as world:
        seen = world.reset(wanted)
        planner = who.driver.begin(world)
        drive_with(world, lambda seen: asked(planner, seen, FIRST_LIMIT_S), seen)
        driven = world.drive()
    film(driven, path)
    outcome = judged(driven)
    row = {
        "id": str(wanted), "driver": driver, "ended": outcome.ended, "completion": outcome.completion,
        "score": outcome.score, **outcome.subscores, "film": str(path),
    }  # fmt: skip
    shown = {
        name: number(2) if isinstance(value, float) else str
        for name, value in row.items()
        if name not in ("id", "film")
    }
    emit([row], shown, as_json, "")
    if not as_json:
        click.echo(str(path), err=True)


def _settings(driver: str, assignments: tuple[str, ...]) -> dict[str, Any]:
    """What --set says to a driver; the world's own human can be told nothing."""
    from understudy import settings

    told = settings.parse(assignments)
    if driver == "human" and told:
        raise SettingsError(f"no setting named '{next(iter(told))}'; the driver human has no settings")
    return told
