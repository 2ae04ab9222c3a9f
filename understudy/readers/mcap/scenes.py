"""The boxes of Foxglove's scenes as the objects of a drive."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.geometry import interpolate, seen_from, wrap, yaw_of
from understudy.readers import tracks
from understudy.readers.mcap.ego import Ego
from understudy.readers.mcap.frames import Frames, matrices
from understudy.readers.mcap.hearing import Heard, in_order
from understudy.readers.mcap.messages import Cube, Scene
from understudy.records import NS, Array, Floats, Ints, Kind, Objects, Vehicle

BETWEEN_S = 1.0  # a box is moved from one sighting to the next if they are no farther apart
KINDS = (  # what the words of an entity say, the first that fits
    (r"pedestrian|person|human|walker", Kind.PEDESTRIAN),
    (r"motorc|motorbike|scooter", Kind.MOTORCYCLE),
    (r"bicycl|cyclist|\bbike", Kind.BICYCLE),
    (r"emergency|ambulance|police|fire ?truck", Kind.EMERGENCY),
    (r"\bbus\b", Kind.BUS),
    (r"truck|trailer|lorry|construction vehicle|vehicle construction", Kind.TRUCK),
    (r"animal|\bdog\b|\bdeer\b", Kind.ANIMAL),
    (r"cone", Kind.CONE),
    (r"barrier|bollard", Kind.BARRIER),
    (r"debris", Kind.DEBRIS),
    (r"\bcar\b|\bcars\b|vehicle|sedan|\bvan\b|taxi", Kind.CAR),
)


def kind_of(words: str) -> Kind:
    spaced = re.sub(r"[^a-z]+", " ", words.lower())
    return next((kind for pattern, kind in KINDS if re.search(pattern, spaced)), Kind.UNKNOWN)


@dataclass(frozen=True)
class Sightings:
    """The boxes of one topic, a row for each time that each was shown, sorted by time and track."""

    times: Ints  # (S,) when something was shown
    at: Ints  # (R,) which of the times
    columns: dict[str, Array]  # each (R,), in the map frame
    until_ns: Ints  # (R,) when it is gone if it is not shown again

    def rows_at(self, t_ns: Ints) -> tuple[Ints, dict[str, Array]]:
        """The instants (n,) and columns of the boxes shown at instants (T,).

        Between two sightings a box moves evenly; one that is not seen again stays for as long as it is shown.
        """
        now = np.searchsorted(self.times, t_ns, side="right") - 1
        starts = np.searchsorted(self.at, np.arange(len(self.times) + 1))
        first = np.where(now < 0, 0, starts[now])
        count = np.where(now < 0, 0, starts[now + 1] - first)
        instant = np.repeat(np.arange(len(t_ns)), count)
        row = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
        kept = t_ns[instant] < self.until_ns[row]
        instant, row = instant[kept], row[kept]
        return instant, self._moved(row, t_ns[instant])

    def _moved(self, row: Ints, t_ns: Ints) -> dict[str, Array]:
        """Rows on their way to the next sighting of the same track."""
        span = int(self.columns["track"].max(initial=0)) + 1
        keys = self.at * span + self.columns["track"]
        after = np.minimum(np.searchsorted(keys, keys[row] + span), len(keys) - 1)
        begin, end = self.times[self.at[row]], self.times[self.at[after]]
        seen = (keys[after] == keys[row] + span) & (end - begin <= BETWEEN_S * NS)
        share = np.where(seen, (t_ns - begin) / np.maximum(end - begin, 1), 0.0)
        moved = {name: values[row] for name, values in self.columns.items()}
        for name in ("x", "y", "z"):
            moved[name] = moved[name] + share * (self.columns[name][after] - moved[name])
        moved["yaw"] = wrap(moved["yaw"] + share * wrap(self.columns["yaw"][after] - moved["yaw"]))
        return moved


def objects(seen: Sequence[Sightings], t_ns: Ints) -> Objects | None:
    """What scenes showed at each instant; None where no box was ever shown."""
    if not seen:
        return None
    instants, columns = zip(*(one.rows_at(t_ns) for one in seen), strict=True)
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    return tracks.objects(len(t_ns), np.concatenate(instants), joined)


def sightings(heard: Heard, measured: bool, frames: Frames, ego: Ego, first_track: int) -> Sightings | None:
    """The boxes of a topic, placed in the frame of the ego's poses; None where there are none, or none can be placed.

    A box that never leaves the ego's own body is the ego. Tracks are numbered from `first_track` on.
    """
    times, at, cubes = _shown(heard, measured)
    if not cubes:
        return None
    names = {name: number for number, name in enumerate(dict.fromkeys(cube.entity for cube in cubes), first_track)}
    track = np.array([names[cube.entity] for cube in cubes], np.int64)
    root_T_box = _placed(cubes, times[at], frames, ego.root)
    x, y, z = root_T_box[:, :3, 3].T
    ego_z = np.interp(times[at] - ego.t_ns[0], ego.t_ns - ego.t_ns[0], np.nan_to_num(ego.root_T_ego[:, 2, 3]))
    length, width, height = np.array([cube.size for cube in cubes], np.float64).T
    vx, vy = tracks.velocities(times[at], track, x, y)
    columns = {
        "track": track,
        "kind": np.array([kind_of(cube.words) for cube in cubes], np.int8),
        "x": x,
        "y": y,
        "z": z - ego_z,
        "yaw": yaw_of(root_T_box),
        "length": length,
        "width": width,
        "height": height,
        "vx": vx,
        "vy": vy,
    }
    others = np.isfinite(x + y) & ~_is_ego(times[at], track, x, y, ego)
    order = np.lexsort((track, at))
    order = order[others[order]]
    if not len(order):
        return None
    until_ns = np.array([cube.until_ns for cube in cubes], np.int64)
    return Sightings(times, at[order], {name: values[order] for name, values in columns.items()}, until_ns[order])


def _shown(heard: Heard, measured: bool) -> tuple[Ints, Ints, list[Cube]]:
    """The times of updates (S,), and all boxes that were shown after each: which time (R,), and what."""
    t_ns = heard.times(measured)
    in_order(t_ns, heard.topic)
    scene, after = Scene({}), {}
    for index in np.argsort(t_ns, kind="stable"):
        after[int(t_ns[index])] = scene.update(heard.said[index], int(t_ns[index]))
    at = np.repeat(np.arange(len(after)), [len(cubes) for cubes in after.values()])
    return np.array(list(after), np.int64), at, [cube for cubes in after.values() for cube in cubes]


def _placed(cubes: Sequence[Cube], times: Ints, frames: Frames, root: str) -> Floats:
    """root_T_box (R, 4, 4); nan where no tree holds the box's frame."""
    frame_T_box = matrices(np.array([cube.place for cube in cubes]))
    of = np.array([cube.frame for cube in cubes])
    for frame in np.unique(of).tolist():
        rows = of == frame
        root_T_frame = frames.transform(root, frame, times[rows])
        frame_T_box[rows] = np.nan if root_T_frame is None else root_T_frame @ frame_T_box[rows]
    return frame_T_box


def _is_ego(times: Ints, track: Ints, x: Floats, y: Floats, ego: Ego) -> Array:
    """Whether a row (R,) is of a track that is never seen outside of the ego's body."""
    poses = np.stack([ego.root_T_ego[:, 0, 3], ego.root_T_ego[:, 1, 3], yaw_of(ego.root_T_ego)], axis=-1)
    body = Vehicle()
    there = seen_from(interpolate(ego.t_ns, poses, times), np.stack([x, y, np.zeros_like(x)], axis=-1))
    outside = (np.abs(there[:, 0] - body.centre_x) > body.length / 2) | (np.abs(there[:, 1]) > body.width / 2)
    known = np.isfinite(there).all(axis=1)
    return np.isin(track, track[known]) & ~np.isin(track, track[known & outside])
