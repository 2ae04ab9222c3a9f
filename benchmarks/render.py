"""How many instants a second the city's cameras draw, against a software OpenGL engine in the same run.

    python benchmarks/render.py
    python benchmarks/render.py --picture docs/images/cameras.png
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from understudy.records import Array, Floats, Lane, Light, Map, Marking
from understudy.worlds.furnish import furnish
from understudy.worlds.render import Renderer
from understudy.worlds.rig import default_rig
from understudy.worlds.scene import BRAKE, FLASH, LEFT, WEATHERS, Scene, Shape, rasterise, solids, weather

REACH = 150.0  # m from the crossing's middle to the end of its roads
HALF = 7.0  # half a road of two lanes each way
PAINTS = np.array([(0.75, 0.76, 0.78), (0.10, 0.11, 0.13), (0.62, 0.06, 0.07), (0.12, 0.24, 0.50), (0.85, 0.85, 0.84), (0.35, 0.37, 0.40), (0.55, 0.50, 0.40), (0.07, 0.25, 0.18)])  # fmt: skip


def crossing() -> Map:
    """Two roads of four lanes that cross at the origin, with crosswalks and stop lines; the east-west one has a cycleway."""
    rings, lanes, markings, walks, stops = [], [], [], [], []
    for turn in (0.0, np.pi / 2):
        rings.append(_turned(_box(-REACH, REACH, -HALF, HALF), turn))
        for side in (0.0, np.pi):
            way = turn + side
            markings.append(Marking(_turned(np.array([[17.0, 0.12], [REACH, 0.12]]), way), "solid", "white"))
            markings.append(Marking(_turned(np.array([[17.0, -0.12], [REACH, -0.12]]), way), "solid", "white"))
            for y in (-3.5, 3.5):
                markings.append(Marking(_turned(np.array([[17.0, y], [REACH, y]]), way), "dashed", "white"))
            for y in (-6.85, 6.85):
                markings.append(Marking(_turned(np.array([[17.0, y], [REACH, y]]), way), "solid", "white"))
            walks.append(_turned(_box(10.0, 14.0, -HALF, HALF), way))
            stops.append(_turned(np.array([[16.0, 0.3], [16.0, HALF - 0.2]]), way))
            for y in (1.75, 5.25):
                centre = _turned(np.array([[REACH, y], [16.0, y]]), way)
                lanes.append(Lane(f"in-{way:.1f}-{y}", centre, _turned(_box(16.0, REACH, y - 1.75, y + 1.75), way)))
    rings.extend(_turned(np.array([[HALF, HALF], [HALF + 4, HALF], [HALF, HALF + 4]]), k * np.pi / 2) for k in range(4))
    return Map(tuple(lanes), tuple(rings), tuple(walks), tuple(stops), tuple(markings))


def _box(x0: float, x1: float, y0: float, y1: float) -> Floats:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _turned(points: Floats, by: float) -> Floats:
    return points @ np.array([[np.cos(by), np.sin(by)], [-np.sin(by), np.cos(by)]])


@dataclass(frozen=True)
class Stage:
    """A crossing with everything on it, and where the ego stands."""

    fixed: Array
    moving: Array
    pose: Floats


def stage(ground: object, seed: int = 3) -> Stage:
    """Some 40 road users around an ego that comes from the west."""
    rng = np.random.default_rng(seed)
    poses = []
    for way in range(4):
        for x, y in ((24.0, 1.75), (31.0, 5.25), (38.0, 1.75), (52.0, 5.25), (70.0, 1.75)):  # towards the middle
            poses.append((*_turned(np.array([[x + rng.uniform(-2, 2), y]]), way * np.pi / 2)[0], way * np.pi / 2 + np.pi))
        for x, y in ((22.0, -1.75), (45.0, -5.25), (60.0, -1.75)):  # away from it
            poses.append((*_turned(np.array([[x + rng.uniform(-4, 4), y]]), way * np.pi / 2)[0], way * np.pi / 2))
    at = np.array(poses)
    pose = np.array([-30.0, -1.75, 0.0])
    at = at[np.hypot(*(at[:, :2] - pose[:2] - [1.4, 0]).T) > 6.0]
    n = len(at)
    shapes = rng.choice([Shape.CAR, Shape.CAR, Shape.CAR, Shape.VAN, Shape.TRUCK, Shape.BUS, Shape.MOTORCYCLE], n)
    vehicles = solids(n, shapes, id=np.arange(n), x=at[:, 0], y=at[:, 1], yaw=at[:, 2], colour=PAINTS[rng.integers(len(PAINTS), size=n)])  # fmt: skip
    vehicles["state"] = np.where(rng.random(n) < 0.4, BRAKE, 0) | np.where(rng.random(n) < 0.15, LEFT, 0)
    ambulance = solids(1, Shape.EMERGENCY, x=-4.0, y=4.0, yaw=2.6, colour=(0.95, 0.95, 0.93), state=FLASH, id=900)
    walkers = solids(5, Shape.PEDESTRIAN, id=100 + np.arange(5), x=[-12.2, -11.5, -12.6, 11.5, -17.5], y=[-5.0, 1.2, 8.5, -2.0, -8.6], yaw=[1.57, -1.57, 1.57, 1.57, 0.2], colour=PAINTS[[2, 3, 4, 7, 6]])  # fmt: skip
    walkers["height"][2], walkers["width"][2] = 1.2, 0.4
    riders = solids(2, Shape.BICYCLE, id=200 + np.arange(2), x=[-19.0, 3.0], y=[-6.1, -6.0], yaw=[0.0, 0.1], colour=PAINTS[[2, 3]])
    cones = solids(4, Shape.CONE, id=300 + np.arange(4), x=[-20.0, -18.0, -16.0, -14.5], y=[6.3, 5.6, 5.0, 4.6])
    barrier = solids(1, Shape.BARRIER, id=310, x=-13.6, y=5.6, yaw=np.pi)
    heads, poles = [], []
    for way in range(4):
        state = Light.GREEN if way % 2 else Light.RED
        for x, y, z in ((15.0, HALF + 0.8, 2.6), (-9.0, HALF + 0.8, 2.6), (-9.0, 3.5, 5.2)):
            spot = _turned(np.array([[x, y]]), way * np.pi / 2)[0]
            heads.append((*spot, z, way * np.pi / 2, state))
            if z < 3:
                poles.append((*spot, 0.15, 0.15, 5.9 if x < 0 else 3.6, way * np.pi / 2))
            else:  # the arm that carries it over the road
                poles.append((*_turned(np.array([[-9.15, HALF / 2 + 2.2]]), way * np.pi / 2)[0], 0.12, 4.4, 0.12, way * np.pi / 2))
    x, y, z, yaw, states = np.array(heads).T
    signals = solids(len(heads), Shape.SIGNAL, id=500 + np.arange(len(heads)), x=x, y=y, z=z, yaw=yaw, state=states)
    px, py, pl, pw, ph, pyaw = np.array(poles).T
    posts = solids(len(poles), Shape.POLE, x=px, y=py, length=pl, width=pw, height=ph, yaw=pyaw, z=np.where(ph < 1, 5.7, 0.0))
    parked = solids(5, Shape.CAR, x=[20.0, 26.5, 33.0, 46.0, 52.0], y=8.3, yaw=np.pi, colour=PAINTS[[0, 5, 2, 3, 6]])
    signs = solids(3, Shape.SIGN, x=[-40.0, -24.0, 30.0], y=[-7.9, -7.9, 7.8], yaw=[np.pi, np.pi, 0.0])
    fixed = np.concatenate([furnish(ground, seed), posts, parked, signs])  # type: ignore[arg-type]
    return Stage(fixed, np.concatenate([vehicles, ambulance, walkers, riders, cones, barrier, signals]), pose)


def montage(seen: tuple[Array, ...]) -> Array:
    """Six cameras as two rows, in the order in which one looks around."""
    left, front, right, rear_left, rear_right, narrow = (seen[i] for i in (1, 0, 2, 3, 4, 5))
    return np.concatenate([np.concatenate([left, front, right], axis=1), np.concatenate([rear_left, narrow, rear_right], axis=1)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture")
    parser.add_argument("--weather", default="clear")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--cell", type=float, default=0.15)
    options = parser.parse_args()
    t = time.perf_counter()
    ground = rasterise(crossing(), options.cell)
    print(f"ground {ground.surface.shape} {time.perf_counter() - t:.2f} s")
    t = time.perf_counter()
    scene = stage(ground)
    print(f"stage {len(scene.fixed)} fixed, {len(scene.moving)} moving, {time.perf_counter() - t:.2f} s")
    for name in options.weather.split(",") if options.weather != "all" else WEATHERS:
        t = time.perf_counter()
        renderer = Renderer(default_rig(options.width, options.width // 2), Scene(ground, scene.fixed, weather(name)))
        print(f"{name}: renderer {time.perf_counter() - t:.2f} s")
        t = time.perf_counter()
        seen = renderer.render(scene.pose, scene.moving)
        print(f"  first {time.perf_counter() - t:.2f} s")
        times = []
        for i in range(60):
            t = time.perf_counter()
            renderer.render(scene.pose + [0.02 * i, 0, 0], scene.moving, i)
            times.append(time.perf_counter() - t)
        print(f"  {np.median(times) * 1e3:.2f} ms median, {min(times) * 1e3:.2f} best")
        if options.picture:
            Image.fromarray(montage(seen.pictures)).save(options.picture.replace("%", name))
