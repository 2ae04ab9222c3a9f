"""Scripts of people on foot and on bicycles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from understudy.worlds.events.stage import FRONT, TICK_S, Actor, Actors, gap_to, new_track, open_road, parked_ahead, put

if TYPE_CHECKING:
    from understudy.worlds.city import City


def _crosses(world: City, who: Actor, pace: float, until: float) -> Iterator[Actors]:
    """Go across to `until` metres left of the way, then stay on the far side until the ego has passed."""
    side = 1.0 if until > who.d else -1.0
    who.across = side * pace
    while (until - who.d) * side > 0:
        who.move()
        yield put(world, [who])
    who.across = 0.0
    while gap_to(world, who.s) > -25.0:
        yield put(world, [who], counts=False)


def jaywalker(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody steps off the pavement between crossings, in front of the ego."""
    side, pace = float(rng.choice([-1.0, 1.0])), float(rng.uniform(1.2, 1.9))
    start, far = (-4.6, 8.5) if side < 0 else (7.9, -5.0)
    while not (world.ego.speed > 5.5 and open_road(world, 5, 60)):
        yield None
    who = Actor(
        new_track(world), "pedestrian", world.way.s + FRONT + world.ego.speed * 2.0 + rng.uniform(12, 18), start
    )
    who.turn = np.pi / 2 * -side
    # Timed so that both would arrive together; the further lane takes longer to reach.
    reach_s = (abs(start) - 1.2) / pace
    while gap_to(world, who.s) > max(world.ego.speed, 3.0) * (reach_s + 0.5):
        yield put(world, [who], counts=False)
        if world.ego.speed < 1.0:
            return
    who.turn = 0.0
    yield from _crosses(world, who, pace, far)


def child(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """A child runs out from between parked cars."""
    pace = float(rng.uniform(2.0, 2.9))
    while not (world.ego.speed > 4.5 and open_road(world, 0, 40) and parked_ahead(world, 18, 32)):
        yield None
    front = parked_ahead(world, 18, 32)
    assert front is not None
    who = Actor(new_track(world), "child", front + 0.9, -4.1, turn=np.pi / 2)
    reach_s = (4.1 - 1.2) / pace
    while gap_to(world, who.s) > max(world.ego.speed, 3.0) * (reach_s + 0.55):
        yield put(world, [who], counts=False)
        if world.ego.speed < 0.5:
            return
    who.turn = 0.0
    yield from _crosses(world, who, pace, 8.0)


def waiting_pedestrian(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody stands at the kerb as if to cross, and does not."""
    while not (world.ego.speed > 5 and open_road(world, 5, 60)):
        yield None
    who = Actor(new_track(world), "pedestrian", world.way.s + FRONT + rng.uniform(38, 50), -2.15, turn=np.pi / 2)
    while gap_to(world, who.s) > -25.0:
        yield put(world, [who], counts=-3.0 < gap_to(world, who.s) < 32.0)


def cyclist_on_the_right(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """A cyclist overtakes on the right while the ego is slow, or rides up beside it before a junction."""
    while not (world.ego.speed < 5.0 and world.t_s > 8 and open_road(world, -22, FRONT + 1.0, 0.2)):
        yield None
    who = Actor(new_track(world), "bicycle", world.way.s - 15.0, -1.72, speed=5.0)
    while gap_to(world, who.s) < 45.0:
        ahead = gap_to(world, who.s)
        waits = ahead > 1.0 and world.ego.speed < 0.5 and not open_road(world, 0, 12)
        wanted = 0.0 if waits else max(world.ego.speed + 2.5, 4.5) if ahead < 6 else 7.5
        who.speed += float(np.clip(wanted - who.speed, -2 * TICK_S, 1.5 * TICK_S))
        who.move()
        yield put(world, [who], counts=-8.0 < ahead < 4.0)
        if ahead < -60 or (ahead > 8 and not open_road(world, 0, 20, 0.6) and ahead > 30):
            return
