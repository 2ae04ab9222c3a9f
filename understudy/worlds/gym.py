"""The worlds as Gymnasium environments, the way the field plugs in a learner.

    import gymnasium, understudy.worlds.gym
    env = gymnasium.make("understudy/City-v0", scenarios=("scenario:city/organic:1/r3/everyday/clear/none/7",))

An action is a plan, 8 poses (x, y, yaw, speed) half a second apart in the ego frame, in units of SCALE, and a step is
0.2 s of following it.
The reward of a step is the progress along the route in units of what the speed limit allows, and -1 at a collision or
off the road.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from understudy import plugins
from understudy.observe import held
from understudy.records import PLAN_STEPS, Array, Observation, Plan
from understudy.worlds.city import City
from understudy.worlds.replay import Replay
from understudy.worlds.rig import default_rig
from understudy.worlds.scenario import Scenario

_OBJECTS = 32  # the nearest
_ROUTE = 61
_BAD = ("collision", "lost")
SCALE = np.array([160.0, 60.0, np.pi, 40.0])  # m, m, rad, m/s: an action of 1
_FAR = np.float32(400.0)
Seen = dict[str, Any]  # by the names of the observation space


class _Driving(gymnasium.Env[Seen, Array]):
    """What both worlds share: spaces, and a step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 (Gymnasium's own contract)

    def __init__(self, pictures: int, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (PLAN_STEPS, 4), np.float32)
        parts: dict[str, spaces.Space[Any]] = {
            "motion": spaces.Box(-_FAR, _FAR, (3,), np.float32),  # speed, yaw rate, acceleration
            "command": spaces.Discrete(5),
            "speed_limit": spaces.Box(0.0, _FAR, (1,), np.float32),
            "route": spaces.Box(-_FAR, _FAR, (_ROUTE, 2), np.float32),
            "light": spaces.Discrete(5),
            "light_distance": spaces.Box(-_FAR, _FAR, (1,), np.float32),  # 200 for none
            "objects": spaces.Box(
                -_FAR, _FAR, (_OBJECTS, 8), np.float32
            ),  # x y yaw length width vx vy kind, zero-padded
        }
        if pictures:
            parts["pictures"] = spaces.Box(0, 255, (pictures, 64, 128, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)
        self._world: City | Replay
        self._s = 0.0

    def step(self, action: Array) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        poses = np.asarray(action, float).reshape(1, PLAN_STEPS, 4) * SCALE
        seen = self._world.step(Plan.single(poses))
        way, ended = self._world.way, self._world.ended
        came, self._s = way.s - self._s, way.s
        reward = came / (max(way.limit_at(way.s), 1.0) * self._world.PLAN_S) - (1.0 if ended in _BAD else 0.0)
        over = ended in (*_BAD, "arrived")
        info = {"ended": ended, "completion": self._world.completion}
        return self._told(seen), float(np.nan_to_num(reward)), over, bool(ended) and not over, info

    def _begun(self, seen: Observation) -> tuple[Seen, dict[str, Any]]:
        self._s = self._world.way.s
        return self._told(seen), {"ended": "", "completion": 0.0}

    def _told(self, seen: Observation) -> Seen:
        """An observation of one as arrays of fixed shapes."""
        assert seen.route is not None and seen.objects is not None
        assert seen.light is not None and seen.light_distance is not None
        objects = seen.objects
        rows = np.flatnonzero(objects["valid"][0])
        rows = rows[np.argsort(np.hypot(objects["x"][0, rows], objects["y"][0, rows]), kind="stable")][:_OBJECTS]
        columns = ("x", "y", "yaw", "length", "width", "vx", "vy", "kind")
        around = np.zeros((_OBJECTS, 8), np.float32)
        around[: len(rows)] = np.nan_to_num(np.stack([objects[name][0, rows] for name in columns], -1))
        told: Seen = {
            "motion": np.nan_to_num(np.array([seen.speed[0, -1], seen.yaw_rate[0, -1], seen.accel[0, -1]], np.float32)),
            "command": np.int64(seen.command[0]),
            "speed_limit": np.nan_to_num(np.asarray(seen.speed_limit[:1], np.float32)),
            "route": held(seen.route)[0].astype(np.float32),
            "light": np.int64(seen.light[0]),
            "light_distance": np.nan_to_num(np.asarray(seen.light_distance[:1], np.float32), nan=200.0),
            "objects": around,
        }
        if seen.pictures:
            told["pictures"] = np.stack([stack[0, -1] for stack in seen.pictures])
        return {
            name: np.clip(v, -_FAR, _FAR) if isinstance(v, np.ndarray) and v.dtype == np.float32 else v
            for name, v in told.items()
        }

    def render(self) -> Any:
        from understudy.worlds.film import from_above

        return from_above(self._world)

    def close(self) -> None:
        self._world.close()


class CityEnv(_Driving):
    """`understudy/City-v0`: each reset takes one of `scenarios`, with a traffic seed of its own."""

    def __init__(
        self,
        scenarios: Sequence[str] = ("scenario:city/grid:3/r0/light/clear/none/0",),
        cameras: bool = False,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(pictures=6 if cameras else 0, render_mode=render_mode)
        self._scenarios = [Scenario.parse(scenario) for scenario in scenarios]
        needs = ("route", "objects", "lights", *(("pictures",) if cameras else ()))
        self._world = City(needs, rig=default_rig() if cameras else None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        super().reset(seed=seed)
        assert isinstance(self._world, City)
        scenario = self._scenarios[int(self.np_random.integers(len(self._scenarios)))]
        scenario = replace(scenario, seed=int(self.np_random.integers(2**31)))
        return self._begun(self._world.reset(scenario))


class ReplayEnv(_Driving):
    """`understudy/Replay-v0`: one real log, read by `reader` from `root`; the others as recorded, or reacting."""

    def __init__(
        self, reader: str, root: str, key: str, reactive: bool = False, render_mode: str | None = None
    ) -> None:
        super().__init__(pictures=0, render_mode=render_mode)
        self._world = Replay(plugins.make("reader", reader).read(Path(root), key))
        self._traffic = "reactive" if reactive else "logged"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        super().reset(seed=seed)
        assert isinstance(self._world, Replay)
        scenario = self._world.scenario_of(self._traffic, seed=int(self.np_random.integers(2**31)))
        return self._begun(self._world.reset(scenario))


gymnasium.register("understudy/City-v0", entry_point="understudy.worlds.gym:CityEnv")
gymnasium.register("understudy/Replay-v0", entry_point="understudy.worlds.gym:ReplayEnv")
