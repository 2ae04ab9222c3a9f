"""How many instants a second the city's cameras draw, against a software OpenGL engine in the same run.

python benchmarks/render.py
python benchmarks/render.py --width 400 --weather clear,rain_night --picture docs/images/cameras.webp
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from understudy.geometry import rigid
from understudy.records import Array, Floats, Lane, Light, Map, Marking, Rig
from understudy.worlds.furnish import furnish
from understudy.worlds.render import Renderer
from understudy.worlds.render.look import materials
from understudy.worlds.render.pyramid import pyramid
from understudy.worlds.render.shapes import LEVELS, TEMPLATES
from understudy.worlds.rig import default_rig
from understudy.worlds.scene import BRAKE, FLASH, LEFT, Ground, Scene, Shape, rasterise, solids, weather

REACH = 150.0  # m from the crossing's middle to the end of its roads
HALF = 7.0  # half a road of two lanes each way
PAINTS = np.array(
    [
        (0.75, 0.76, 0.78),
        (0.10, 0.11, 0.13),
        (0.62, 0.06, 0.07),
        (0.12, 0.24, 0.50),
        (0.85, 0.85, 0.84),
        (0.35, 0.37, 0.40),
    ]
)


def crossing() -> Map:
    """Two roads of four lanes that cross at the origin, with crosswalks and stop lines."""
    rings, lanes, markings, walks, stops = [], [], [], [], []
    for turn in (0.0, np.pi / 2):
        rings.append(_turned(_box(-REACH, REACH, -HALF, HALF), turn))
        for way in (turn, turn + np.pi):
            for y, style in ((0.15, "solid"), (3.5, "dashed"), (-3.5, "dashed"), (6.85, "solid"), (-6.85, "solid")):
                markings.append(Marking(_turned(np.array([[17.0, y], [REACH, y]]), way), style))
            walks.append(_turned(_box(10.0, 14.0, -HALF, HALF), way))
            stops.append(_turned(np.array([[16.0, 0.3], [16.0, HALF - 0.2]]), way))
            for y in (1.75, 5.25):
                centre = _turned(np.array([[REACH, y], [16.0, y]]), way)
                lanes.append(Lane(f"{way:.1f}/{y}", centre, _turned(_box(16.0, REACH, y - 1.75, y + 1.75), way)))
    cut = np.array([[HALF, HALF], [HALF + 4, HALF], [HALF, HALF + 4]])
    rings.extend(_turned(cut, quarter * np.pi / 2) for quarter in range(4))
    return Map(tuple(lanes), tuple(rings), tuple(walks), tuple(stops), tuple(markings))


def _box(x0: float, x1: float, y0: float, y1: float) -> Floats:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _turned(points: Floats, by: float) -> Floats:
    return np.asarray(points, float) @ np.array([[np.cos(by), np.sin(by)], [-np.sin(by), np.cos(by)]])


@dataclass(frozen=True)
class Stage:
    """A crossing with everything on it, and where the ego stands."""

    fixed: Array
    moving: Array
    pose: Floats


def stage(ground: Ground, seed: int = 3) -> Stage:
    """Some 40 road users around an ego that comes from the west."""
    rng = np.random.default_rng(seed)
    pose = np.array([-30.0, -1.75, 0.0])
    signals, posts = _signals()
    parked = solids(5, Shape.CAR, x=[20.0, 26.5, 33.0, 46.0, 52.0], y=8.3, yaw=np.pi, colour=PAINTS[[0, 5, 2, 3, 4]])
    signs = solids(3, Shape.SIGN, x=[-40.0, -24.0, 30.0], y=[-7.9, -7.9, 7.8], yaw=[np.pi, np.pi, 0.0])
    return Stage(
        np.concatenate([furnish(ground, seed), posts, parked, signs]),
        np.concatenate([_vehicles(rng, pose), _people(), _road_works(), signals]),
        pose,
    )


def _vehicles(rng: np.random.Generator, pose: Floats) -> Array:
    """Traffic on the four roads, none where the ego is, and an ambulance across the middle."""
    rows = []
    for way in np.arange(4) * np.pi / 2:
        for x, y in ((24.0, 1.75), (31.0, 5.25), (38.0, 1.75), (52.0, 5.25), (70.0, 1.75)):  # towards the middle
            rows.append((*_turned((x + rng.uniform(-2, 2), y), way), way + np.pi))
        for x, y in ((22.0, -1.75), (45.0, -5.25), (60.0, -1.75)):  # away from it
            rows.append((*_turned((x + rng.uniform(-4, 4), y), way), way))
    x, y, yaw = np.array([row for row in rows if np.hypot(row[0] - pose[0] - 1.4, row[1] - pose[1]) > 6.0]).T
    usual = [Shape.CAR, Shape.CAR, Shape.CAR, Shape.VAN, Shape.TRUCK, Shape.BUS, Shape.MOTORCYCLE]
    paint = PAINTS[rng.integers(len(PAINTS), size=len(x))]
    traffic = solids(len(x), rng.choice(usual, len(x)), x=x, y=y, yaw=yaw, colour=paint)
    traffic["state"] = np.where(rng.random(len(x)) < 0.4, BRAKE, 0) | np.where(rng.random(len(x)) < 0.15, LEFT, 0)
    ambulance = solids(1, Shape.EMERGENCY, x=-4.0, y=4.0, yaw=2.6, colour=(0.95, 0.95, 0.93), state=FLASH)
    return np.concatenate([traffic, ambulance])


def _people() -> Array:
    walkers = solids(5, Shape.PEDESTRIAN, colour=PAINTS[[2, 3, 4, 0, 5]])
    walkers["x"], walkers["y"] = [-12.2, -11.5, -12.6, 11.5, -17.5], [-5.0, 1.2, 8.5, -2.0, -8.6]
    walkers["yaw"] = [1.57, -1.57, 1.57, 1.57, 0.2]
    walkers["height"][2], walkers["width"][2] = 1.2, 0.4
    riders = solids(2, Shape.BICYCLE, x=[-19.0, 3.0], y=[-6.1, -6.0], yaw=[0.0, 0.1], colour=PAINTS[[2, 3]])
    return np.concatenate([walkers, riders])


def _road_works() -> Array:
    cones = solids(4, Shape.CONE, x=[-20.0, -18.0, -16.0, -14.5], y=[6.3, 5.6, 5.0, 4.6])
    return np.concatenate([cones, solids(1, Shape.BARRIER, x=-13.6, y=5.6, yaw=np.pi)])


def _signals() -> tuple[Array, Array]:
    """Traffic lights before and behind the crossing and above the road, and what carries them."""
    heads, posts = [], []
    for quarter in range(4):
        way, state = quarter * np.pi / 2, Light.GREEN if quarter % 2 else Light.RED
        for x, y, z in ((15.0, HALF + 0.8, 2.6), (-9.0, HALF + 0.8, 2.6), (-9.0, 3.5, 5.2)):
            heads.append((*_turned((x, y), way), z, way, state))
        for x, y, z, width, height in (
            (15.0, HALF + 0.8, 0, 0.15, 3.6),
            (-9.15, HALF + 0.8, 0, 0.15, 5.9),
            (-9.15, 5.7, 5.7, 4.4, 0.12),
        ):
            posts.append((*_turned((x, y), way), z, way, width, height))
    x, y, z, yaw, state = np.array(heads).T
    signals = solids(len(heads), Shape.SIGNAL, x=x, y=y, z=z, yaw=yaw, state=state)
    x, y, z, yaw, width, height = np.array(posts).T
    return signals, solids(len(posts), Shape.POLE, x=x, y=y, z=z, yaw=yaw, width=width, height=height)


def montage(seen: tuple[Array, ...]) -> Array:
    """Six cameras of the default rig as two rows, in the order in which one looks around."""
    front, left, right, rear_left, rear_right, narrow = seen
    rows = (left, front, right), (rear_left, narrow, rear_right)
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


class OpenGL:
    """The same ground, and the solids' simpler templates, through moderngl: four samples a pixel, plain shading.

    It draws no windows, sky, shadows or weather.
    """

    VERTEX = """
        #version 330
        uniform mat4 view;
        in vec3 corner; in vec3 normal; in vec3 albedo;
        in vec4 place; in vec3 size; in vec3 paint;
        out vec3 colour; out vec2 spot;
        void main() {
            float c = cos(place.w), s = sin(place.w);
            mat3 turn = mat3(c, s, 0, -s, c, 0, 0, 0, 1);
            vec3 at = turn * (corner * size) + place.xyz;
            vec3 n = normalize(turn * (normal / size));
            colour = albedo * paint * (0.35 + 0.15 * n.z + 0.8 * max(dot(n, vec3(0.41, -0.52, 0.75)), 0.0));
            spot = at.xy;
            gl_Position = view * vec4(at, 1);
        }"""
    FRAGMENT = """
        #version 330
        uniform sampler2D ground; uniform vec4 extent; uniform bool textured;
        in vec3 colour; in vec2 spot; out vec4 light;
        void main() {
            light = vec4(textured ? texture(ground, (spot - extent.xy) / extent.zw).rgb : sqrt(colour), 1);
        }"""

    def __init__(self, width: int, height: int, ground: Ground, fixed: Array, moving: Array) -> None:
        os.environ["LP_NUM_THREADS"] = "0"  # one core, as ours
        import moderngl

        self.gl = gl = moderngl.create_context(standalone=True, backend="egl")
        self.name = gl.info["GL_RENDERER"]
        gl.enable(gl.DEPTH_TEST | gl.CULL_FACE)
        self.program = gl.program(self.VERTEX, self.FRAGMENT)
        self.sampled = gl.framebuffer(
            gl.renderbuffer((width, height), samples=4), gl.depth_renderbuffer((width, height), samples=4)
        )
        self.plain = gl.framebuffer(gl.renderbuffer((width, height)))
        pyramid_ = pyramid(ground)
        rows, columns = pyramid_.shape[0]
        pixels = pyramid_.colour[: rows * columns].view(np.uint8).reshape(rows, columns, 4)
        self.texture = gl.texture((columns, rows), 4, pixels.tobytes())
        self.texture.build_mipmaps()  # without anisotropy, which costs llvmpipe seconds
        self.texture.use()
        self.program["extent"] = (*ground.origin, columns * pyramid_.cell, rows * pyramid_.cell)
        flat = solids(1, Shape.BOX, x=0.0, y=0.0, z=-1.0, length=1200.0, width=1200.0, height=1.0)
        self.ground = self._batches(flat)
        self.fixed, self.moving = self._batches(fixed), self._batches(moving)

    def _batches(self, rows: Array) -> list[tuple[object, object, Array]]:
        """A vertex array for every shape among the solids, with one instance a solid."""
        batches = []
        material = materials()
        for shape in np.unique(rows["shape"]):
            quads = slice(TEMPLATES.start[LEVELS * shape + 1], TEMPLATES.start[LEVELS * shape + 2])
            corners = TEMPLATES.quad[quads][:, [0, 1, 2, 0, 2, 3]]
            normal = np.broadcast_to(TEMPLATES.plane[quads, None, :3], corners.shape)
            albedo = np.broadcast_to(material["albedo"][TEMPLATES.material[quads], None], corners.shape)
            mesh = self.gl.buffer(np.concatenate([corners, normal, albedo], -1).astype("f4").tobytes())
            which = np.flatnonzero(rows["shape"] == shape)
            instances = self.gl.buffer(self._instances(rows[which]))
            layout = [
                (mesh, "3f 3f 3f", "corner", "normal", "albedo"),
                (instances, "4f 3f 3f/i", "place", "size", "paint"),
            ]
            batches.append((self.gl.vertex_array(self.program, layout), instances, which))
        return batches

    @staticmethod
    def _instances(rows: Array) -> bytes:
        names = ("x", "y", "z", "yaw", "length", "width", "height", "red", "green", "blue")
        return np.stack([rows[name] for name in names], -1).astype("f4").tobytes()

    def render(self, views: list[Floats], moving: Array) -> list[bytes]:
        """One picture per view (4, 4), clip from map."""
        for _, instances, which in self.moving:
            instances.write(self._instances(moving[which]))
        seen = []
        for view in views:
            self.sampled.use()
            self.gl.clear(0.6, 0.7, 0.85)
            self.program["view"].write(np.ascontiguousarray(view.T, "f4"))
            for batches in (self.ground, self.fixed, self.moving):
                self.program["textured"] = batches is self.ground
                for vertices, _, which in batches:
                    vertices.render(instances=len(which))
            self.gl.copy_framebuffer(self.plain, self.sampled)
            seen.append(self.plain.read(components=3))
        return seen


def clip_from_map(rig: Rig, pose: Floats, near: float = 0.1, far: float = 600.0) -> list[Floats]:
    """OpenGL's projection for each camera of an undistorted rig."""
    map_R_ego = np.array([[np.cos(pose[2]), -np.sin(pose[2]), 0], [np.sin(pose[2]), np.cos(pose[2]), 0], [0, 0, 1]])
    ego_T_map = np.linalg.inv(rigid(map_R_ego, np.array([pose[0], pose[1], 0.0])))
    views = []
    for (width, height), K, ego_T_cam in zip(rig.size, rig.K, rig.ego_T_cam, strict=True):
        clip = np.zeros((4, 4))
        clip[0, 0], clip[0, 2] = 2 * K[0, 0] / width, (2 * K[0, 2] + 1) / width - 1
        clip[1, 1], clip[1, 2] = (
            2 * K[1, 1] / height,
            (2 * K[1, 2] + 1) / height - 1,
        )  # rows run downwards: read as such
        clip[2, 2], clip[2, 3], clip[3, 2] = (far + near) / (far - near), -2 * far * near / (far - near), 1.0
        views.append(clip @ np.linalg.inv(ego_T_cam) @ ego_T_map)
    return views


def pace(*draws: Callable[[int], object], seconds: float = 3.0) -> list[Floats]:
    """Seconds that each call took, of several ways in turns: machines are shared, and a bad moment hits all of them."""
    for draw in draws:
        draw(0)
    taken: list[list[float]] = [[] for _ in draws]
    end, i = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        i += 1
        for draw, times in zip(draws, taken, strict=True):
            start = time.perf_counter()
            draw(i)
            times.append(time.perf_counter() - start)
    return [np.array(times) for times in taken]


def tell(what: str, taken: Floats) -> None:
    median = float(np.median(taken))
    print(f"{what:36s} {1e3 * median:6.2f} ms ({1e3 * taken.min():.2f} at best), {1 / median:5.0f} instants a second")


def compare(width: int) -> None:
    """Six cameras of our own in several weathers, and OpenGL's."""
    rig, ground = default_rig(width, width // 2), rasterise(crossing())
    scene = stage(ground)
    poses = scene.pose + 0.05 * np.arange(200)[:, None] * [1.0, 0.0, 0.0]
    print(
        f"six cameras of {width} x {width // 2}, {len(scene.moving)} things that move, {len(scene.fixed)} that do not"
    )
    start = time.perf_counter()
    Renderer(rig, Scene(ground, scene.fixed)).render(scene.pose, scene.moving)
    print(f"tables and the first instant {time.perf_counter() - start:.1f} s (the first time ever it compiles)")

    def ours(name: str) -> Callable[[int], object]:
        renderer = Renderer(rig, Scene(ground, scene.fixed, weather(name)))
        return lambda i: renderer.render(poses[i % 200], scene.moving, i)

    names = ("clear", "night", "rain", "dirty_lens")
    for name, taken in zip(names, pace(*map(ours, names)), strict=True):
        tell(f"ours, {name}", taken)
    try:
        engine = OpenGL(width, width // 2, ground, scene.fixed, scene.moving)
    except Exception as error:  # whatever the driver says
        print(f"OpenGL is not available here: {error}")
        return
    here, there = pace(ours("clear"), lambda i: engine.render(clip_from_map(rig, poses[i % 200]), scene.moving))
    tell("ours, clear, in turns with", here)
    tell(f"moderngl on {engine.name}", there)
    print(f"ratio {np.median(there) / np.median(here):.1f}")


def picture(path: str, width: int, names: list[str]) -> None:
    """Montages of several weathers, one below the other, without noise to stay small."""
    rig, ground = default_rig(width, width // 2), rasterise(crossing(), cell=0.05)
    scene = stage(ground)
    rows = []
    for name in names:
        seen = Renderer(rig, Scene(ground, scene.fixed, replace(weather(name), noise=0.0))).render(
            scene.pose, scene.moving
        )
        rows.append(montage(seen.pictures))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True, quality=88)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128, help="of a picture; it is half as high")
    parser.add_argument("--picture", help="draw a montage to this file instead")
    parser.add_argument("--weather", default="clear", help="of the montage; several with commas")
    options = parser.parse_args()
    if options.picture:
        picture(options.picture, options.width, options.weather.split(","))
    else:
        compare(options.width)
