"""The city's cameras against the calibration: what lies where must be seen where geometry says, through any lens."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import DataError, ShapeError, UnknownName
from understudy.geometry import compose, move, project, rays, seen_from
from understudy.records import Array, Floats, Lane, Light, Map, Marking, Rig
from understudy.worlds.furnish import furnish
from understudy.worlds.ground import DASH, GAP, PAVEMENT_WIDTH
from understudy.worlds.render import Renderer
from understudy.worlds.render.shapes import TEMPLATES
from understudy.worlds.rig import default_rig, knocked
from understudy.worlds.scene import (
    BRAKE,
    SIZE,
    WEATHERS,
    Ground,
    Scene,
    Shape,
    Surface,
    Weather,
    rasterise,
    solids,
    weather,
)

CALM = Weather(sun=(0.0, 0.0, 0.0), ambient=(0.7, 0.7, 0.7), clouds=0.0, visibility=1e6, noise=0.0)
NOBODY = solids(0)
CUBE = 0.6  # m
HERE = np.array([112.0, -57.0, 0.7])  # where the ego stands unless said otherwise


def box(x0: float, x1: float, y0: float, y1: float) -> Floats:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


@cache
def meadow() -> Ground:
    """Grass all around the ego."""
    return Ground((HERE[0] - 40, HERE[1] - 40), 0.1, np.zeros((800, 800), np.uint8))


def lensed(distortion: str, coefficients: tuple[float, ...]) -> Rig:
    rig = default_rig()
    cameras = len(rig.names)
    return replace(rig, distortion=(distortion,) * cameras, coefficients=(coefficients,) * cameras)


RIGS = {
    "pinhole": default_rig(),
    "brown": lensed("brown", (-0.10, 0.012, 0.002, -0.001, 0.0)),
    "fisheye": lensed("fisheye", (0.02, -0.003, 0.001, 0.0)),
    "uneven": replace(default_rig(160, 90), K=default_rig(160, 90).K * [[[1.0], [1.15], [1.0]]]),
}


@pytest.fixture(scope="module", params=RIGS)
def sight(request: pytest.FixtureRequest) -> tuple[Rig, Renderer]:
    """A rig on a meadow."""
    rig = RIGS[request.param]
    return rig, Renderer(rig, Scene(meadow(), NOBODY, CALM))


def pixels(rig: Rig, camera: int, points: Floats, pose: Floats = HERE) -> Floats:
    """Pixels (n, 2) that the calibration predicts for points (n, 3) of the map frame."""
    ego = np.concatenate([seen_from(pose, np.c_[points[:, :2], np.zeros(len(points))])[:, :2], points[:, 2:]], axis=1)
    cam_T_ego = np.linalg.inv(rig.ego_T_cam[camera])
    in_camera = ego @ cam_T_ego[:3, :3].T + cam_T_ego[:3, 3]
    return project(in_camera, rig.K[camera], rig.distortion[camera], rig.coefficients[camera])


def corners(solid: Array) -> Floats:
    """The eight corners (8, 3) of a solid's box in the map frame."""
    unit = np.array([[x, y] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    at = move(np.array([solid["x"], solid["y"], solid["yaw"]]), unit * [solid["length"], solid["width"]])
    return np.concatenate([np.c_[at, np.full(4, z)] for z in (solid["z"], solid["z"] + solid["height"])])


def ahead_of(rig: Rig, camera: int, distance: float, u: float, v: float) -> Floats:
    """The point (3,) of the map frame at a distance along the ray of a pixel, given as a share of the picture."""
    width, height = rig.size[camera]
    ray = rays(
        np.array([u * (width - 1), v * (height - 1)]), rig.K[camera], rig.distortion[camera], rig.coefficients[camera]
    )
    ego = rig.ego_T_cam[camera] @ np.append(ray / np.linalg.norm(ray) * distance, 1.0)
    return np.append(move(HERE, ego[:2]), ego[2])


def extent(mask: Array) -> Floats:
    """Left, top, right, bottom of the pixels that are set."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)


def changed(renderer: Renderer, moving: Array, camera: int, pose: Floats = HERE) -> Array:
    """Pixels (H, W) of a camera that the solids change at all."""
    with_them, without = (renderer.render(pose, them).pictures[camera].astype(int) for them in (moving, NOBODY))
    return np.abs(with_them - without).max(axis=2) > 2


@given(u=st.floats(0.1, 0.9), v=st.floats(0.1, 0.8), distance=st.floats(4, 25), yaw=st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_a_cube_is_seen_at_the_pixel_that_the_calibration_predicts(
    sight: tuple[Rig, Renderer], u: float, v: float, distance: float, yaw: float
) -> None:
    rig, renderer = sight
    for camera in range(len(rig.names)):
        x, y, z = ahead_of(rig, camera, distance, u, v)
        cube = solids(
            1, x=x, y=y, z=max(z - CUBE / 2, 0.6), yaw=yaw, length=CUBE, width=CUBE, height=CUBE, colour=(0.9, 0.1, 0.1)
        )
        predicted = pixels(rig, camera, corners(cube[0]))
        width, height = rig.size[camera]
        if not np.isfinite(predicted).all() or (predicted < 1).any() or (predicted > [width - 2, height - 2]).any():
            continue
        expected = np.concatenate([predicted.min(axis=0), predicted.max(axis=0)])
        np.testing.assert_allclose(extent(changed(renderer, cube, camera)), expected, atol=1.0)


def test_depth_is_that_of_the_face_that_is_seen(sight: tuple[Rig, Renderer]) -> None:
    rig, renderer = sight
    for camera in range(len(rig.names)):
        ego_T_cam = rig.ego_T_cam[camera]
        facing = np.arctan2(ego_T_cam[1, 2], ego_T_cam[0, 2])
        middle = compose(HERE, np.array([*ego_T_cam[:2, 3] + 10 * np.array([np.cos(facing), np.sin(facing)]), facing]))
        wall = solids(1, x=middle[0], y=middle[1], yaw=middle[2], length=2.0, width=4.0, height=3.0)
        depth, owner = renderer.measure(HERE, wall, camera)
        row, column = np.argwhere(owner == 0).mean(axis=0).round().astype(int)
        ray = rays(
            np.array([column - 0.25, row - 0.25]), rig.K[camera], rig.distortion[camera], rig.coefficients[camera]
        )
        ray = ego_T_cam[:3, :3] @ ray
        assert depth[row, column] == pytest.approx(9.0 / (ray[0] * np.cos(facing) + ray[1] * np.sin(facing)), rel=1e-3)


@pytest.fixture(scope="module")
def sharp() -> tuple[Rig, Renderer]:
    """Larger pictures of the meadow."""
    rig = default_rig(512, 256)
    return rig, Renderer(rig, Scene(meadow(), NOBODY, CALM))


@pytest.mark.parametrize("shape", list(Shape))
def test_every_shape_fills_its_box_at_any_distance(sharp: tuple[Rig, Renderer], shape: Shape) -> None:
    rig, renderer = sharp
    for distance in (9.0, 30.0, 60.0):  # so far that each of its templates is drawn
        at = compose(HERE, np.array([distance + SIZE[shape][0] / 2, 0.5, 0.0]))
        one = solids(1, shape, x=at[0], y=at[1], yaw=HERE[2] + np.pi, colour=(0.9, 0.9, 0.2))
        assert renderer.render(HERE, one).visible[0, 0] > 1
        predicted = pixels(rig, 0, corners(one[0]))
        low, high = np.maximum(predicted.min(axis=0), 0), np.minimum(predicted.max(axis=0), rig.size[0] - 1)
        mask = renderer.measure(HERE, one, 0)[1] == 0
        left, top, right, bottom = extent(mask) if mask.any() else (*low, *high)
        assert left >= low[0] - 1 and top >= low[1] - 1 and right <= high[0] + 1 and bottom <= high[1] + 1
        _, top, _, bottom = extent(
            changed(renderer, one, 0)
        )  # thin things fall between the samples that `measure` takes
        assert bottom - top >= 0.8 * (high[1] - low[1]) - 1


def test_two_corners_of_a_template_are_the_same_or_apart() -> None:
    """An edge between corners that are nearly the same points anywhere, and cuts its face in two: trees had holes."""
    sides = np.linalg.norm(TEMPLATES.quad - np.roll(TEMPLATES.quad, -1, axis=1), axis=2)
    assert sides[sides > 0].min() > 1e-3


def test_what_stands_behind_a_wall_is_not_seen() -> None:
    renderer = Renderer(default_rig(), Scene(meadow(), NOBODY, CALM))
    at = compose(HERE, np.array([[20.0, 0.0, 0.0], [15.0, 0.0, 0.0], [15.0, 4.0, 0.0]]))
    both = solids(2, Shape.CAR, x=at[:2, 0], y=at[:2, 1], yaw=HERE[2])
    alone = renderer.render(HERE, both[:1]).visible[0, 0]
    both["length"][1], both["width"][1], both["height"][1] = 0.3, 8.0, 3.0
    both["shape"][1] = Shape.BOX
    assert alone > 20
    assert renderer.render(HERE, both).visible[0, 0] == 0
    both["x"][1], both["y"][1] = at[2, :2]  # now it hides one half
    assert renderer.render(HERE, both).visible[0, 0] == pytest.approx(alone / 2, rel=0.25)


def test_a_patch_of_paint_is_seen_at_the_pixel_that_the_calibration_predicts(sight: tuple[Rig, Renderer]) -> None:
    rig, plain = sight
    rings = []
    for ego_T_cam in rig.ego_T_cam[:-1]:
        facing = np.arctan2(ego_T_cam[1, 2], ego_T_cam[0, 2])
        rings.append(move(HERE, ego_T_cam[:2, 3] + move(np.array([0, 0, facing]), box(6, 9, -1, 2))))
    ground = meadow()
    for ring in rings:
        ground = ground.painted(ring, Surface.WHITE)
    painted = Renderer(rig, Scene(ground, NOBODY, CALM)).render(HERE, NOBODY)
    for camera, ring in enumerate(rings):
        edge = np.asarray(shapely.segmentize(shapely.Polygon(ring), 0.2).exterior.coords)  # lenses bend its sides
        predicted = shapely.Polygon(pixels(rig, camera, np.c_[edge, np.zeros(len(edge))]))
        brighter = painted.pictures[camera].astype(float) - plain.render(HERE, NOBODY).pictures[camera]
        rows, columns = np.indices(brighter.shape[:2])
        nearby = shapely.contains_xy(predicted.buffer(3), columns, rows)  # the next camera's patch may be in sight
        share = np.where(nearby, brighter[..., 2] / brighter.max(), 0.0).clip(0)
        centre = np.array([(columns * share).sum(), (rows * share).sum()]) / share.sum()
        np.testing.assert_allclose(centre, [predicted.centroid.x, predicted.centroid.y], atol=0.5)
        assert share.sum() == pytest.approx(predicted.area, rel=0.1)


def street() -> Map:
    """A straight road of 7 m along x with a dashed middle, edge lines, a crossing and a stop line."""
    lanes = tuple(
        Lane(name, np.array([[-60.0, y], [60.0, y]]), box(-60, 60, y - 1.75, y + 1.75))
        for name, y in (("a", -1.75), ("b", 1.75))
    )
    return Map(
        lanes,
        drivable=(box(-60, 60, -3.5, 3.5),),
        crosswalks=(box(20, 24, -3.5, 3.5),),
        stop_lines=(np.array([[18.0, -3.4], [18.0, -0.2]]),),
        markings=(
            Marking(np.array([[-60.0, 0.0], [18.0, 0.0]]), "dashed"),
            Marking(np.array([[-60.0, 3.3], [60.0, 3.3]]), "solid", "yellow"),
            Marking(np.array([[-60.0, -3.3], [60.0, -3.3]]), "solid"),
        ),
    )


COLOURS = {"grass": (70, 90, 40), "asphalt": (70, 70, 72), "white": (200, 200, 196), "pavement": (121, 117, 113)}


def test_bev_truth_and_cameras_agree() -> None:
    """Every ground pixel of every camera, by polygons and by colour; pixels whose patch spans an edge are left out."""
    town, pose = street(), np.array([15.5, -1.6, 0.05])
    rig = default_rig(256, 128)
    seen = Renderer(rig, Scene(rasterise(town, 0.05), NOBODY, CALM)).render(pose, NOBODY)
    road = shapely.box(-60, -3.5, 60, 3.5)
    stripes = shapely.unary_union([shapely.box(20, -3.5 + k, 24, -3.0 + k) for k in range(7)])
    white = shapely.unary_union([stripes, shapely.box(-60, -3.375, 60, -3.225), shapely.box(17.75, -3.4, 18.25, -0.2)])
    yellow = shapely.box(-60, 3.225, 60, 3.375)
    dashes = shapely.unary_union(
        [shapely.box(x, -0.075, min(x + DASH, 18), 0.075) for x in np.arange(-60, 18, DASH + GAP)]
    )
    areas = {
        "white": white.union(dashes),
        "asphalt": road.difference(white).difference(dashes).difference(yellow),
        "pavement": road.buffer(PAVEMENT_WIDTH).difference(road.buffer(0.2)),
        "grass": shapely.box(-90, -40, 90, 40).difference(road.buffer(PAVEMENT_WIDTH)),
    }
    edges = shapely.union_all([area.boundary for area in [*areas.values(), yellow, road.buffer(0.2)]])
    shapely.prepare(edges)
    checked = {name: 0 for name in areas}
    for camera in range(len(rig.names)):
        width, height = rig.size[camera]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        ray = rays(grid.astype(float), rig.K[camera]) @ rig.ego_T_cam[camera, :3, :3].T
        eye = rig.ego_T_cam[camera, :3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            spot = eye[:2] + ray[..., :2] * (eye[2] / -ray[..., 2:])
        near = (ray[..., 2] < 0) & (np.hypot(*(spot - eye[:2]).transpose(2, 0, 1)) < 16)
        spots = move(pose, spot[near])
        patch = np.maximum(np.hypot(*(spots - move(pose, eye[:2])).T) ** 2 / (eye[2] * rig.K[camera, 0, 0]), 0.1)
        clear = shapely.distance(edges, shapely.points(spots)) > patch
        colour = seen.pictures[camera][near][clear].astype(float)
        told = np.array(list(COLOURS))[
            np.argmin(np.linalg.norm(colour[:, None] - np.array(list(COLOURS.values())), axis=2), axis=1)
        ]
        for name, area in areas.items():
            truth = shapely.contains(area, shapely.points(spots[clear]))
            checked[name] += int(truth.sum())
            assert (told[truth] == name).mean() > 0.995 if truth.any() else True, (rig.names[camera], name)
    assert all(count > 100 for count in checked.values()), checked


def read_light(lamps: Floats) -> Light:
    """The state from the pixels (3, 3) of a head's three lamps: the one that outshines the others, if of its hue."""
    bright = lamps.max(axis=1)
    lit = int(np.argmax(bright))
    if bright[lit] - np.median(bright) < 40:
        return Light.OFF
    red, green, blue = lamps[lit]
    coloured = (red > 1.3 * max(green, blue), red >= green > blue, green > red)[lit]
    return (Light.RED, Light.YELLOW, Light.GREEN)[lit] if coloured else Light.UNKNOWN


@pytest.mark.parametrize("name", WEATHERS)
@pytest.mark.parametrize("state", [Light.RED, Light.YELLOW, Light.GREEN, Light.OFF])
def test_a_traffic_light_is_read_at_30_m(name: str, state: Light) -> None:
    """In the narrow camera, at its default of 128 x 64, in every weather (dirt on the glass apart)."""
    rig = default_rig()
    narrow = rig.names.index("narrow")
    renderer = Renderer(rig, Scene(meadow(), NOBODY, replace(weather(name), dirt=0.0, sun_azimuth=2.0)))
    for side, height in ((0.0, 5.0), (4.5, 2.6), (-3.3, 5.4)):
        at = compose(HERE, np.array([30.0, side, np.pi]))
        head = solids(1, Shape.SIGNAL, x=at[0], y=at[1], yaw=at[2], z=height - 0.55, state=state)
        picture = renderer.render(HERE, head, seed=int(100 * side)).pictures[narrow].astype(float)
        lamps = np.array([[at[0], at[1], height - 0.55 + 1.1 * share] for share in (0.83, 0.50, 0.17)])
        columns, rows = pixels(rig, narrow, lamps).round().astype(int).T
        assert read_light(picture[rows, columns]) == state


def test_brake_lights_are_seen() -> None:
    for name in ("clear", "night"):
        renderer = Renderer(default_rig(), Scene(meadow(), NOBODY, replace(weather(name), noise=0.0)))
        at = compose(HERE, np.array([14.0, 0.0, 0.0]))
        cars = [
            solids(1, Shape.CAR, x=at[0], y=at[1], yaw=at[2], colour=(0.4, 0.4, 0.4), state=state)
            for state in (0, BRAKE)
        ]
        off, on = (renderer.render(HERE, car).pictures[0].astype(int) for car in cars)
        assert (on - off)[..., 0].max() > 50, name


def test_same_arguments_same_pictures_and_another_seed_only_noise() -> None:
    ground = rasterise(street())
    scene = Scene(ground, furnish(ground), weather("rain_night"))
    pose, walker = np.array([0.0, -1.7, 0.0]), solids(1, Shape.PEDESTRIAN, x=12.0, y=0.5)
    first = Renderer(default_rig(), scene, seed=5).render(pose, walker, seed=9)
    again = Renderer(default_rig(), scene, seed=5)
    again.render(pose + 1.0, NOBODY, seed=1)  # leaves nothing behind
    for a, b in zip(first.pictures, again.render(pose, walker, seed=9).pictures, strict=True):
        np.testing.assert_array_equal(a, b)
    other = again.render(pose, walker, seed=10).pictures[0].astype(int)
    assert 0 < np.abs(other - first.pictures[0]).mean() < 8


def test_weathers_differ_as_their_names_say() -> None:
    ground = rasterise(street())
    far = solids(1, Shape.BUILDING, x=75.0, y=-1.7, colour=(0.2, 0.1, 0.1))
    seen = {}
    for name in WEATHERS:
        renderer = Renderer(default_rig(), Scene(ground, NOBODY, replace(weather(name), noise=0.0)))
        seen[name] = renderer.render(np.array([0.0, -1.7, 0.0]), far).pictures[0].astype(float)
    bright = {name: picture.mean() for name, picture in seen.items()}
    assert bright["night"] < 0.5 * bright["dusk"] < 0.5 * bright["clear"]
    contrast = {name: np.ptp(picture[20:30, 56:72].mean(axis=2)) for name, picture in seen.items()}
    assert contrast["fog"] < 0.35 * contrast["overcast"]
    assert seen["night"][56:, 40:88].mean() > 1.5 * seen["night"][40:48, :16].mean()  # headlights


def test_a_knocked_camera_sees_what_its_true_mounting_predicts() -> None:
    told = default_rig()
    true = knocked(told, "front", yaw=0.05, pitch=-0.03, roll=0.02)
    renderer = Renderer(true, Scene(meadow(), NOBODY, CALM))
    x, y, z = ahead_of(told, 0, 12.0, 0.6, 0.4)
    cube = solids(1, x=x, y=y, z=z, yaw=0.3, length=CUBE, width=CUBE, height=CUBE, colour=(0.9, 0.1, 0.1))
    mask = changed(renderer, cube, 0)
    off_true, off_told = (
        np.abs(extent(mask)[:2] - pixels(rig, 0, corners(cube[0])).min(axis=0)).max() for rig in (true, told)
    )
    assert off_true <= 1.0 < 2.0 < off_told
    with pytest.raises(UnknownName, match="did you mean 'front'"):
        knocked(told, "frnt")


def test_the_wide_cameras_leave_no_gap() -> None:
    rig = default_rig()
    angle = np.linspace(-np.pi, np.pi, 400)
    around = np.stack([12 * np.cos(angle), 12 * np.sin(angle), np.ones(400)], axis=-1)
    seen = np.zeros(len(around), int)
    for camera in range(5):
        at = pixels(rig, camera, around, pose=np.zeros(3))
        with np.errstate(invalid="ignore"):
            seen += ((at >= 0) & (at <= rig.size[camera] - 1)).all(axis=1)
    assert seen.min() >= 1


def test_pixels_without_a_ray_stay_black() -> None:
    fisheye = lensed("fisheye", (0.0, 0.0, 0.0, 0.0))
    fisheye = replace(fisheye, K=fisheye.K * [[[0.42], [0.42], [1.0]]] + [[[0, 0, 37.0], [0, 0, 18.3], [0, 0, 0]]])
    front = Renderer(fisheye, Scene(meadow(), NOBODY, CALM)).render(HERE, NOBODY).pictures[0]
    assert front[32, 0].max() == 0 and front[32, 127].max() == 0
    assert front[32, 64].min() > 0 and front[50, 40].min() > 0
    far_off = fisheye.K.copy()
    far_off[:, 0, 2] = 1e6
    with pytest.raises(DataError, match="no ray for any pixel"):
        Renderer(replace(fisheye, K=far_off), Scene(meadow(), NOBODY, CALM))


# The ground ----------------------------------------------------------------------------------------------------------


def test_the_ground_is_the_map() -> None:
    ground = rasterise(street(), cell=0.1)
    spots = {
        (0.0, 1.5): Surface.ASPHALT,
        (-58.5, 0.0): Surface.WHITE,  # in the first dash
        (-60 + DASH + GAP / 2, 0.0): Surface.ASPHALT,
        (0.0, 3.3): Surface.YELLOW,
        (0.0, 3.6): Surface.KERB,
        (0.0, 5.0): Surface.PAVEMENT,
        (0.0, 9.0): Surface.GRASS,
        (22.0, -3.25): Surface.WHITE,  # the crossing's first bar
        (22.0, -2.75): Surface.ASPHALT,
        (18.0, -1.0): Surface.WHITE,
        (500.0, 0.0): Surface.GRASS,
    }
    assert [Surface(s) for s in ground.at(np.array(list(spots)))] == list(spots.values())
    road = np.isin(ground.surface, [Surface.ASPHALT, Surface.WHITE, Surface.YELLOW]).sum() * ground.cell**2
    assert road == pytest.approx(120 * 7, rel=0.01)


def test_paint_can_wear_off_and_a_road_be_milled() -> None:
    ground = rasterise(street())
    worn = ground.worn(box(-10, 10, -4, 4))
    assert worn.at(np.array([0.0, 3.3])) == Surface.WORN and worn.at(np.array([30.0, 3.3])) == Surface.YELLOW
    assert ground.at(np.array([0.0, 3.3])) == Surface.YELLOW  # the first is left as it was
    assert ground.painted(box(5, 15, -3, 0), Surface.MILLED).at(np.array([10.0, -1.0])) == Surface.MILLED
    for beyond in (-1e3, 1e3):  # nothing of it lies on the ground
        for ring in (box(beyond, beyond + 10, -3, 0), box(5, 15, beyond, beyond + 3)):
            assert np.array_equal(ground.painted(ring, Surface.MILLED).surface, ground.surface)


def test_a_map_without_roads_has_no_ground() -> None:
    with pytest.raises(DataError, match="neither drivable areas nor lanes"):
        rasterise(Map(()))


def test_furniture_keeps_off_the_road() -> None:
    ground = rasterise(street())
    placed, again = furnish(ground, seed=4), furnish(ground, seed=4)
    np.testing.assert_array_equal(placed, again)
    assert {Shape.TREE, Shape.LAMP_POST} <= set(placed["shape"]) and set(placed["shape"]) & {
        Shape.BUILDING,
        Shape.HOUSE,
    }
    for solid in placed[placed["shape"] != Shape.LAMP_POST]:
        trunk = shapely.Point(solid["x"], solid["y"])
        whole = shapely.Polygon(corners(solid)[[0, 1, 3, 2], :2])
        house = solid["shape"] in (Shape.BUILDING, Shape.HOUSE)
        assert (whole if house else trunk).distance(shapely.box(-60, -3.5, 60, 3.5)) > 0.5


def test_bad_solids_and_weathers_are_answered_with_the_right_names() -> None:
    with pytest.raises(ShapeError, match="did you mean 'height'"):
        solids(1, hieght=2.0)
    with pytest.raises(UnknownName, match="did you mean 'fog'"):
        weather("fogg")
    with pytest.raises(ShapeError, match="make them by solids"):
        Renderer(default_rig(), Scene(meadow(), np.zeros(3)))
    renderer = Renderer(default_rig(), Scene(Ground((0.0, 0.0), 1.0, np.zeros((1, 1), np.uint8)), NOBODY))
    for column, value in (("x", np.nan), ("height", 0.0), ("shape", 200)):
        bad = solids(2, Shape.CAR)
        bad[column][1] = value
        with pytest.raises(DataError, match="solid 1 cannot be drawn"):
            renderer.render(HERE, bad)
    renderer.render(HERE, NOBODY)  # the smallest of grounds is one
    with pytest.raises(DataError, match="the pose"):
        renderer.render(np.array([0.0, np.nan, 0.0]), NOBODY)
