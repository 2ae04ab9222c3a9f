"""What the others did next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.geometry import seen_from
from understudy.labelers import Label
from understudy.metrics.tracks import Tracks
from understudy.records import MOTOR_VEHICLES, PLAN_STEP_S, PLAN_STEPS, VULNERABLE, Drive, Ints, Kind

STEPS = PLAN_STEP_S * np.arange(PLAN_STEPS + 1)  # s: now, and every 0.5 s of the next 4 s


@dataclass(frozen=True)
class Agents:
    """Road users around and their next 4 s, (B, N, K + 1, 3): x, y, yaw in the ego frame of the instant, now first.

    The nearest come first; nan where there are fewer than `most`, and where one is not seen at that time. From the
    truth where the drive declares one.
    """

    most: int = 32  # N
    range_m: float = 60.0

    needs: ClassVar[tuple[str, ...]] = ("pose", "objects")

    def label(self, drive: Drive, instants: Ints) -> Label:
        value = np.full((len(instants), self.most, len(STEPS), 3), np.nan, np.float32)
        objects = drive.truth.objects if drive.truth and drive.truth.objects else drive.objects
        assert objects is not None
        tracks, poses = Tracks(drive.t_s, objects), drive.poses[instants]
        turned = np.isfinite(objects["yaw"])[np.lexsort((objects.instant, objects["track"]))]  # by row of the tracks
        owner, row = tracks.present(instants)
        apart = np.hypot(tracks.x[row] - poses[owner, 0], tracks.y[row] - poses[owner, 1])
        wanted = (apart < self.range_m) & np.isin(tracks.kind[row], [*MOTOR_VEHICLES, *VULNERABLE, Kind.UNKNOWN])
        owner, row, apart = owner[wanted], row[wanted], apart[wanted]
        order = np.lexsort((apart, owner))
        owner, row = owner[order], row[order]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)  # the how manyth nearest
        owner, row, place = (values[place < self.most] for values in (owner, row, place))
        number, times = tracks.number[row], drive.t_s[instants[owner], None] + STEPS
        last_s = tracks.t[np.searchsorted(tracks.number, number, side="right") - 1]
        seen = seen_from(poses[owner, None], tracks.poses(number, times))
        seen[times > last_s[:, None] + 1e-6] = np.nan  # `Tracks` holds the last track at its last pose
        seen[~turned[row], :, 2] = np.nan
        value[owner, place] = seen
        return Label(value)
