"""What viewers are shown: boxes that are put together from bytes say what protobuf's own objects would."""

from __future__ import annotations

import numpy as np
import pytest
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate

from understudy.recorder.boxes import COLOURS, HEIGHT, scenes
from understudy.records import Kind, Objects

T_NS = [1_500_000_000, 1_600_000_000]


@pytest.fixture
def shown() -> list[SceneUpdate]:
    """A car at the origin and a lorry of no known place, then a person."""
    columns = {
        "track": np.array([7, 2_000_001, 12345678901]),
        "kind": np.array([Kind.CAR, Kind.TRUCK, Kind.PEDESTRIAN]),
        "x": np.array([0.0, np.nan, -3.25]),
        "y": np.array([0.0, 1.0, 1e5]),
        "yaw": np.array([0.0, 0.0, np.pi]),
        "length": np.array([4.5, 8.0, np.nan]),
        "width": np.array([1.8, 2.4, np.nan]),
        "vx": np.zeros(3),
        "vy": np.zeros(3),
    }
    objects = Objects(np.array([0, 2, 3]), columns)
    return [SceneUpdate.FromString(data) for data in scenes("map", T_NS, objects)]


def test_a_box_says_where_an_object_is_and_what_it_is(shown: list[SceneUpdate]) -> None:
    (car,), (person,) = (scene.entities for scene in shown)  # the lorry has no place to be shown at
    assert (car.frame_id, car.id, car.timestamp.ToNanoseconds()) == ("map", "7", T_NS[0])
    assert [(pair.key, pair.value) for pair in person.metadata] == [("kind", "pedestrian")]
    cube = person.cubes[0]
    assert (cube.pose.position.x, cube.pose.position.y, cube.pose.position.z) == (-3.25, 1e5, HEIGHT / 2)
    assert (cube.size.x, cube.size.y, cube.size.z) == (0.5, 0.5, HEIGHT)
    assert cube.pose.orientation.z == pytest.approx(1.0) and cube.pose.orientation.w == pytest.approx(0.0)
    assert (cube.color.r, cube.color.g, cube.color.b, cube.color.a) == COLOURS[Kind.PEDESTRIAN]
    assert car.cubes[0].pose.position.x == 0.0 and car.cubes[0].pose.orientation.w == 1.0


def test_a_scene_replaces_the_one_before_it(shown: list[SceneUpdate]) -> None:
    for scene, t_ns in zip(shown, T_NS, strict=True):
        (gone,) = scene.deletions
        assert gone.type == SceneEntityDeletion.Type.ALL and gone.timestamp.ToNanoseconds() == t_ns
