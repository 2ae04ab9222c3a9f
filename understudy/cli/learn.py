"""Labels, datasets, networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import emit, number, open_lake, progress, reasons, tell_failures
from understudy.errors import UnderstudyError
from understudy.identifiers import counted

if TYPE_CHECKING:
    from understudy.store import Lake


@main.command(
    epilog="""understudy label
    understudy label --set every_s=0.2 --set 'labelers=["path", "agents"]'
    understudy label --agree"""
)
@click.option("--agree", is_flag=True, help="Hold labels made without the truth against it, and write none.")
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def label(
    ctx: click.Context, agree: bool, assignments: tuple[str, ...], processes: int, as_json: bool, lake: Path | None
) -> None:
    """Label every drive from hindsight.

    What was driven next, what lay around, what the light showed: the answers known afterwards, with their validity.
    With --agree, drives of the city are labelled as a log would be that knows no truth, and the share of labels that
    are right is told with its 95 % interval.
    """
    from understudy import label as stage
    from understudy import settings
    from understudy.labelers.agreement import ASKED

    here = open_lake(lake)
    told = settings.fill(stage.Labels, settings.parse(assignments), prefix="label")
    if agree:
        with progress("comparing") as tell:
            found, report = stage.agree(here, processes, tell)
        rows = [
            {"id": name, "labels": one.n, "right": one.value, "low": one.interval[0], "high": one.interval[1]}
            | {"asked": ASKED[name]}
            for name, one in found.items()
        ]
        three = number(3)
        emit(
            rows,
            {"id": str, "labels": str, "right": three, "low": three, "high": three, "asked": str},
            as_json,
            "no drive in the lake knows its truth; `understudy fleet drive` records some",
        )
    else:
        with progress("labelling") as tell:
            report = stage.run(here, told, processes, tell)
        row = {"id": "label", "labelled": len(report.made), "kept": len(report.kept), "skipped": len(report.skipped)}
        emit([row], dict.fromkeys(("labelled", "kept", "skipped"), str), as_json, "")
    for count, reason in reasons(report.skipped):
        click.echo(f"{counted(count, 'drive')} skipped, {reason}", err=True)
    tell_failures("labelled", report.failures)
    ctx.exit(1 if report.failures else 0)


@main.command(
    epilog="""understudy dataset
    understudy dataset --set clips=true"""
)
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def dataset(ctx: click.Context, assignments: tuple[str, ...], processes: int, as_json: bool, lake: Path | None) -> None:
    """Freeze labelled drives into a dataset.

    It is named by what is in it, and split by place; places of regression clips stay out. With clips=true only what
    lies in clips kept for training is taken.
    """
    from understudy import dataset as stage
    from understudy import settings
    from understudy.registry import used_for_training

    here = open_lake(lake)
    told = settings.fill(stage.Dataset, settings.parse(assignments), prefix="dataset")
    with progress("freezing") as tell:
        frozen = stage.run(here, told, used_for_training(here), processes, tell)
    row = {
        "id": frozen.name, "samples": frozen.samples, "held_out": frozen.held_out,
        "places": len(frozen.places), "test_places": len(frozen.test_places),
    }  # fmt: skip
    emit([row], dict.fromkeys(row, str), as_json, "")
    for count, reason in reasons(frozen.report.skipped):
        click.echo(f"{counted(count, 'drive')} skipped, {reason}", err=True)
    tell_failures("frozen", frozen.report.failures)
    ctx.exit(1 if frozen.report.failures else 0)


@main.command(
    epilog="""understudy train 3f9a
    understudy train 3f9a --set size=nano --set steps=2000"""
)
@click.argument("dataset", default="")
@set_option
@json_option
@lake_option
def train(dataset: str, assignments: tuple[str, ...], as_json: bool, lake: Path | None) -> None:
    """Train a network on a DATASET.

    Its name may be cut short, or left out where there is one only. Killed and run again, training goes on where it
    was, to the same weights. Needs the extra [train].
    """
    from understudy import settings
    from understudy import train as stage
    from understudy.workers import Outcome

    told = settings.fill(stage.Train, settings.parse(assignments), prefix="train")
    here = open_lake(lake)
    if not dataset:
        dataset = _only_dataset(here)
    with progress("training") as tell:

        def log(values: Mapping[str, float]) -> None:
            for _ in range(stage.LOG_EVERY):
                tell(Outcome(f"step {values['step']:.0f}"), told.steps)

        def scored(drive: int, of: int) -> None:
            tell(Outcome(f"scoring modes, drive {drive}"), told.steps + of)

        trained = stage.run(here, dataset, told, log, scored)
    row = {"id": trained.name, "steps": trained.steps, "new": trained.new, "instants_per_s": trained.instants_per_s}
    emit([row], {"id": str, "steps": str, "new": str, "instants_per_s": number(0)}, as_json, "")


def _only_dataset(lake: Lake) -> str:
    """The dataset that is meant where none is named."""
    names: list[str] = sorted({entry.about["dataset"] for entry in lake.entries(stage="dataset")})
    if not names:
        raise UnderstudyError("no dataset yet; `understudy label` and then `understudy dataset` freeze one")
    if len(names) > 1:
        raise UnderstudyError(f"there are {len(names)} datasets; name one of them: {', '.join(names)}")
    return names[0]


@main.command(epilog="understudy export 9c41 pilot.onnx")
@click.argument("network")
@click.argument("to", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@lake_option
def export(network: str, to: Path, as_json: bool, lake: Path | None) -> None:
    """Write a trained NETWORK as ONNX, with its card.

    NETWORK is the name that `understudy train` printed, as far as it is the only one. What it writes is what
    `understudy shadow` and `understudy gate` run without torch. Needs the extra [train].
    """
    from understudy.network.export import export as write

    path = write(open_lake(lake), network, to)
    emit([{"id": network, "file": str(path)}], {"file": str}, as_json, "")


@main.command(
    epilog="""understudy evaluate 9c41
    understudy evaluate 9c41 --beside 77ab
    understudy evaluate 9c41 --show 12"""
)
@click.argument("network")
@click.option("--dataset", default="", help="Another dataset than the one it learned from.")
@click.option(
    "--side", type=click.Choice(["test", "train", "all"]), default="test", show_default=True, help="Which samples."
)
@click.option("--beside", default="", help="Another network on the same samples, such as one trained with blind=true.")
@click.option("--show", type=click.IntRange(0), default=0, help="Samples to look at, on a page of the lake.")
@json_option
@lake_option
def evaluate(network: str, dataset: str, side: str, beside: str, show: int, as_json: bool, lake: Path | None) -> None:
    """Hold a NETWORK against held-out samples.

    Intersection over union of its bird's-eye view, displacement of its plans under both names, calibration of their
    probabilities. A look at learning: what counts is closed loop. Needs the extra [train].
    """
    from understudy.evaluate import run, told

    here = open_lake(lake)
    found = run(here, network, dataset, side, show, beside)
    other = told(run(here, beside, found.dataset, side, beside=network)) if beside else {}
    rows = [
        {"id": name, "value": value, **({"beside": other.get(name)} if beside else {})}
        for name, value in told(found).items()
    ]
    names = ("value", "beside") if beside else ("value",)
    emit(rows, {"id": str, **dict.fromkeys(names, number(3))}, as_json, "nothing could be compared")
    without = f", {found.left_out} in places learned from left out" if found.left_out else ""
    click.echo(f"{found.samples} samples, {found.split}{without}", err=True)
    if show:
        from understudy.web.evaluation import write as write_page

        click.echo(write_page(here, found), err=True)
