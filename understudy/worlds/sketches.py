"""What a town looks like on paper: nodes and streets, from a kind and a number.

Grid, organic and spider towns are drawn by SUMO's netgenerate; roundabouts, which it cannot make, a ring motorway with
ramps, and a mix of everything are drawn here. `towns.py` dresses a sketch with lanes and has netconvert build it.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from understudy.errors import DataError, UnknownName


@dataclass(frozen=True, slots=True)
class Street:
    """One carriageway from node to node; a two-way street is two of them."""

    start: str
    end: str
    lanes: int = 1
    speed: float = 13.9
    shape: tuple[tuple[float, float], ...] = ()  # points between the nodes
    kind: str = "street"  # street, ring (of a roundabout), motorway
    ring: str = ""  # which roundabout it belongs to


@dataclass(slots=True)
class Sketch:
    """Nodes with their positions and kinds, and the streets between them."""

    nodes: dict[str, tuple[float, float]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)  # SUMO's node types: traffic_light, priority, right_before_left
    streets: list[Street] = field(default_factory=list)

    def both_ways(self, a: str, b: str, lanes: int = 1, speed: float = 13.9) -> None:
        self.streets += [Street(a, b, lanes, speed), Street(b, a, lanes, speed)]


def program(name: str) -> Path:
    """Where one of SUMO's programs lies. ModuleNotFoundError without the extra [city], which who drives nowhere in the
    city does without."""
    import sumo

    return Path(sumo.SUMO_HOME) / "bin" / name


def draw(kind: str, number: int) -> Sketch:
    """The sketch of a town; the same for the same kind and number, everywhere."""
    if kind not in KINDS:
        raise UnknownName("kind of town", kind, KINDS)
    return KINDS[kind](np.random.default_rng([*kind.encode(), number]), number)


def _generated(options: list[str], number: int) -> Sketch:
    """What netgenerate draws, without its dead ends (nobody could leave one without a U-turn)."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [program("netgenerate"), *options, "--seed", str(number), "--plain-output-prefix", f"{folder}/t",
             "--no-warnings"],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise DataError(f"drawing a town with netgenerate: {done.stderr.strip().splitlines()[-1]}")
        nodes = ElementTree.parse(f"{folder}/t.nod.xml").getroot().iter("node")
        edges = ElementTree.parse(f"{folder}/t.edg.xml").getroot().iter("edge")
        sketch = Sketch({node.get("id", ""): (float(node.get("x", 0)), float(node.get("y", 0))) for node in nodes})
        pairs = {tuple(sorted((edge.get("from", ""), edge.get("to", "")))) for edge in edges}
    while True:
        degree = {name: sum(name in pair for pair in pairs) for name in sketch.nodes}
        kept = {pair for pair in pairs if min(degree[name] for name in pair) > 1}
        if kept == pairs:
            break
        pairs = kept
    sketch.nodes = {name: place for name, place in sketch.nodes.items() if degree[name]}
    for a, b in sorted(pairs):
        sketch.both_ways(a, b)
    return sketch


def _with_character(sketch: Sketch, rng: np.random.Generator, wide: float) -> Sketch:
    """Main streets and quiet ones, junctions with lights and without."""
    pairs = sorted({tuple(sorted((street.start, street.end))) for street in sketch.streets})
    character = {}
    for pair in pairs:
        main = rng.random() < wide
        character[pair] = (2 if main else 1, 13.9 if main or rng.random() < 0.7 else 8.33)
    sketch.streets = []
    for pair in pairs:
        sketch.both_ways(pair[0], pair[1], *character[pair])
    for name in sketch.nodes:
        arms = [pair for pair in pairs if name in pair]
        busy = any(character[pair][0] == 2 for pair in arms)
        lit = len(arms) >= 3 and rng.random() < (0.9 if busy else 0.45)
        calm = all(character[pair][1] < 10 for pair in arms)
        sketch.kinds[name] = "traffic_light" if lit else "right_before_left" if calm and len(arms) > 2 else "priority"
    return sketch


def _grid(rng: np.random.Generator, number: int) -> Sketch:
    across, along = rng.integers(3, 6, 2)
    options = ["--grid", "--grid.x-number", str(across), "--grid.y-number", str(along)]
    options += ["--grid.x-length", f"{rng.uniform(110, 190):.1f}", "--grid.y-length", f"{rng.uniform(110, 190):.1f}"]
    return _with_character(_generated(options, number), rng, wide=0.35)


def _organic(rng: np.random.Generator, number: int) -> Sketch:
    options = [
        "--rand",
        "--rand.iterations",
        str(rng.integers(35, 60)),
        "--rand.min-angle",
        "55",
        "--bidi-probability",
        "1",
    ]
    options += ["--rand.min-distance", "110", "--rand.max-distance", f"{rng.uniform(190, 260):.1f}"]
    return _with_character(_generated(options, number), rng, wide=0.2)


def _spider(rng: np.random.Generator, number: int) -> Sketch:
    options = [
        "--spider",
        "--spider.arm-number",
        str(rng.integers(5, 8)),
        "--spider.circle-number",
        str(rng.integers(2, 4)),
    ]
    options += ["--spider.space-radius", f"{rng.uniform(130, 180):.1f}", "--spider.omit-center"]
    return _with_character(_generated(options, number), rng, wide=0.3)


def _lattice(rng: np.random.Generator, across: int, along: int) -> Sketch:
    """A bent grid of two-way streets, for the towns drawn here."""
    step = rng.uniform(150, 210)
    sketch = Sketch()
    for i in range(across):
        for j in range(along):
            x, y = np.array([i, j]) * step + rng.uniform(-0.14, 0.14, 2) * step
            sketch.nodes[f"n{i}{j}"] = (round(float(x), 2), round(float(y), 2))
    for i in range(across):
        for j in range(along):
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < across and m < along:
                    sketch.both_ways(f"n{i}{j}", f"n{k}{m}")
    return sketch


def _with_roundabout(sketch: Sketch, centre: str, radius: float) -> None:
    """Replace a node by a ring, driven counter-clockwise, with one node per arm."""
    x, y = sketch.nodes.pop(centre)
    sketch.kinds.pop(centre, None)
    arms = [street.end for street in sketch.streets if street.start == centre]
    angle = {arm: math.atan2(sketch.nodes[arm][1] - y, sketch.nodes[arm][0] - x) for arm in arms}
    arms.sort(key=lambda arm: angle[arm])
    for arm in arms:
        name = f"{centre}r{arm}"
        sketch.nodes[name] = (round(x + radius * math.cos(angle[arm]), 2), round(y + radius * math.sin(angle[arm]), 2))
        sketch.kinds[name] = "priority"
    streets = []
    for street in sketch.streets:
        start = f"{centre}r{street.end}" if street.start == centre else street.start
        end = f"{centre}r{street.start}" if street.end == centre else street.end
        streets.append(Street(start, end, 1, street.speed, street.shape, street.kind, street.ring))
    for arm, after in zip(arms, arms[1:] + arms[:1], strict=True):
        turn = (angle[after] - angle[arm]) % (2 * math.pi)
        between = angle[arm] + turn * np.linspace(0, 1, 9)[1:-1]
        shape = tuple((round(x + radius * math.cos(a), 2), round(y + radius * math.sin(a), 2)) for a in between)
        streets.append(Street(f"{centre}r{arm}", f"{centre}r{after}", 1, 7.0, shape, "ring", centre))
    sketch.streets = streets


def _roundabout(rng: np.random.Generator, number: int) -> Sketch:
    sketch = _with_character(_lattice(rng, 3, 3), rng, wide=0.0)
    for i in range(3):
        for j in range(3):
            if (i + j) % 2 or (i, j) == (1, 1):
                _with_roundabout(sketch, f"n{i}{j}", float(rng.uniform(16, 22)))
    return sketch


def _mix(rng: np.random.Generator, number: int) -> Sketch:
    across, along = rng.permutation([3, 4])
    sketch = _with_character(_lattice(rng, int(across), int(along)), rng, wide=0.3)
    single = [n for n in sketch.nodes if all(s.lanes == 1 for s in sketch.streets if n in (s.start, s.end))]
    for name in single[:: max(len(single) // 2, 1)][:2]:
        _with_roundabout(sketch, name, float(rng.uniform(16, 22)))
    fast = [index for index, s in enumerate(sketch.streets) if not s.ring and "n0" in s.start[:2] and "n0" in s.end[:2]]
    for index in fast:  # one edge of the town is a country road
        s = sketch.streets[index]
        sketch.streets[index] = Street(s.start, s.end, s.lanes, 19.4, s.shape, s.kind, s.ring)
    return sketch


def _highway(rng: np.random.Generator, number: int) -> Sketch:
    """An oval motorway of two carriageways, each with sections where a slip road joins and leaves again."""
    sketch = Sketch()
    long, short = rng.uniform(650, 850), rng.uniform(260, 340)
    ramps = int(rng.integers(2, 4))
    for side, outwards, turn in (("a", 9.0, 1), ("b", -9.0, -1)):

        def place(share: float, out: float, outwards: float = outwards, turn: int = turn) -> tuple[float, float]:
            a = turn * 2 * math.pi * share
            normal = np.array([math.cos(a) / long, math.sin(a) / short])
            x, y = np.array([long * math.cos(a), short * math.sin(a)]) + (outwards + turn * out) * normal / np.hypot(
                *normal
            )
            return round(float(x), 2), round(float(y), 2)

        def arc(start: float, end: float, out: float = 0.0) -> tuple[tuple[float, float], ...]:
            return tuple(place(share, out) for share in np.linspace(start, end, 26)[1:-1])

        for ramp in range(ramps):
            join, leave = (ramp + 0.1) / ramps, (ramp + 0.45) / ramps
            following = (ramp + 1.1) / ramps
            here = [f"{side}{name}{ramp}" for name in ("join", "leave")]
            after = f"{side}join{(ramp + 1) % ramps}"
            for name, share in zip(here, (join, leave), strict=True):
                sketch.nodes[name], sketch.kinds[name] = place(share, 0.0), "priority"
            sketch.streets.append(Street(here[0], here[1], 4, 30.0, arc(join, leave), "motorway"))
            sketch.streets.append(Street(here[1], after, 3, 30.0, arc(leave, following), "motorway"))
            slip = np.linspace(leave, following, 30)[1:-1]
            away = np.clip(np.minimum(slip - leave, following - slip) / (0.3 * (following - leave)), 0, 1)
            aside = 6.5 + 22 * away**2 * (3 - 2 * away)
            shape = tuple(place(share, out) for share, out in zip(slip, aside, strict=True))
            sketch.streets.append(Street(here[1], after, 1, 16.7, shape, "motorway"))
    return sketch


KINDS = {
    "grid": _grid,
    "organic": _organic,
    "spider": _spider,
    "roundabout": _roundabout,
    "highway": _highway,
    "mix": _mix,
}
LIT = ("grid", "organic", "spider")  # with lights at most of their junctions
