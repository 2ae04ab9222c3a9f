"""Towns: from an identifier such as `organic:3` to streets, lanes, lights and houses; `sides` says what for."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from understudy.errors import DataError
from understudy.worlds.net import Town, read_net
from understudy.worlds.sides import identity, side
from understudy.worlds.sketches import Sketch, Street, draw, program

_NETCONVERT = (
    "--no-turnarounds", "--walkingareas", "--junctions.corner-detail", "6", "--junctions.internal-link-detail", "8",
    "--junctions.limit-turn-speed", "2.2", "--default.junctions.radius", "5", "--tls.left-green.time", "0",
    "--tls.default-type", "static", "--tls.green.time", "22", "--tls.yellow.time", "3", "--tls.allred.time", "1",
    "--default.crossing-width", "3", "--no-warnings",
)  # fmt: skip


def cache_folder() -> Path:
    """Where built towns lie: they can always be built again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy" / "towns"


@lru_cache(maxsize=32)
def town(name: str, cache: Path | None = None) -> Town:
    """The town itself, built on first use and read from the cache afterwards."""
    who = identity(name)
    return read_net(_built(name, who, cache or cache_folder()), who, side(name))


def _built(name: str, who: str, cache: Path) -> Path:
    """The net file of a town, in a folder named by what it is made from."""
    kind, _, rest = name.partition(":")
    if kind == "osm":
        sources = {"map.osm": Path(rest).read_bytes()}
        options = [
            "--osm-files",
            "map.osm",
            "--geometry.remove",
            "--ramps.guess",
            "--junctions.join",
            "--tls.guess-signals",
        ]
        options += ["--tls.join", "--tls.discard-simple", "--sidewalks.guess", "--crossings.guess", "--tls.rebuild"]
        options += ["--keep-edges.by-vclass", "passenger", "--remove-edges.isolated", "--keep-edges.components", "1"]
    else:
        nodes, edges = written(draw(kind, int(rest)))
        sources = {"town.nod.xml": nodes.encode(), "town.edg.xml": edges.encode()}
        options = ["--node-files", "town.nod.xml", "--edge-files", "town.edg.xml", "--crossings.guess"]
    options += [*_NETCONVERT, "--output-file", "town.net.xml"]
    netconvert = program("netconvert")
    made_from = hashlib.sha256(repr((who, sources, options, version("eclipse-sumo"))).encode()).hexdigest()[:20]
    folder = cache / made_from
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=cache, prefix=".building-"))
        try:
            for file, content in sources.items():
                (aside / file).write_bytes(content)
            done = subprocess.run([netconvert, *options], cwd=aside, capture_output=True, text=True)
            if done.returncode:
                raise DataError(f"building town {name}: netconvert says {' '.join(done.stderr.split())[:300]}")
            try:
                aside.rename(folder)
            except OSError:  # another worker was quicker, and built the same
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder / "town.net.xml"


def written(sketch: Sketch) -> tuple[str, str]:
    """A sketch as netconvert's files of nodes and edges, with pavements, parking strips and bicycle lanes put on."""
    nodes = [
        f'<node id="{name}" x="{x}" y="{y}" type="{sketch.kinds.get(name, "priority")}"/>'
        for name, (x, y) in sketch.nodes.items()
    ]
    edges: list[str] = []
    rings: dict[str, list[tuple[int, str]]] = {}
    for index, street in enumerate(sketch.streets):
        points = [sketch.nodes[street.start], *street.shape, sketch.nodes[street.end]]
        shape = " ".join(f"{x},{y}" for x, y in points)
        lanes = _lanes(street)
        rows = "".join(f'<lane index="{i}" {lane}/>' for i, lane in enumerate(lanes))
        spread = "center" if street.kind != "street" else "right"
        edges.append(
            f'<edge id="e{index}" from="{street.start}" to="{street.end}" numLanes="{len(lanes)}" '
            f'speed="{street.speed}" priority="{_priority(street)}" spreadType="{spread}" shape="{shape}">{rows}</edge>'
        )
        if street.ring:
            rings.setdefault(street.ring, []).append((index, street.start))
    for members in rings.values():
        on_ring = " ".join(f"e{index}" for index, _ in members)
        edges.append(f'<roundabout nodes="{" ".join(node for _, node in members)}" edges="{on_ring}"/>')
    return "<nodes>" + "\n".join(nodes) + "</nodes>", "<edges>" + "\n".join(edges) + "</edges>"


def _priority(street: Street) -> int:
    return {"ring": 10, "motorway": 12}.get(street.kind, 4 if street.lanes > 1 else 2 if street.speed > 10 else 1)


def _lanes(street: Street) -> list[str]:
    """netconvert's attributes of the lanes of one carriageway, from the right."""
    if street.kind == "motorway":
        return ['allow="passenger truck bus motorcycle emergency" width="3.6"'] * street.lanes
    cars = 'disallow="pedestrian tram rail rail_urban" width="{}"'.format("4.2" if street.kind == "ring" else "3.3")
    pavement = 'allow="pedestrian" width="2.2"'
    if street.kind == "ring":
        return [pavement, cars]
    if street.lanes > 1:
        return [pavement, 'allow="bicycle" width="1.6"', *[cars] * street.lanes]
    if street.speed < 15:
        return [pavement, 'disallow="all" width="2.2"', cars]
    return [pavement, cars]
