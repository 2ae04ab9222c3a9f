"""LeRobot's datasets, version 3: each piece an episode, or several where it cannot be learned from throughout.

    meta/info.json                                   features, rate, templates of paths
    meta/stats.json                                  of each feature over all frames
    meta/tasks.parquet                               what was to be done, in words
    meta/episodes/chunk-000/file-000.parquet         where each episode lies, and its own statistics
    data/chunk-000/file-000.parquet                  the frames of one drive
    videos/KEY/chunk-000/file-000.mp4                its pictures of one camera, its episodes one after the other

The layout is that of `lerobot` 0.4.4 (codebase version v3.0). A frame counts when its numbers are known, its pictures
are there, and a human drives unpushed: LeRobot knows no validity, so what is not valid is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from understudy.errors import SettingsError, UnderstudyError
from understudy.exporters.moments import Chosen, human
from understudy.exporters.stats import Histogram, told
from understudy.exporters.video import CODEC, PIXELS, Film
from understudy.records import NS, Array, Command, Drive, Floats, Ints

VERSION = "v3.0"
CHUNK = 1000  # files a folder
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
SHORTEST_S = 1.0  # of an episode

STATE = ("speed", "accel", "yaw_rate")
COMMANDS = ("steer", "throttle", "brake")
MOTION = ("speed", "yaw_rate")
TASKS = {
    Command.UNKNOWN: "drive",
    Command.FOLLOW: "follow the road",
    Command.LEFT: "turn left",
    Command.STRAIGHT: "go straight on",
    Command.RIGHT: "turn right",
}
OWN = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


@dataclass(frozen=True)
class LeRobot:
    """A dataset of what all chosen drives know.

    `observation.state` is speed, acceleration and rate of turn; `observation.images.CAMERA` are the pictures. `action`
    is steer, throttle and brake where all drives know how they were steered, else the speed and the rate of turn one
    frame later.
    """

    fps: int = 10  # frames a second; each is the nearest instant, and none is made up between two

    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise SettingsError(f"lerobot.fps: wants 1 or more, got {self.fps}")

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        dataset = _Dataset(folder, self.fps, *_common(chosen))
        unknown = f"no second of it is known throughout at {self.fps} frames a second"
        try:
            for one in chosen:
                for piece in one.pieces(one.read()):
                    episodes = dataset.episodes(piece)
                    for rows in episodes:
                        dataset.add(piece, rows)
                    yield piece.id, "" if episodes else unknown
                dataset.end_of_drive()
            dataset.close()
        finally:
            for film in dataset.films.values():
                film.abandon()


def _common(chosen: Sequence[Chosen]) -> tuple[list[str], list[str], list[str]]:
    """State, action and cameras: what all the drives have."""
    offers = frozenset.intersection(*(one.offers for one in chosen))
    state, commands, motion = ([name for name in names if name in offers] for names in (STATE, COMMANDS, MOTION))
    if "steer" not in commands and len(motion) < len(MOTION):
        raise UnderstudyError("these drives have no action in common: lerobot wants steer, or speed and yaw_rate")
    cameras = [name for name in chosen[0].cameras if all(name in one.cameras for one in chosen)]
    return state, commands if "steer" in commands else motion, cameras


@dataclass
class _Dataset:
    """A dataset in the making: frames gather until their drive ends, films are written as they come."""

    folder: Path
    fps: int
    state: list[str]
    action: list[str]
    cameras: list[str]

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)  # W, H by camera
    files: int = 0
    frames: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Array]] = field(default_factory=list)  # of the episodes of the drive at hand
    films: dict[str, Film] = field(default_factory=dict)
    metas: list[dict[str, Any]] = field(default_factory=list)  # one per episode
    pictures: dict[str, list[Histogram]] = field(default_factory=dict)
    numbers: dict[str, list[Array]] = field(default_factory=dict)

    # What can be learned from ----------------------------------------------------------------------------------------

    def episodes(self, piece: Drive) -> list[Ints]:
        """The instants of each episode of a piece, one per frame, all of them known; after the last comes what is still
        needed for its action."""
        at = piece.t_ns[0] + np.round(np.arange(int(piece.seconds * self.fps + 1e-6) + 1) * NS / self.fps).astype(
            np.int64
        )
        row = np.searchsorted((piece.t_ns[1:] + piece.t_ns[:-1]) // 2, at)  # the nearest
        near = np.abs(piece.t_ns[row] - at) <= NS / self.fps / 2
        known = near & self._known(piece)[row]
        known[1:] &= np.diff(row) > 0  # none is made up between two
        starts = np.flatnonzero(known & ~np.concatenate([[False], known[:-1]]))
        stops = np.flatnonzero(known & ~np.concatenate([known[1:], [False]])) + 1
        return [row[a:b] for a, b in zip(starts, stops, strict=True) if b - a - self._ahead >= SHORTEST_S * self.fps]

    @property
    def _ahead(self) -> int:
        """How many frames later the action is read; so many at the end of a stretch are no frames themselves."""
        return 0 if "steer" in self.action else 1

    def _known(self, piece: Drive) -> Array:
        seen = [camera.fresh(piece.t_ns) >= 0 for camera in piece.cameras if camera.name in self.cameras]
        numbers = [np.isfinite(piece[name]) for name in {*self.state, *self.action}]
        return np.asarray(np.all([human(piece), *seen, *numbers], axis=0))

    # Frames ----------------------------------------------------------------------------------------------------------

    def add(self, piece: Drive, rows: Ints) -> None:
        """An episode: the frames at some instants of a piece."""
        rows, after = rows[: len(rows) - self._ahead], rows[self._ahead :]
        count, number = len(rows), len(self.metas)
        command = piece["command"][rows] if "command" in piece else np.zeros(count, np.int8)
        words = [TASKS[Command(value)] for value in command.tolist()]
        frames: dict[str, Array] = {
            **({"observation.state": _stacked(piece, self.state, rows)} if self.state else {}),
            "action": _stacked(piece, self.action, after),
            "timestamp": (np.arange(count) / self.fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, number),
            "index": self.frames + np.arange(count),
            "task_index": np.array([self.tasks.setdefault(word, len(self.tasks)) for word in words]),
        }
        self.rows.append(frames)
        for name, values in frames.items():
            self.numbers.setdefault(name, []).append(values)
        statistics = {name: told(values) for name, values in frames.items()}
        meta: dict[str, Any] = {
            "episode_index": number,
            "tasks": list(dict.fromkeys(words)),
            "length": count,
            "data/chunk_index": self.files // CHUNK,
            "data/file_index": self.files % CHUNK,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + count,
        }
        for camera in self.cameras:
            key = f"observation.images.{camera}"
            meta |= self._shoot(piece, camera, key, rows)
            statistics[key] = self.pictures[key][-1].told()
        for key, numbers in statistics.items():
            meta |= {f"stats/{key}/{name}": value for name, value in numbers.items()}
        meta |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0, "understudy/moment": piece.id}
        self.metas.append(meta)
        self.frames += count

    def _shoot(self, piece: Drive, name: str, key: str, rows: Ints) -> dict[str, Any]:
        """Pictures of an episode onto the end of the drive's film, and where they lie in it."""
        camera = next(camera for camera in piece.cameras if camera.name == name)
        width, height = self.sizes.setdefault(key, (camera.size[0] // 2 * 2, camera.size[1] // 2 * 2))
        place = {"chunk_index": self.files // CHUNK, "file_index": self.files % CHUNK}
        if key not in self.films:
            path = self.folder / VIDEO.format(video_key=key, **place)
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise UnderstudyError(f"exporting {piece.id}: camera {name!r} leads out of the folder")
            self.films[key] = Film(path, self.fps, (width, height))
        film = self.films[key]
        began = film.count
        self.pictures.setdefault(key, []).append(film.add(camera.pictures, camera.latest(piece.t_ns[rows])))
        span = {"from_timestamp": began / self.fps, "to_timestamp": film.count / self.fps}
        return {f"videos/{key}/{word}": value for word, value in {**place, **span}.items()}

    # Files -----------------------------------------------------------------------------------------------------------

    def end_of_drive(self) -> None:
        """Its frames into one file, and its films are over."""
        for film in self.films.values():
            film.close()
        self.films = {}
        if self.rows:
            path = self.folder / DATA.format(chunk_index=self.files // CHUNK, file_index=self.files % CHUNK)
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = {name: np.concatenate([rows[name] for rows in self.rows]) for name in self.rows[0]}
            parquet.write_table(pa.table({name: _column(values) for name, values in columns.items()}), path)
            self.rows = []
            self.files += 1

    def close(self) -> None:
        """All that is told of the dataset as a whole."""
        if not self.metas:
            return
        meta = self.folder / "meta"
        (meta / "episodes" / "chunk-000").mkdir(parents=True)
        parquet.write_table(pa.Table.from_pylist(self.metas), meta / "episodes" / "chunk-000" / "file-000.parquet")
        parquet.write_table(_tasks(self.tasks), meta / "tasks.parquet")
        statistics = {name: told(np.concatenate(values)) for name, values in self.numbers.items()}
        statistics |= {key: Histogram.sum(parts).told() for key, parts in self.pictures.items()}
        for name, value in (("stats", statistics), ("info", self._info())):
            (meta / f"{name}.json").write_text(json.dumps(value, indent=4, allow_nan=False), encoding="utf-8")

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": "car",
            "total_episodes": len(self.metas),
            "total_frames": self.frames,
            "total_tasks": len(self.tasks),
            "chunks_size": CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self.metas)}"},
            "data_path": DATA,
            "video_path": VIDEO if self.cameras else None,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        vectors = {"observation.state": self.state, "action": self.action}
        features: dict[str, Any] = {
            key: {"dtype": "float32", "shape": [len(names)], "names": names} for key, names in vectors.items() if names
        }
        for key, (width, height) in self.sizes.items():
            info = {
                "video.height": height,
                "video.width": width,
                "video.codec": CODEC,
                "video.pix_fmt": PIXELS,
                "video.is_depth_map": False,
                "video.fps": self.fps,
                "video.channels": 3,
                "has_audio": False,
            }
            shape = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
            features[key] = {"dtype": "video", **shape, "info": info}
        return features | {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in OWN.items()}


def _stacked(piece: Drive, names: Sequence[str], rows: Ints) -> Floats:
    return np.stack([piece[name][rows] for name in names], axis=-1).astype(np.float32)


def _column(values: Array) -> pa.Array:
    """A number a frame, or a list of fixed length: LeRobot takes features of shape (1,) for bare numbers."""
    flat = pa.array(values.reshape(-1))
    width = values.size // len(values)
    return flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)


def _tasks(tasks: Mapping[str, int]) -> pa.Table:
    """The tasks as pandas would write them with their words as the index, which is how LeRobot looks them up."""
    index = "__index_level_0__"
    columns = [
        ("task_index", "task_index", "int64", "int64"),
        (None, index, "unicode", "object"),
    ]
    keys = ("name", "field_name", "pandas_type", "numpy_type", "metadata")
    told = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [dict(zip(keys, (*column, None), strict=True)) for column in columns],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), index: pa.array(list(tasks))})
    return table.replace_schema_metadata({"pandas": json.dumps(told)})
