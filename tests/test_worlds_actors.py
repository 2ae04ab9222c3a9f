"""What an event puts on the road is in the pictures."""

from __future__ import annotations

import numpy as np

from understudy.worlds.city import City
from understudy.worlds.rig import default_rig
from understudy.worlds.scenario import Scenario
from understudy.worlds.traffic import ACTORS


def test_debris_ahead_is_seen_by_the_cameras() -> None:
    with City((), (0.0,), default_rig()) as world:
        world.begin(Scenario.parse("scenario:city/grid:2/r4200:840/everyday/clear/debris/4200"))
        most = 0.0
        while not world.ended and world.t_s < 60 and most == 0:
            world.advance(world.expert.plan())
            truth = world.drive().truth
            assert truth is not None and truth.objects is not None
            now = truth.objects.slice(len(truth.objects) - 1, len(truth.objects))
            actors = now["track"] >= ACTORS
            most = float(np.max(now["visible_pixels"][actors], initial=0.0))
    assert most > 0
