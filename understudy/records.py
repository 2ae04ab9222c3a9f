"""The records that pass between rooms: drives as columns, observations, plans, events, clips.

Conventions, said once here and assumed everywhere:

- SI and radians. Stamps are int64 nanoseconds (`_ns`), spans are float seconds (`_s`).
- The ego frame is x forward, y left, z up, with its origin at the rear axle on the ground (ISO 8855).
  Cameras are x right, y down, z forward. Yaw is counter-clockwise, steering is positive to the left.
- `a_T_b` takes points from frame b to frame a; in a product the inner letters touch.
- Axis letters: `B` batch, `T` instants, `F` frames of history, `M` modes, `K` plan steps, `C` cameras,
  `N` objects, `R` object rows, `L` lights, `H W` picture, `P` points of a line.
- A column that a log lacks is absent, never zero. A single unknown value is nan, or UNKNOWN in an enumeration.
- Shapes are checked when a record is made and trusted afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from understudy.errors import DataError, PolicyError, ShapeError, hint

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NS = 1_000_000_000
PLAN_STEPS = 8
PLAN_STEP_S = 0.5
PAUSE_S = 1.5  # where a recording pauses for longer, nothing is known of the time between


class Kind(IntEnum):
    """What an object is."""

    UNKNOWN = 0
    CAR = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4
    BICYCLE = 5
    PEDESTRIAN = 6
    ANIMAL = 7
    CONE = 8
    BARRIER = 9
    DEBRIS = 10
    EMERGENCY = 11


MOTOR_VEHICLES = (Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE, Kind.EMERGENCY)
VULNERABLE = (Kind.PEDESTRIAN, Kind.BICYCLE, Kind.ANIMAL)
STATIC = (Kind.CONE, Kind.BARRIER, Kind.DEBRIS)


class Command(IntEnum):
    """The coarse route: what a navigator would say now."""

    UNKNOWN = 0
    FOLLOW = 1
    LEFT = 2
    STRAIGHT = 3
    RIGHT = 4


class Driver(IntEnum):
    """Who drives."""

    UNKNOWN = 0
    HUMAN = 1
    MODEL = 2
    SAFETY = 3  # a safety driver who took over from a model


class Light(IntEnum):
    """The state of a traffic light."""

    UNKNOWN = 0
    RED = 1
    YELLOW = 2
    GREEN = 3
    OFF = 4


# The vocabulary of a drive's columns: dtype, unit, meaning. A reader may add columns of its own (lower_snake names,
# float64); these words mean the same in every drive, table, page and trigger.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "x": ("float64", "m", "position of the rear axle in the map frame"),
    "y": ("float64", "m", "position of the rear axle in the map frame"),
    "yaw": ("float64", "rad", "heading in the map frame, counter-clockwise, in (-pi, pi]"),
    "speed": ("float64", "m/s", "forward speed, negative in reverse"),
    "accel": ("float64", "m/s²", "forward acceleration"),
    "yaw_rate": ("float64", "rad/s", "rate of turn, positive to the left"),
    "steer": ("float64", "1", "steering command as a fraction of full lock, positive to the left"),
    "steering_wheel_angle": ("float64", "rad", "angle of the steering wheel, positive to the left"),
    "road_wheel_angle": ("float64", "rad", "angle of the front wheels, positive to the left"),
    "throttle": ("float64", "1", "throttle command, 0 to 1 (negative brakes where the car has one pedal)"),
    "brake": ("float64", "1", "brake command, 0 to 1"),
    "who_drives": ("int8", "Driver", "who drives"),
    "pushed": ("bool", "", "the car is being pushed off its path on purpose: never a label"),
    "command": ("int8", "Command", "the coarse route"),
    "place": ("int16", "", "index into the drive's places"),
    "speed_limit": ("float64", "m/s", "speed limit of the lane the ego is in"),
    "lane_offset": ("float64", "m", "signed distance to the centre of the ego's lane, positive to the left of it"),
    "leader_track": ("int64", "", "track of the object ahead in the ego's path, -1 for none"),
    "leader_gap": ("float64", "m", "bumper to bumper distance to the leader, nan without one"),
    "leader_speed": ("float64", "m/s", "speed of the leader along the ego's path, nan without one"),
}

# The vocabulary of object columns. The first group is required; `kind` may be UNKNOWN, the others nan.
OBJECT_COLUMNS: dict[str, tuple[str, str, str]] = {
    "track": ("int64", "", "the same number for the same object throughout the drive, not negative"),
    "kind": ("int8", "Kind", "what it is"),
    "x": ("float64", "m", "centre of the box in the map frame"),
    "y": ("float64", "m", "centre of the box in the map frame"),
    "yaw": ("float64", "rad", "heading of the box in the map frame"),
    "length": ("float64", "m", "extent along its heading"),
    "width": ("float64", "m", "extent across its heading"),
    "vx": ("float64", "m/s", "velocity in the map frame"),
    "vy": ("float64", "m/s", "velocity in the map frame"),
}
OPTIONAL_OBJECT_COLUMNS: dict[str, tuple[str, str, str]] = {
    "z": ("float64", "m", "height of the centre above the ego's ground plane"),
    "height": ("float64", "m", "vertical extent"),
    "confidence": ("float64", "1", "the detector's own confidence"),
    "brake_light": ("float64", "1", "1 where the brake lights are seen on"),
    "visible_pixels": ("float64", "px", "pixels of all cameras that show it; nan between pictures"),
}

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def _column(owner: str, name: str, values: Array, length: int, known: Mapping[str, tuple[str, str, str]]) -> Array:
    """`values` as the vocabulary's dtype, checked for shape; read-only, because drives are shared."""
    if not _NAME.match(name):
        raise ShapeError(f"{owner}: {name!r} is no column name; use lower_snake")
    dtype = np.dtype(known[name][0]) if name in known else None
    array = np.asarray(values)
    if dtype is None:
        dtype = array.dtype if array.dtype.kind in "biuf" else np.dtype("float64")
    array = np.ascontiguousarray(array, dtype=dtype)
    if array.shape != (length,):
        raise ShapeError(f"{owner}: {name} has shape {array.shape}, expected ({length},)")
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The ego's body. The box's centre lies `centre_x` ahead of the rear axle."""

    length: float = 4.6
    width: float = 1.9
    height: float = 1.6
    wheelbase: float = 2.8
    rear_overhang: float = 0.9  # rear axle to rear bumper

    @property
    def front(self) -> float:
        """Rear axle to front bumper."""
        return self.length - self.rear_overhang

    @property
    def centre_x(self) -> float:
        return self.length / 2 - self.rear_overhang


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects over time as rows sorted by instant: those of instant `i` are rows `starts[i]:starts[i + 1]`.

    The ego is not among them. `columns` hold all of OBJECT_COLUMNS, and what is known of OPTIONAL_OBJECT_COLUMNS.
    """

    starts: Ints  # (T + 1,)
    columns: Mapping[str, Array]  # each (R,)

    def __post_init__(self) -> None:
        starts = np.ascontiguousarray(self.starts, dtype=np.int64)
        if starts.ndim != 1 or len(starts) < 1 or starts[0] != 0 or np.any(np.diff(starts) < 0):
            raise ShapeError("objects: starts must begin at 0 and never decrease")
        missing = sorted(set(OBJECT_COLUMNS) - set(self.columns))
        if missing:
            raise ShapeError(f"objects: missing {', '.join(missing)}")
        known = OBJECT_COLUMNS | OPTIONAL_OBJECT_COLUMNS
        rows = int(starts[-1])
        object.__setattr__(self, "starts", starts)
        object.__setattr__(
            self,
            "columns",
            {name: _column("objects", name, values, rows, known) for name, values in self.columns.items()},
        )
        # Both are places in tables, in compiled code too.
        if rows and (
            self.columns["track"].min() < 0
            or not 0 <= self.columns["kind"].min() <= self.columns["kind"].max() < len(Kind)
        ):
            raise ShapeError(f"objects: tracks are 0 or more, and kinds 0 to {len(Kind) - 1}")

    def __len__(self) -> int:
        """How many instants, T."""
        return len(self.starts) - 1

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise DataError(f"objects have no column {name!r}{hint(name, self.columns)}")
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @property
    def instant(self) -> Ints:
        """The instant of each row, (R,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.starts))

    def slice(self, start: int, stop: int) -> Objects:
        """The objects of instants start to stop."""
        low, high = self.starts[start], self.starts[stop]
        return Objects(
            self.starts[start : stop + 1] - low, {name: values[low:high] for name, values in self.columns.items()}
        )


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane. Lines run in the driving direction."""

    id: str
    centre: Floats  # (P, 2)
    polygon: Floats  # (P, 2) ring, not closed
    left: Floats | None = None  # (P, 2) boundary
    right: Floats | None = None
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    left_lane: str | None = None  # the neighbour in the same direction
    right_lane: str | None = None
    speed_limit: float = float("nan")
    junction: bool = False
    kind: str = "vehicle"  # vehicle, bus, bicycle


@dataclass(frozen=True, slots=True)
class Marking:
    """A painted line or kerb, for looking at and for drawing."""

    points: Floats  # (P, 2)
    style: str  # solid, dashed, kerb
    colour: str = "white"


@dataclass(frozen=True, slots=True)
class Map:
    """Lanes and areas in the map frame. Outside `extent` nothing is known (neither road nor grass)."""

    lanes: tuple[Lane, ...]
    drivable: tuple[Floats, ...] = ()  # rings (P, 2), their union is where a car may be
    crosswalks: tuple[Floats, ...] = ()  # rings
    stop_lines: tuple[Floats, ...] = ()  # (P, 2)
    markings: tuple[Marking, ...] = ()
    extent: Floats | None = None  # ring (P, 2)


@dataclass(frozen=True, slots=True)
class Lights:
    """Traffic lights over time. One row per (light, lane governed)."""

    lanes: tuple[str, ...]  # (L,) the lane that the light governs; its stop line lies at that lane's end
    heads: Floats  # (L, 3) the lamp in the map frame, z above the ground; nan where unknown
    state: Array  # (T, L) int8 Light

    def __post_init__(self) -> None:
        state = np.ascontiguousarray(self.state, dtype=np.int8)
        heads = np.asarray(self.heads, dtype=np.float64)
        if state.ndim != 2 or state.shape[1] != len(self.lanes) or heads.shape != (len(self.lanes), 3):
            raise ShapeError(f"lights: {len(self.lanes)} lanes, heads {heads.shape}, state {state.shape}")
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "heads", heads)

    def __len__(self) -> int:
        """How many instants, T."""
        return len(self.state)


class Pictures(Protocol):
    """Where a camera's pictures lie; nothing is decoded until asked for."""

    def __len__(self) -> int: ...

    def read(self, indices: Ints) -> Array:
        """Pictures as (n, H, W, 3) uint8 RGB."""
        ...

    def encoded(self, index: int) -> tuple[str, bytes]:
        """One picture as it was stored or re-encoded: ('jpeg' or 'png', bytes)."""
        ...


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a drive. Without `K` or `ego_T_cam` it can be looked at, but nothing can be projected into it."""

    name: str
    size: tuple[int, int]  # W, H
    t_ns: Ints  # (n,) stamp of each picture
    pictures: Pictures
    K: Floats | None = None  # (3, 3)
    ego_T_cam: Floats | None = None  # (4, 4)
    distortion: str = "none"  # none, brown (k1 k2 p1 p2 k3), fisheye (k1 k2 k3 k4: Kannala-Brandt as in OpenCV)
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.t_ns) != len(self.pictures):
            raise ShapeError(f"camera {self.name}: {len(self.t_ns)} stamps for {len(self.pictures)} pictures")
        if np.any(np.diff(self.t_ns) <= 0):
            raise DataError(
                f"camera {self.name}: time goes backwards at picture {int(np.argmax(np.diff(self.t_ns) <= 0)) + 1}"
            )

    @property
    def calibrated(self) -> bool:
        return self.K is not None and self.ego_T_cam is not None

    def latest(self, at_ns: Ints) -> Ints:
        """Index of the newest picture at or before each stamp, -1 where there is none yet."""
        return np.searchsorted(self.t_ns, at_ns, side="right") - 1

    def fresh(self, at_ns: Ints) -> Ints:
        """As `latest`, and -1 where that picture is old: by more than half, beyond the usual time between two."""
        index = self.latest(at_ns)
        if len(self.t_ns) < 2:
            return index
        old = at_ns - self.t_ns[index] > 1.5 * np.median(np.diff(self.t_ns))
        return np.where(old, -1, index)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated world knows and a car does not. Read only by metrics, tests and labelers that declare it."""

    objects: Objects | None = None
    lights: Lights | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """What a trigger found: a span of a drive that matters, and how much (comparable within one trigger)."""

    drive: str
    start_ns: int
    end_ns: int
    score: float
    trigger: str = ""  # filled in by the stage: a trigger does not know the name it was asked for by
    policy: str = ""  # whose plan it is about, filled in by the stage; empty where it is about no single one's


@dataclass(frozen=True, slots=True)
class Clip:
    """Events that overlap, with context on both sides, chosen within a budget."""

    id: str
    drive: str
    start_ns: int
    end_ns: int
    events: tuple[Event, ...]
    place: str
    side: str = "train"  # train, regression or gate: the last is neither learned from nor asked

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / NS


@dataclass(frozen=True, slots=True)
class Plan:
    """The paths that a policy intends, in the ego frame of the instant of planning.

    The first pose lies PLAN_STEP_S ahead. A plan that could not be made is nan throughout.
    """

    poses: Floats  # (B, M, K, 4) x, y, yaw, speed
    probability: Floats  # (B, M)
    spread: Floats | None = None  # (B,) the model's own uncertainty
    embedding: Array | None = None  # (B, 64)

    def __post_init__(self) -> None:
        poses, probability = np.asarray(self.poses), np.asarray(self.probability)
        if poses.ndim != 4 or poses.shape[2:] != (PLAN_STEPS, 4):
            raise PolicyError(f"a plan's poses have shape {poses.shape}, expected (B, M, {PLAN_STEPS}, 4)")
        if probability.shape != poses.shape[:2]:
            raise PolicyError(f"a plan has poses {poses.shape[:2]} (B, M) and probabilities {probability.shape}")
        for name, tail in (("spread", ()), ("embedding", None)):
            value = getattr(self, name)
            if value is not None and (len(value) != len(poses) or (tail == () and np.ndim(value) != 1)):
                raise PolicyError(f"a plan's {name} has shape {np.shape(value)} for {len(poses)} instants")

    @classmethod
    def single(cls, poses: Floats) -> Plan:
        """A plan of one mode from poses (B, K, 4)."""
        return cls(poses[:, None], np.ones((len(poses), 1)))

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def likeliest(self) -> Floats:
        """The poses of the most probable mode, (B, K, 4)."""
        return np.asarray(self.poses[np.arange(len(self.poses)), np.argmax(self.probability, axis=1)])


@dataclass(frozen=True, slots=True)
class Shadow:
    """A policy's plans at every instant of a drive, and how they compare with what was driven.

    `columns` are aligned with the drive: see `shadow.COLUMNS`.
    """

    policy: str
    plan: Plan  # (T, ...)
    columns: Mapping[str, Array]  # each (T,)

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise DataError(f"the shadow run of {self.policy} has no column {name!r}{hint(name, self.columns)}")
        return self.columns[name]


@dataclass(frozen=True, slots=True)
class Drive:
    """One continuous recording: aligned columns over T instants, cameras, and where known the objects and the map."""

    id: str
    t_ns: Ints  # (T,) strictly increasing
    columns: Mapping[str, Array]  # each (T,): see COLUMNS
    vehicle: Vehicle = Vehicle()
    cameras: tuple[Camera, ...] = ()
    objects: Objects | None = None  # what the car knew of others
    lights: Lights | None = None
    map: Map | None = None
    frame: str = ""  # the name of the map frame where it is global ("boston-seaport"), else empty
    route: tuple[str, ...] = ()  # lanes to follow, in order
    places: tuple[str, ...] = ()  # names that the column `place` points to
    derived: frozenset[str] = frozenset()  # columns computed from the drive's own future
    truth: Truth | None = None
    shadows: Mapping[str, Shadow] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # JSON: what the log says of itself (native rates, weather)

    def __post_init__(self) -> None:
        t_ns = np.ascontiguousarray(self.t_ns, dtype=np.int64)
        if t_ns.ndim != 1 or len(t_ns) == 0:
            raise DataError(f"drive {self.id}: no instants")
        if np.any(np.diff(t_ns) <= 0):
            raise DataError(f"drive {self.id}: time goes backwards at row {int(np.argmax(np.diff(t_ns) <= 0)) + 1}")
        owner = f"drive {self.id}"
        object.__setattr__(self, "t_ns", t_ns)
        object.__setattr__(
            self,
            "columns",
            {name: _column(owner, name, values, len(t_ns), COLUMNS) for name, values in self.columns.items()},
        )
        for name, part in (("objects", self.objects), ("lights", self.lights)):
            if part is not None and len(part) != len(t_ns):
                raise ShapeError(f"{owner}: {name} has {len(part)} instants, t_ns has {len(t_ns)}")

    def __len__(self) -> int:
        """How many instants, T."""
        return len(self.t_ns)

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise DataError(f"drive {self.id} has no column {name!r}{hint(name, self.columns)}")
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @property
    def seconds(self) -> float:
        """From the first instant to the last."""
        return float(self.t_ns[-1] - self.t_ns[0]) / NS

    @property
    def t_s(self) -> Floats:
        """Seconds since the first instant, (T,)."""
        return np.asarray((self.t_ns - self.t_ns[0]) / NS, dtype=np.float64)

    @property
    def poses(self) -> Floats:
        """map_T_ego as (T, 3): x, y, yaw."""
        return np.stack([self["x"], self["y"], self["yaw"]], axis=-1)

    @property
    def metres(self) -> float:
        """Length of the path driven; nan without poses or speed."""
        if self.has("pose"):
            steps = np.hypot(np.diff(self["x"]), np.diff(self["y"]))
            return float(np.nansum(steps))
        if "speed" in self and len(self) > 1:
            return float(np.nansum(np.abs(self["speed"][1:]) * np.diff(self.t_s)))
        return float("nan")

    def place_at(self, instant: int) -> str:
        """The name of the place of an instant; the drive's own where no place is known."""
        index = int(self["place"][instant]) if "place" in self else -1
        return self.places[index] if index >= 0 else self.id

    # What a policy or a trigger may declare that it needs, beside the names of columns.
    NEEDS: ClassVar[tuple[str, ...]] = (
        "pose", "objects", "lights", "map", "route", "pictures", "plan", "shadows", "future",
    )  # fmt: skip

    def has(self, need: str) -> bool:
        """Whether the drive offers what a policy or trigger declares: a column, or one of NEEDS."""
        if need in ("pose", "future"):
            return {"x", "y", "yaw"} <= self.columns.keys()
        if need == "route":
            return self.map is not None and bool(self.route)
        if need == "pictures":
            return bool(self.cameras)
        if need in ("plan", "shadows"):
            return bool(self.shadows)
        if need in ("objects", "lights", "map"):
            return getattr(self, need) is not None
        return need in self.columns

    def lacks(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `needs` that the drive does not offer."""
        return tuple(need for need in needs if not self.has(need))

    def slice(self, start: int, stop: int) -> Drive:
        """The same drive, only its instants start to stop (cameras keep all their pictures)."""
        cut = slice(start, stop)
        return replace(
            self,
            t_ns=self.t_ns[cut],
            columns={name: values[cut] for name, values in self.columns.items()},
            objects=self.objects and self.objects.slice(start, stop),
            lights=self.lights and replace(self.lights, state=self.lights.state[cut]),
            truth=self.truth
            and replace(
                self.truth,
                objects=self.truth.objects and self.truth.objects.slice(start, stop),
                lights=self.truth.lights and replace(self.truth.lights, state=self.truth.lights.state[cut]),
            ),
            shadows={
                name: Shadow(
                    run.policy,
                    Plan(
                        run.plan.poses[cut],
                        run.plan.probability[cut],
                        None if run.plan.spread is None else run.plan.spread[cut],
                        None if run.plan.embedding is None else run.plan.embedding[cut],
                    ),
                    {column: values[cut] for column, values in run.columns.items()},
                )
                for name, run in self.shadows.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Rig:
    """The calibrated cameras that an observation's pictures come from."""

    names: tuple[str, ...]
    size: Ints  # (C, 2) W, H
    K: Floats  # (C, 3, 3)
    ego_T_cam: Floats  # (C, 4, 4)
    distortion: tuple[str, ...]
    coefficients: tuple[tuple[float, ...], ...]

    def only(self, chosen: Iterable[int]) -> Rig:
        """The rig with only some of its cameras, by their numbers."""
        at = list(chosen)
        return Rig(
            names=tuple(self.names[c] for c in at),
            size=self.size[at],
            K=self.K[at],
            ego_T_cam=self.ego_T_cam[at],
            distortion=tuple(self.distortion[c] for c in at),
            coefficients=tuple(self.coefficients[c] for c in at),
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a policy may know at B instants. Everything is in the ego frame of the instant; the newest is last.

    Optional parts are there when the policy declares that it needs them.
    """

    age_s: Floats  # (F,) how old each frame of history is, decreasing to 0
    past_poses: Floats  # (B, F, 3) x, y, yaw of the ego at each frame; nan before the drive began
    speed: Floats  # (B, F)
    yaw_rate: Floats  # (B, F)
    accel: Floats  # (B, F)
    command: Array  # (B,) Command
    speed_limit: Floats  # (B,) nan where unknown
    vehicle: Vehicle = Vehicle()
    pictures: tuple[Array, ...] = ()  # one (B, F, H, W, 3) uint8 per camera of the rig
    picture_valid: Array | None = None  # (B, F, C)
    rig: Rig | None = None
    route: Floats | None = (
        None  # (B, G, 2) the centre of the lanes to follow, every ROUTE_STEP metres from the ego on; nan beyond the end
    )
    light: Array | None = None  # (B,) Light: the next light on the route
    light_distance: Floats | None = None  # (B,) along the route to its stop line; nan without one
    objects: Mapping[str, Array] | None = (
        None  # OBJECT_COLUMNS, each (B, N), padded; `valid` (B, N) says which are there
    )
    future: Floats | None = None  # (B, K, 4) what was driven next: for oracles that declare it

    ROUTE_STEP: ClassVar[float] = 2.0

    def __len__(self) -> int:
        return len(self.speed)


class Reader(Protocol):
    """Finds the drives of a log format under a folder, and reads one."""

    def scan(self, root: Path) -> Iterator[str]:
        """Keys of the drives under `root`, sorted."""
        ...

    def fingerprint(self, root: Path, key: str) -> str:
        """A hash of what the drive's log holds, whatever it is called and wherever it lies."""
        ...

    def read(self, root: Path, key: str) -> Drive:
        """The drive; pictures are left in the log until they are asked for."""
        ...


class Policy(Protocol):
    """What can drive. It keeps nothing between calls: all that it needs is in the observation."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns, or words of Drive.NEEDS."""
        ...

    @property
    def history_s(self) -> tuple[float, ...]:
        """Ages of the frames it wants, decreasing to 0."""
        ...

    def plan(self, seen: Observation) -> Plan: ...


class Trigger(Protocol):
    """Says which moments of a drive matter, and how much.

    One that needs `plan` is asked about one shadow run after the other, each time in a drive that has no other; one
    that needs `shadows` sees them all at once.
    """

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns, or words of Drive.NEEDS."""
        ...

    def find(self, drive: Drive) -> Iterator[Event]: ...
