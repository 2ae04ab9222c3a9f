"""What a turn came to: its numbers in one row, and whether they are good enough."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from understudy.errors import UnderstudyError
from understudy.identifiers import counted
from understudy.turn.diary import About

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
MEASURES = ("score", "driving_score", "interventions")
BASE = ("everyday", "all")  # the suite that a champion's score is of: the first that was driven


@dataclass(frozen=True)
class Goal:
    """A number of the champion's that is good enough: `score>=0.9`, `driving_score>0.8`, `interventions<=50`."""

    measure: str
    sign: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Goal:
        found = re.fullmatch(rf"\s*({'|'.join(MEASURES)})\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?)\s*", text)
        if found is None:
            raise UnderstudyError(
                f"no goal {text!r}: expected one of {', '.join(MEASURES)}, a sign and a number, as in score>=0.9"
            )
        return cls(found[1], found[2], float(found[3]))

    def reached(self, row: About) -> bool:
        """Whether the champion that a turn ended with is so good; what is unknown is not."""
        value = row.get("champion_after", {}).get(self.measure)
        return value is not None and math.isfinite(value) and _COMPARE[self.sign](value, self.value)


def summary(done: Mapping[str, About]) -> dict[str, Any]:
    """The row of a turn from what its steps came to."""
    fleet, wheel, gate, promoted = (done[step] for step in ("fleet", "wheel", "gate", "promote"))
    mined, frozen, trained = done["mine"], done["dataset"], done["train"]
    apart = done["shadow"].get("disagreement", ())
    sides = {side: scores(gate, side) for side in ("champion", "candidate")}
    outcome = promoted.get("outcome", "skipped")
    after = "candidate" if outcome == "promote" else "champion"
    return {
        "drives": len(fleet["drives"]) + len(wheel.get("drives", ())),
        "km": fleet["km"] + wheel.get("km", 0.0),
        "lost": len(fleet["lost"]) + len(wheel.get("lost", ())),
        "takeovers": wheel.get("interventions"),
        "disagreement": apart[0]["median"] if apart else None,
        "events": mined["events"],
        "clips": len(mined["clips"]),
        "seconds": sum(mined["seconds"].values()),
        "samples": frozen.get("samples", 0),
        "steps": trained.get("steps", 0),
        "outcome": outcome,
        "why": promoted.get("why", [promoted.get("skipped", "")]),
        "routes": gate.get("routes", 0),
        **sides,
        # Where somebody else has become champion meanwhile, nothing is known of them.
        "champion_after": {} if outcome == "skipped" and "outcome" in gate else sides[after],
        "name": promoted.get("name", ""),
        "skipped": {step: about["skipped"] for step, about in done.items() if "skipped" in about},
    }


def scores(gate: About, side: str) -> dict[str, float | None]:
    """What one of the two came to in the gate: on everyday routes if there are any, and interventions per 100 km."""
    found: dict[str, float | None] = dict.fromkeys(MEASURES)
    rows = gate.get("findings", ())
    for name in reversed(BASE):
        found |= {row["measure"]: row[side] for row in rows if row["suite"] == name and row["measure"] in MEASURES}
    taken = gate.get("interventions", {}).get(side)
    if taken and taken["km"]:
        found["interventions"] = 100 * taken["count"] / taken["km"]
    return found


def line(row: About) -> str:
    """A turn in a line, for a terminal."""
    verdict = {"promote": "promoted", "refuse": "refused", "undecided": "undecided", "skipped": "not judged"}
    apart = "" if row["disagreement"] is None else f", {row['disagreement']:.2f} m apart"
    was, now = row["champion"]["driving_score"], row["candidate"]["driving_score"]
    came = "" if was is None or now is None else f" {was:.2f} → {now:.2f}"
    why = f" ({row['why'][0]})" if row["why"] and row["why"][0] else ""
    drives, events, clips = (counted(row[f"{thing}s"], thing) for thing in ("drive", "event", "clip"))
    return (
        f"turn {row['turn']}: {drives}, {row['km']:.1f} km{apart}, {events}, {clips}, {row['samples']} instants, "
        f"{row['steps']} steps, "
        f"gate{came}: {verdict[row['outcome']]}{why}"
    )
