"""Moments of drives, taken out of the lake for the tools of others: one format a file.

An export is a folder that appears whole or not at all. `understudy.json` in it says what it was made of, so that the
same export asked for again is known to be there, and anything else that lies at its place is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

from understudy import plugins
from understudy.errors import UnderstudyError
from understudy.exporters.moments import Chosen, choose, human
from understudy.store import Lake, code_version
from understudy.store.files import legible, whole_folder
from understudy.workers import Outcome, Report

ABOUT = "understudy.json"

__all__ = ["ABOUT", "Chosen", "Exporter", "choose", "human", "write"]


class Exporter(Protocol):
    """Writes what was chosen of some drives into a folder."""

    needs: ClassVar[tuple[str, ...]]  # of a drive: columns, or words of Drive.NEEDS

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        """Write into `folder`, which is empty. As each piece is done its name comes out, and why it was left out, if
        it was; when the last has come the folder is complete."""
        ...


def write(
    kind: str,
    lake: Lake,
    moments: Sequence[str],
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    on_piece: Callable[[Outcome, int], None] | None = None,
) -> Report:
    """Export moments in a format: DRIVE, DRIVE/12.0:18.0, clip:... or event:..., those that overlap as one.

    The report counts pieces, each a stretch of one drive: made, kept where the same export is there already, skipped
    with the reason. A folder that holds anything else is refused, an error leaves nothing, and nothing half-written is
    ever seen under the folder's name.
    """
    exporter: Exporter = plugins.make("exporter", kind, settings)
    with lake.reading():
        chosen, skipped = _fit(choose(lake, moments), exporter.needs)
        if not chosen:
            reason = next(iter(skipped.values()), "no moments were named")
            raise UnderstudyError(f"nothing to export as {kind}: {reason}")
        names = [name for one in chosen for name in one.names]
        told = legible(
            {
                "exporter": kind,
                "settings": asdict(exporter),  # type: ignore[call-overload]
                "code": code_version(["understudy.exporters", type(exporter).__module__]),
                "drives": {one.id: {"part": one.part, "stretches_ns": one.stretches} for one in chosen},
            }
        )
        if _there(folder, told):
            return Report((), tuple(names), skipped, {})
        with _told(folder), whole_folder(folder) as aside:
            made = []
            for name, reason in exporter.write(chosen, aside):
                if reason:
                    skipped[name] = reason
                else:
                    made.append(name)
                if on_piece is not None:
                    on_piece(Outcome(name), len(names))
            if not made:
                raise UnderstudyError(f"nothing to export as {kind}: {next(iter(skipped.values()))}")
            (aside / ABOUT).write_bytes(told)
    return Report(tuple(made), (), skipped, {})


def _fit(chosen: Sequence[Chosen], needs: Sequence[str]) -> tuple[list[Chosen], dict[str, str]]:
    """Those whose drives offer what is needed, and of the others what they lack."""
    lacks = {one.id: [need for need in needs if need not in one.offers] for one in chosen}
    skipped = {name: f"lacks {', '.join(lacking)}" for name, lacking in lacks.items() if lacking}
    return [one for one in chosen if not lacks[one.id]], skipped


def _there(folder: Path, told: bytes) -> bool:
    """Whether the same export is there already; UnderstudyError if anything else is."""
    try:
        if (folder / ABOUT).read_bytes() == told:
            return True
        found = "another export" if folder.is_dir() else ""
    except (FileNotFoundError, NotADirectoryError):
        found = "a file" if folder.is_file() else "something" if folder.is_dir() and any(folder.iterdir()) else ""
    if found:
        raise UnderstudyError(f"there is {found} already and nothing is overwritten: choose another place; in {folder}")
    return False


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the disk complains of is told in one line."""
    try:
        yield
    except OSError as error:
        raise UnderstudyError(f"exporting: {error.strerror}; in {folder.absolute()}") from error
