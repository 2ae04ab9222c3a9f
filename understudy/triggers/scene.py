"""Others as the ego sees them: what the triggers that look at objects share, each answer computed once a drive.

Everything is a column over the rows of `drive.objects` (R,), or the rows themselves, picked by what they are.
"In the path" means near the arc of the present turn, because a log need not have a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from understudy.errors import DataError
from understudy.records import VULNERABLE, Array, Drive, Event, Floats, Ints, Kind, Objects
from understudy.triggers.once import once_a_drive
from understudy.triggers.spans import events

OBJECTS = ("objects", "pose")  # what a trigger that asks for positions needs
PATH = ("objects", "pose", "speed", "yaw_rate")  # and one that asks for the path
_SLOW = 2.0  # m/s: below it the yaw rate says little about the arc
_BEND = 0.6  # rad
_ASIDE = 3.0  # m: further from the path than this is not near it
_REACH = 80.0  # m, ahead and behind


@dataclass(frozen=True)
class Scene:
    """The objects of a drive, from where the ego is. Ask `scene(drive)` for it."""

    drive: Drive

    @property
    def objects(self) -> Objects:
        if self.drive.objects is None:
            raise DataError(f"drive {self.drive.id} has no objects")
        return self.drive.objects

    def rows(self, column: Array) -> Array:
        """A column of the drive (T,), for each row (R,)."""
        return np.repeat(column, np.diff(self.objects.starts))

    @cached_property
    def instant(self) -> Ints:
        return self.objects.instant

    # Where they are ---------------------------------------------------------------------------------------------------

    @cached_property
    def _place(self) -> tuple[Floats, Floats]:
        east = self.objects["x"] - self.rows(self.drive["x"])
        north = self.objects["y"] - self.rows(self.drive["y"])
        cos, sin = self._heading
        return cos * east + sin * north, cos * north - sin * east

    @cached_property
    def _heading(self) -> tuple[Floats, Floats]:
        yaw = self.drive["yaw"]
        return self.rows(np.cos(yaw)), self.rows(np.sin(yaw))

    @property
    def ahead(self) -> Floats:
        """Of the ego's rear axle."""
        return self._place[0]

    @property
    def left(self) -> Floats:
        return self._place[1]

    @cached_property
    def vulnerable(self) -> Ints:
        """Rows of people and animals."""
        return np.flatnonzero(kinds(self.objects["kind"], VULNERABLE))

    def distance(self, rows: Ints) -> Floats:
        """From the ego's body to those of some rows, taken as discs as wide as they are."""
        vehicle = self.drive.vehicle
        beyond = np.maximum(np.abs(self.ahead[rows] - vehicle.centre_x) - vehicle.length / 2, 0)
        beside = np.maximum(np.abs(self.left[rows]) - vehicle.width / 2, 0)
        return np.maximum(np.hypot(beyond, beside) - np.nan_to_num(self.objects["width"][rows]) / 2, 0)

    # Where the ego goes -----------------------------------------------------------------------------------------------

    @cached_property
    def curvature(self) -> Floats:
        """Of the ego's present turn, (T,)."""
        return self.drive["yaw_rate"] / np.maximum(self.drive["speed"], _SLOW)

    @cached_property
    def turn(self) -> Floats:
        """By how much the path has turned where they are."""
        return self.rows(self.curvature) * self.ahead

    @cached_property
    def aside(self) -> Floats:
        """How far to the left of the ego's path; nan where that turns too much to be foretold."""
        aside = self.left - self.turn * self.ahead / 2
        aside[np.abs(self.turn) > _BEND] = np.nan
        return aside

    @cached_property
    def near_path(self) -> Ints:
        """Rows in or beside the path, ahead and behind."""
        return np.flatnonzero((np.abs(self.aside) < _ASIDE) & (np.abs(self.ahead) < _REACH))

    def along(self, rows: Ints) -> tuple[Floats, Floats]:
        """Speed of some rows along the path and to its left, over the ground."""
        cos, sin = (part[rows] for part in self._heading)
        vx, vy = self.objects["vx"][rows], self.objects["vy"][rows]
        forward, leftward = cos * vx + sin * vy, cos * vy - sin * vx
        cos, sin = np.cos(self.turn[rows]), np.sin(self.turn[rows])
        return cos * forward + sin * leftward, cos * leftward - sin * forward

    def in_path(self, rows: Ints, margin: float) -> Array:
        """Whether bodies of some rows reach into the strip that the ego's body sweeps, widened by `margin`."""
        half = np.nan_to_num(self.objects["width"][rows]) / 2 + self.drive.vehicle.width / 2
        return np.abs(self.aside[rows]) < half + margin

    def gap(self, rows: Ints) -> Floats:
        """From the ego's front bumper to some rows ahead."""
        front = self.drive.vehicle.length - self.drive.vehicle.rear_overhang
        return self.ahead[rows] - front - np.nan_to_num(self.objects["length"][rows]) / 2

    # Who they are -----------------------------------------------------------------------------------------------------

    @cached_property
    def before(self) -> Ints:
        """The row in which the same track was seen before, (R,); -1 where it was not."""
        track = self.objects["track"]
        order = np.argsort(track, kind="stable")
        same = track[order[1:]] == track[order[:-1]]
        before = np.full(len(track), -1)
        before[order[1:][same]] = order[:-1][same]
        return before

    @cached_property
    def again(self) -> Ints:
        """Rows whose track was seen before."""
        return np.flatnonzero(self.before >= 0)

    def find(self, rows: Ints, score: Floats, hold_s: float = 0.0, bridge_s: float = 0.5) -> Iterator[Event]:
        """Events of the spans in which there is any of `rows`, as strong as the largest `score` of theirs."""
        strongest = np.full(len(self.drive), -np.inf)
        np.maximum.at(strongest, self.instant[rows], score)
        yield from events(self.drive, strongest > -np.inf, strongest, hold_s, bridge_s)


@once_a_drive
def scene(drive: Drive) -> Scene:
    return Scene(drive)


def kinds(column: Array, wanted: Iterable[Kind]) -> Array:
    """Whether each of a column of kinds is one of some."""
    listed = np.zeros(len(Kind), bool)
    listed[list(wanted)] = True
    return listed[column]
