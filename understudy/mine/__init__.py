"""Mining: triggers find events, and the events that matter most become clips, within a budget.

`find` and `choose` are pure: a drive in, events out; events in, clips out. `variety` adds what a model finds unlike all
that. `run` does all of it over a lake.
"""

from understudy.mine.choose import Sighting, choose, event_id, side_of
from understudy.mine.find import find, resolve, sightings
from understudy.mine.run import Mined, Yield, event_of, read_clips, run
from understudy.mine.settings import WEIGHTS, Mine

__all__ = [
    "WEIGHTS",
    "Mine",
    "Mined",
    "Sighting",
    "Yield",
    "choose",
    "event_id",
    "event_of",
    "find",
    "read_clips",
    "resolve",
    "run",
    "side_of",
    "sightings",
]
