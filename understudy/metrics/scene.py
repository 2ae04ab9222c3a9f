"""All that scoring needs of a drive, prepared once: roads, route, others, lights."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from understudy.maps import Roads, RouteLine
from understudy.metrics.blocks import Blocks
from understudy.metrics.progress import reference
from understudy.metrics.tracks import Tracks
from understudy.records import PAUSE_S, Array, Drive, Floats, Ints, Lights

AHEAD = 250.0  # m of road added beyond the end of what was driven


class Scene:
    """A drive to judge plans in, by its truth where it has one (a simulated world), else by what was recorded."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.vehicle = drive.vehicle
        self.t, self.poses = drive.t_s, drive.poses
        self.speed: Floats = drive["speed"] if "speed" in drive else np.full(len(drive), np.nan)
        truth = drive.truth
        objects = truth.objects if truth and truth.objects else drive.objects
        self.tracks = Tracks(self.t, objects) if objects is not None else None
        self.lights: Lights | None = truth.lights if truth and truth.lights else drive.lights
        self.roads = Roads(drive.map) if drive.map is not None and drive.map.lanes else None
        self._reference, self._asked = np.full(len(drive), np.nan), np.zeros(len(drive), bool)

    @classmethod
    def of(cls, drive: Drive) -> Scene:
        """The scene of a drive with poses."""
        return cls(drive)

    @cached_property
    def line(self) -> RouteLine | None:
        """The route, as the drive names it or else as it was driven, and the road beyond it."""
        if self.roads is None:
            return None
        route = tuple(id for id in self.drive.route if id in self.roads) or self.roads.match(self.poses)
        return self.roads.line(self.roads.extend(route, AHEAD)) if route else None

    @cached_property
    def along(self) -> Floats:
        """Where on the route the ego is at each instant, (T,)."""
        return self.line.follow(self.poses[:, :2]) if self.line else np.full(len(self.t), np.nan)

    @cached_property
    def blocks(self) -> Blocks:
        """What blocks the lane of the route for good."""
        return Blocks.of(self)

    def reference(self, instants: Ints) -> Floats:
        """How far the reference driver of `progress` goes from instants (P,), worked out once for each."""
        new = np.unique(instants[~self._asked[instants]])
        self._reference[new] = reference(self, new)
        self._asked[new] = True
        return self._reference[instants]

    def row(self, t: Floats) -> Ints:
        """The newest row at times (...,)."""
        return np.asarray(np.clip(np.searchsorted(self.t, t + 1e-6) - 1, 0, len(self.t) - 1))

    def recorded(self, instants: Ints, seconds: float) -> Array:
        """Whether the recording goes on for `seconds` after instants (P,), without a pause."""
        ends = self.t[instants] + seconds
        pauses = np.append(self.t[:-1][np.diff(self.t) > PAUSE_S], np.inf)  # when they begin
        next_pause = pauses[np.searchsorted(pauses, self.t[instants])]
        return np.asarray((ends <= self.t[-1] + 1e-6) & (ends <= next_pause + 1e-6))
