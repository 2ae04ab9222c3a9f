"""The city's own cameras: five wide ones around the car and a narrow one ahead; and what can go wrong with them.

The narrow one is there for traffic lights: a lamp of 0.3 m at 30 m is 0.6 of a pixel wide in a wide camera of 128
pixels, and 2.4 in the narrow one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from understudy.errors import UnknownName
from understudy.geometry import rigid
from understudy.records import Array, Floats, Rig

# Name, position in the ego frame (m), yaw to the left, pitch down, horizontal field of view (degrees).
MOUNTS: tuple[tuple[str, tuple[float, float, float], float, float, float], ...] = (
    ("front", (1.9, 0.0, 1.45), 0.0, 4.0, 92.0),
    ("left", (1.4, 0.55, 1.50), 72.0, 4.0, 92.0),
    ("right", (1.4, -0.55, 1.50), -72.0, 4.0, 92.0),
    ("rear_left", (0.0, 0.55, 1.50), 144.0, 4.0, 92.0),
    ("rear_right", (0.0, -0.55, 1.50), -144.0, 4.0, 92.0),
    ("narrow", (1.9, 0.1, 1.45), 0.0, -2.0, 30.0),
)


def default_rig(width: int = 128, height: int = 64) -> Rig:
    """Five wide cameras (92 degrees, overlapping by 20) and a narrow one (30 degrees), all of one size."""
    return Rig(
        names=tuple(name for name, *_ in MOUNTS),
        size=np.tile(np.array([width, height], dtype=np.int64), (len(MOUNTS), 1)),
        K=np.stack([intrinsics(width, height, np.radians(view)) for *_, view in MOUNTS]),
        ego_T_cam=np.stack([mount(at, np.radians(yaw), np.radians(pitch)) for _, at, yaw, pitch, _ in MOUNTS]),
        distortion=("none",) * len(MOUNTS),
        coefficients=((),) * len(MOUNTS),
    )


def intrinsics(width: int, height: int, view: float) -> Floats:
    """K (3, 3) of a camera with a horizontal field of view (rad). Pixel centres are whole numbers, as in OpenCV."""
    f = width / 2 / np.tan(view / 2)
    return np.array([[f, 0.0, (width - 1) / 2], [0.0, f, (height - 1) / 2], [0.0, 0.0, 1.0]])


def mount(at: tuple[float, float, float], yaw: float, pitch: float = 0.0) -> Floats:
    """ego_T_cam (4, 4) of a camera that looks along `yaw`, `pitch` downwards (rad)."""
    looking_ahead = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    return rigid(_about(2, yaw) @ _about(1, pitch) @ looking_ahead, np.array(at, dtype=float))


def knocked(rig: Rig, name: str, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Rig:
    """The rig as it really is after a camera was knocked (rad): draw with this one, and tell the policy the other."""
    if name not in rig.names:
        raise UnknownName("camera", name, rig.names)
    true: Array = rig.ego_T_cam.copy()
    camera = rig.names.index(name)
    true[camera, :3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll) @ true[camera, :3, :3]
    return replace(rig, ego_T_cam=true)


def _about(axis: int, angle: float) -> Floats:
    """Rotation (3, 3) about an axis of the ego frame."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    return turn
