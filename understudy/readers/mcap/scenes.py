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
    """The boxes of one topic, a row for each message that held one, sorted by track and time."""

    t_ns: Ints  # (R,) when it was sighted
    until_ns: Ints  # (R,) when it is gone, or sighted again
    columns: dict[str, Array]  # each (R,), in the map frame

    def rows_at(self, t_ns: Ints) -> tuple[Ints, dict[str, Array]]:
        """The instants (n,) and columns of the boxes shown at instants (T,).

        Between two sightings a box moves evenly; one that is not seen again stays for as long as it is shown.
        """
        first = np.searchsorted(t_ns, self.t_ns)
        count = np.searchsorted(t_ns, self.until_ns) - first
        row = np.repeat(np.arange(len(first)), count)
        instant = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
        return instant, self._moved(row, t_ns[instant])

    def _moved(self, row: Ints, t_ns: Ints) -> dict[str, Array]:
        """Rows on their way to the next sighting of the same track."""
        after = np.minimum(row + 1, len(self.t_ns) - 1)
        begin, end = self.t_ns[row], self.t_ns[after]
        seen = (self.columns["track"][after] == self.columns["track"][row]) & (end - begin <= BETWEEN_S * NS)
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
    t_ns, until_ns, cubes = _sighted(heard, measured)
    if not cubes:
        return None
    names = {name: number for number, name in enumerate(dict.fromkeys(cube.entity for cube in cubes), first_track)}
    track = np.array([names[cube.entity] for cube in cubes], np.int64)
    root_T_box = _placed(cubes, t_ns, frames, ego.root)
    x, y, z = root_T_box[:, :3, 3].T
    ego_z = np.interp(t_ns - ego.t_ns[0], ego.t_ns - ego.t_ns[0], np.nan_to_num(ego.root_T_ego[:, 2, 3]))
    length, width, height = np.array([cube.size for cube in cubes], np.float64).T
    vx, vy = tracks.velocities(t_ns, track, x, y)
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
    others = np.isfinite(x + y) & ~_is_ego(t_ns, track, x, y, ego)
    order = np.lexsort((t_ns, track))
    order = order[others[order]]
    if not len(order):
        return None
    return Sightings(t_ns[order], until_ns[order], {name: values[order] for name, values in columns.items()})


def _sighted(heard: Heard, measured: bool) -> tuple[Ints, Ints, list[Cube]]:
    """The boxes that messages held, when (R,), and until when each was shown (R,)."""
    t_ns = heard.times(measured)
    in_order(t_ns, heard.topic)
    scene, last = Scene({}), dict[str, range]()  # of each entity its newest rows
    begins: list[int] = []
    ends: list[int] = []
    cubes: list[Cube] = []
    for index in np.argsort(t_ns, kind="stable"):
        now = int(t_ns[index])
        gone, sighted = scene.update(heard.said[index], now)
        for row in (row for entity in (*gone, *sighted) for row in last.pop(entity, ())):
            ends[row] = min(ends[row], now)
        for entity, shown in sighted.items():
            last[entity] = range(len(cubes), len(cubes) + len(shown))
            cubes += shown
            begins += [now] * len(shown)
            ends += [now + cube.lifetime_ns for cube in shown]
    # What is taken away or said otherwise at once was never shown.
    rows = [row for row, (begin, end) in enumerate(zip(begins, ends, strict=True)) if begin < end]
    return np.array(begins, np.int64)[rows], np.array(ends, np.int64)[rows], [cubes[row] for row in rows]


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
