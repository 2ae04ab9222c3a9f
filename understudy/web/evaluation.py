"""The page of an evaluation: its measures, over all and by circumstances, and samples to look at.

Each sample shows its cameras, and the bird's-eye view as it was and as it was said, with the path that was driven and
the modes that were planned.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from understudy.evaluate import Evaluated, Measured, Shown
from understudy.geometry import Grid
from understudy.labelers import UNKNOWN
from understudy.labelers.bev import CLASSES
from understudy.records import Array, Floats, Light
from understudy.store import Lake
from understudy.store.files import write_whole
from understudy.web.signals import number
from understudy.web.standalone import fill

_SCALE = 4  # pixels of a cell
_LIKELY = 0.05  # modes less probable than this are not drawn
_GROUND, _UNKNOWN = (38, 44, 52), (20, 22, 26)
_COLOURS = {  # later ones on top
    "drivable": (96, 104, 114),
    "closed": (150, 44, 52),
    "line": (214, 214, 208),
    "vehicle": (90, 160, 240),
    "vulnerable": (255, 170, 60),
}
_DRIVEN, _PLANNED = (99, 179, 255), (255, 127, 69)
_LAMPS = {0: "none", UNKNOWN: "unknown", **{int(state): state.name.lower() for state in Light if state}}
_PLAN = {"lateral_1s": "aside, m", "lateral_1s_bent": "in bends", "mean_displacement": "apart, m", "score": "score"}


def write(lake: Lake, found: Evaluated) -> Path:
    """Write the page into the lake, and say where it is."""
    path = lake.root / "pages" / f"evaluation-{found.model}.html"
    write_whole(path, render(found).encode())
    return path


def render(found: Evaluated) -> str:
    """The whole page as one HTML text, without a script and without an address."""
    return fill(
        "evaluation.html",
        ["page.css", "evaluation.css"],
        {"number": number},
        found=found,
        classes=CLASSES,
        plan=_PLAN,
        rows=[("all", "", found), *_rows(found)],
        samples=[(one, pictures(one), _image(view(one, True)), _image(view(one, False))) for one in found.shown],
        lamps=_LAMPS,
    )


def _rows(found: Evaluated) -> Iterator[tuple[str, str, Measured]]:
    for what, names in found.by.items():
        for name, one in names.items():
            yield what, name, one


def pictures(one: Shown) -> list[tuple[str, str]]:
    """The cameras' names and pictures."""
    return [(name, _image(picture)) for name, picture in zip(one.names, one.pictures, strict=True)]


def view(one: Shown, said: bool) -> Array:
    """The bird's-eye view from above, the car looking up: as it was said, or as it was; with paths."""
    x, y = one.grid.shape
    image = np.full((x, y, 3), _GROUND, np.uint8)
    layers = one.said_bev[: len(CLASSES)] > 0 if said else one.bev[: len(CLASSES)] == 1
    for name, colour in _COLOURS.items():
        image[layers[CLASSES.index(name)]] = colour
    if not said:
        image[(one.bev[: len(CLASSES)] == UNKNOWN).all(axis=0)] = _UNKNOWN
    seen = Image.fromarray(image[::-1, ::-1]).resize((y * _SCALE, x * _SCALE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(seen)
    if said:
        for mode in np.argsort(one.probability):
            if one.probability[mode] >= _LIKELY:
                best = mode == one.probability.argmax()
                pen.line(_pixels(one.poses[mode], one.grid), fill=_PLANNED, width=3 if best else 1)
    if np.isfinite(one.path).all():
        pen.line(_pixels(one.path, one.grid), fill=_DRIVEN, width=2)
    return np.asarray(seen)


def _pixels(poses: Floats, grid: Grid) -> list[tuple[float, float]]:
    """Poses (K, 4) of the ego frame, from the car on, in the picture of the view."""
    points = np.concatenate([np.zeros((1, 2)), poses[:, :2]])
    cell = (points - np.array([grid.x0, grid.y0])) / grid.cell
    return [(_SCALE * (grid.shape[1] - b), _SCALE * (grid.shape[0] - a)) for a, b in cell.tolist()]


def _image(picture: Array) -> str:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(data, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
