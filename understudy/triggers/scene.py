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
from understudy.triggers.loops import beside_path, seen_before, seen_from
from understudy.triggers.newest import newest_kept
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
        return seen_from(self.objects.starts, self.drive.poses, self.objects["x"], self.objects["y"])

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

    def near(self, rows: Ints, distance: float) -> tuple[Ints, Floats]:
        """Those of some rows whose bodies are within `distance` of the ego's, and how far they are.

        Bodies of others are taken as discs as wide as they are.
        """
        vehicle = self.drive.vehicle
        room = distance + vehicle.length + _ASIDE  # a square that is quick to ask and large enough
        rows = rows[np.abs(self.left[rows]) < room]
        rows = rows[np.abs(self.ahead[rows]) < room]
        beyond = np.maximum(np.abs(self.ahead[rows] - vehicle.centre_x) - vehicle.length / 2, 0)
        beside = np.maximum(np.abs(self.left[rows]) - vehicle.width / 2, 0)
        away = np.maximum(np.hypot(beyond, beside) - np.nan_to_num(self.objects["width"][rows]) / 2, 0)
        there = away < distance
        return rows[there], away[there]

    # Where the ego goes -----------------------------------------------------------------------------------------------

    @cached_property
    def curvature(self) -> Floats:
        """Of the ego's present turn, (T,)."""
        return self.drive["yaw_rate"] / np.maximum(self.drive["speed"], _SLOW)

    @cached_property
    def _path(self) -> tuple[Floats, Floats]:
        return beside_path(self.objects.starts, self.curvature, self.ahead, self.left, _BEND)

    @property
    def turn(self) -> Floats:
        """By how much the path has turned where they are."""
        return self._path[0]

    @property
    def aside(self) -> Floats:
        """How far to the left of the ego's path; nan where that turns too much to be foretold."""
        return self._path[1]

    @cached_property
    def near_path(self) -> Ints:
        """Rows in or beside the path, ahead and behind."""
        return np.flatnonzero((np.abs(self.aside) < _ASIDE) & (np.abs(self.ahead) < _REACH))

    def along(self, rows: Ints) -> tuple[Floats, Floats]:
        """Speed of some rows along the path and to its left, over the ground."""
        heading = self.drive["yaw"][self.instant[rows]] + self.turn[rows]  # of the path, where they are
        cos, sin = np.cos(heading), np.sin(heading)
        vx, vy = self.objects["vx"][rows], self.objects["vy"][rows]
        return cos * vx + sin * vy, cos * vy - sin * vx

    def in_path(self, rows: Ints, margin: float) -> Array:
        """Whether bodies of some rows reach into the strip that the ego's body sweeps, widened by `margin`."""
        half = np.nan_to_num(self.objects["width"][rows]) / 2 + self.drive.vehicle.width / 2
        return np.abs(self.aside[rows]) < half + margin

    def gap(self, rows: Ints) -> Floats:
        """From the ego's front bumper to some rows ahead."""
        front = self.drive.vehicle.front
        return self.ahead[rows] - front - np.nan_to_num(self.objects["length"][rows]) / 2

    # Who they are -----------------------------------------------------------------------------------------------------

    @cached_property
    def _sights(self) -> tuple[Ints, Ints]:
        track = self.objects["track"]
        if len(track) and track.max() > 8 * len(track):  # numbers that are no count of anything
            track = np.unique(track, return_inverse=True)[1]
        return seen_before(self.objects.starts, track, int(track.max(initial=-1)) + 1)

    @property
    def before(self) -> Ints:
        """The row in which the same track was seen before, (R,); -1 where it was not."""
        return self._sights[0]

    @property
    def waited(self) -> Ints:
        """How many instants ago that was, (R,); 0 where it was not seen."""
        return self._sights[1]

    @cached_property
    def fast2(self) -> Floats:
        """Squares of their speeds."""
        return np.asarray(self.objects["vx"] ** 2 + self.objects["vy"] ** 2)

    def find(self, rows: Ints, score: Floats, hold_s: float = 0.0, bridge_s: float = 0.5) -> Iterator[Event]:
        """Events of the spans in which there is any of `rows`, as strong as the largest `score` of theirs."""
        strongest = np.full(len(self.drive), -np.inf)
        np.maximum.at(strongest, self.instant[rows], score)
        yield from events(self.drive, strongest > -np.inf, strongest, hold_s, bridge_s)


@newest_kept
def scene(drive: Drive) -> Scene:
    return Scene(drive)


def kinds(column: Array, wanted: Iterable[Kind]) -> Array:
    """Whether each of a column of kinds is one of some."""
    listed = np.zeros(len(Kind), bool)
    listed[list(wanted)] = True
    return listed[column]
