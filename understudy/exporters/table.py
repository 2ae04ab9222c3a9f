"""CSV: each piece a table of its instants, and one of its objects, for spreadsheets and data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import csv

from understudy.exporters.moments import Chosen, file_of
from understudy.records import Array, Drive, Floats, Ints


@dataclass(frozen=True)
class Csv:
    """NAME.csv with a row per instant, and NAME.objects.csv with a row per object and instant where there are any.

    Columns are those of the drive, in its units; before them the stamp (t_ns) and the seconds since the drive's start
    (t_s). What is unknown is an empty cell.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        for one in chosen:
            drive = one.read()
            for piece in one.pieces(drive):
                t_s = (piece.t_ns - drive.t_ns[0]) / 1e9
                _write(file_of(folder, piece.id, ".csv"), piece.t_ns, t_s, _columns(piece))
                if piece.objects is not None:
                    rows = piece.objects.instant
                    where = file_of(folder, piece.id, ".objects.csv")
                    _write(where, piece.t_ns[rows], t_s[rows], piece.objects.columns)
                yield piece.id, ""


def _columns(drive: Drive) -> Mapping[str, Array]:
    """The drive's columns, its places by name."""
    if "place" not in drive:
        return drive.columns
    names = np.array([*drive.places, None], dtype=object)
    return {**drive.columns, "place": names[drive["place"]]}  # -1, for none, is the last


def _write(path: Path, t_ns: Ints, t_s: Floats, columns: Mapping[str, Array]) -> None:
    values = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}  # nan becomes null
    csv.write_csv(pa.table({"t_ns": t_ns, "t_s": t_s, **values}), path, csv.WriteOptions(quoting_style="needed"))
