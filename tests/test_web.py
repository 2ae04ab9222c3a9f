"""The page: that its pictures are where closed form says, that it keeps to itself, and that it stays good with less."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import steady_turn
from understudy import mine
from understudy.errors import UnderstudyError
from understudy.geometry import compose, constant_turn
from understudy.identifiers import parse
from understudy.records import (
    NS,
    Camera,
    Clip,
    Drive,
    Event,
    Floats,
    Kind,
    Lane,
    Light,
    Lights,
    Map,
    Objects,
    Plan,
    Shadow,
)
from understudy.store import Lake
from understudy.web import bev
from understudy.web.camera import ribbon, shots, smaller
from understudy.web.card import Card, Found, card, says
from understudy.web.moment import Intent, at_worst, compare, moment
from understudy.web.page import About, render, yields
from understudy.web.show import clips_of, show
from understudy.web.signals import number, signals

STEPS = np.arange(1, 9) / 2


# Drives ---------------------------------------------------------------------------------------------------------------


def plan(poses: Floats, drive: Drive) -> Plan:
    """The same plan (K, 4) at every instant of a drive."""
    return Plan.single(np.repeat(poses[None], len(drive), axis=0))


def straight_plan(speed: float, aside: float = 0.0) -> Floats:
    """A plan that goes straight on, drifting to the left at a steady rate: `aside` metres a second."""
    return np.stack([speed * STEPS, aside * STEPS, 0 * STEPS, np.full(8, speed)], axis=-1)


def shadowed(drive: Drive, **plans: Floats) -> Drive:
    far = np.linspace(0, 1, len(drive))
    runs = {name: Shadow(name, plan(poses, drive), {"mean_displacement": far}) for name, poses in plans.items()}
    return replace(drive, shadows=runs)


class Painted:
    """Pictures of one colour."""

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.count = count
        packed = io.BytesIO()
        Image.new("RGB", size, (90, 120, 150)).save(packed, "PNG")
        self.packed = packed.getvalue()

    def __len__(self) -> int:
        return self.count

    def read(self, indices: object) -> np.ndarray:
        raise AssertionError("a page asks for pictures one at a time")

    def encoded(self, index: int) -> tuple[str, bytes]:
        return "png", self.packed


def camera(drive: Drive, name: str = "front", calibrated: bool = True, size: tuple[int, int] = (640, 480)) -> Camera:
    """Level, 1.5 m above the rear axle, looking ahead, with a focal length of 400 pixels."""
    K = np.array([[400.0, 0.0, 320.0], [0.0, 400.0, 240.0], [0.0, 0.0, 1.0]])
    ego_T_cam = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]])
    pictures = Painted(len(drive), size)
    return Camera(name, size, drive.t_ns, pictures, *((K, ego_T_cam) if calibrated else ()))


def others(drive: Drive, ahead: float, left: float, kind: Kind = Kind.CAR) -> Drive:
    """The drive with one object that keeps its place in the ego frame, headed as the ego."""
    count = len(drive)
    place = compose(drive.poses, np.array([ahead, left, 0.0]))
    columns = {
        "track": np.zeros(count),
        "kind": np.full(count, int(kind)),
        "x": place[:, 0],
        "y": place[:, 1],
        "yaw": place[:, 2],
        "length": np.full(count, 4.0),
        "width": np.full(count, 2.0),
        "vx": np.zeros(count),
        "vy": np.zeros(count),
    }
    return replace(drive, objects=Objects(np.arange(count + 1), columns))


def road() -> Map:
    """One lane along x, 4 m wide, that ends in a light at 120 m."""
    centre = np.array([[-50.0, 0.0], [120.0, 0.0]])
    ring = np.array([[-50.0, -2.0], [120.0, -2.0], [120.0, 2.0], [-50.0, 2.0]])
    return Map((Lane("a", centre, ring),), stop_lines=(np.array([[120.0, -2.0], [120.0, 2.0]]),))


def clip_of(drive: Drive, start_s: float = 2.0, end_s: float = 8.0, *events: Event, **more: str) -> Clip:
    start, end = (int(drive.t_ns[0] + s * NS) for s in (start_s, end_s))
    return Clip(
        **{"id": "clip:1f", "drive": drive.id, "place": "town", **more}, start_ns=start, end_ns=end, events=events
    )


def event_of(
    drive: Drive, trigger: str = "hard_brake", score: float = 4.0, start_s: float = 4.0, end_s: float = 5.0
) -> Event:
    return Event(drive.id, int(start_s * NS), int(end_s * NS), score, trigger)


# Reading pictures back ------------------------------------------------------------------------------------------------


def paths(svg: str, look: str) -> list[Floats]:
    """The points of every path of a class, in the ego frame: x forward, y left."""
    found = []
    for d in re.findall(rf'<path class="{look}" d="([^"]*)"', svg):
        for piece in re.findall(r"M[^M]*", d):
            points: list[Floats] = []
            for letter, numbers in re.findall(r"([MlC])([^A-Za-z]*)", piece):
                values = np.array(re.findall(r"-?[\d.]+(?:e-?\d+)?", numbers), float).reshape(-1, 2)
                points.append(points[-1] + values[0] if letter == "l" else values[-1])
            found.append(np.array([[-y, -x] for x, y in points]))
    return found


class Page(HTMLParser):
    """A page taken apart; an element that is closed in the wrong order, or never, is an error."""

    VOID = frozenset(("meta", "input", "img", "br", "link"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self.inside: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        here = self.open[-1] if self.open else ""
        if here in ("style", "script", "title"):
            self.inside[here] = self.inside.get(here, "") + data
        else:
            self.words += data + " "

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def page_of(*cards: Card, **about: object) -> str:
    return render(cards, About(**{"title": "Moments", "lead": "What happened.", **about}))  # type: ignore[arg-type]


@pytest.fixture
def full() -> Drive:
    """A drive that has everything a page can show."""
    drive = steady_turn(yaw_rate=0.0)
    drive = others(replace(drive, map=road()), 30.0, 3.5)
    drive = replace(drive, lights=Lights(("a",), np.full((1, 3), np.nan), np.full((len(drive), 1), Light.RED)))
    drive = replace(drive, cameras=(camera(drive, "left", False), camera(drive)))
    return shadowed(drive, keeps=straight_plan(10.0), drifts=straight_plan(10.0, 0.3))


# The moment -----------------------------------------------------------------------------------------------------------


def test_a_plan_parts_at_the_first_step_beyond_half_a_metre(straight: Drive) -> None:
    (intent,) = moment(shadowed(straight, drifts=straight_plan(10.0, 0.3)), 20).intents
    assert intent.parts_s == 2.0  # 0.3 m/s: 0.45 m after 1.5 s, 0.6 m after 2 s
    assert intent.aside == pytest.approx(0.6)
    assert intent.apart == pytest.approx(1.2)
    assert str(intent) == "leaves the driven path after 2.0 s, to the left, 1.2 m apart at 4 s"


def test_a_plan_that_is_only_slower_stays_on_the_path(straight: Drive) -> None:
    (intent,) = moment(shadowed(straight, slow=straight_plan(5.0)), 20).intents
    assert intent.parts is None
    assert intent.further == pytest.approx(-20.0)
    assert str(intent) == "stays on the driven path, 20.0 m short at 4 s"


def test_a_plan_that_does_as_the_driver_agrees(straight: Drive) -> None:
    (intent,) = moment(shadowed(straight, same=straight_plan(10.0)), 20).intents
    assert str(intent) == "does as was driven"


def test_a_path_that_ends_early_is_compared_as_far_as_it_goes(straight: Drive) -> None:
    late = moment(shadowed(straight, drifts=straight_plan(10.0, 0.3)), len(straight) - 16).intents[0]
    assert late.parts is None, "it parts at 2 s, and 1.5 s are left"
    assert str(late) == "has nothing to be compared with"


def test_standing_still_has_a_path_straight_ahead() -> None:
    still = np.zeros((41, 3)) + np.random.default_rng(0).normal(0, 0.01, (41, 3))
    intent = compare(Intent("goes", "p1", straight_plan(5.0, 0.3)[None], np.ones(1)), still)
    assert intent.parts_s == 2.0
    assert intent.further == pytest.approx(20, abs=0.1)


def test_a_plan_touches_what_stands_in_its_way(straight: Drive) -> None:
    drive = others(straight, 0.0, 0.0)
    columns = {**drive.objects.columns, "x": np.full(len(drive), 50.0)} if drive.objects else {}
    drive = replace(drive, objects=Objects(np.arange(len(drive) + 1), columns))
    drive = shadowed(drive, goes=straight_plan(10.0), stops=straight_plan(2.0))
    goes, stops = moment(drive, 20).intents  # at 20 m; the car's rear is at 48 m, our front 3.7 m ahead of the axle
    assert goes.contact is not None
    assert goes.contact.after_s == pytest.approx(2.5)  # (48 - 20 - 3.7) / 10, the next tenth
    assert str(goes).endswith("and touches a car after 2.5 s")
    assert stops.contact is None


def test_what_is_touched_from_the_beginning_is_nobody_s_fault(straight: Drive) -> None:
    drive = shadowed(others(straight, 3.0, 0.0), goes=straight_plan(10.0))
    assert moment(drive, 20).intents[0].contact is None


def test_the_moment_is_where_a_plan_is_furthest_off(straight: Drive) -> None:
    drive = shadowed(straight, drifts=straight_plan(10.0, 0.3))
    assert at_worst(drive, 2 * NS, 8 * NS) == 80
    assert at_worst(straight, 2 * NS, 8 * NS) == 50, "without plans it is the middle"


def test_a_policy_looks_the_same_where_another_is_missing(straight: Drive) -> None:
    drive = shadowed(straight, second=straight_plan(10.0))
    (intent,) = moment(drive, 20, order=("first", "second")).intents
    assert intent.look == "p2"


def test_a_policy_without_a_plan_is_not_drawn(straight: Drive) -> None:
    drive = shadowed(straight, mute=np.full((8, 4), np.nan))
    assert moment(drive, 20).intents == ()
    assert 'class="plan' not in bev.svg(moment(drive, 20))


# From above -----------------------------------------------------------------------------------------------------------


def test_the_driven_path_is_the_arc_that_was_driven(arc: Drive) -> None:
    (drawn,) = paths(bev.svg(moment(arc, 20)), "human")
    wanted = constant_turn(np.float64(10.0), np.float64(0.1), np.arange(41) / 10)[:, :2]
    # Between two instants, which are a tenth apart, the recording is straight; here both fall on instants.
    np.testing.assert_allclose(drawn, wanted, atol=0.006)


def test_a_plan_passes_through_its_poses(arc: Drive) -> None:
    planned = np.concatenate([constant_turn(np.float64(10.0), np.float64(-0.1), STEPS), np.full((8, 1), 10.0)], axis=-1)
    (drawn,) = paths(bev.svg(moment(shadowed(arc, right=planned), 20)), "plan p1")
    np.testing.assert_allclose(drawn, np.concatenate([np.zeros((1, 2)), planned[:, :2]]), atol=0.006)


def test_an_object_ahead_and_to_the_left_is_drawn_up_and_to_the_left(arc: Drive) -> None:
    box, nose = paths(bev.svg(moment(others(arc, 20.0, 5.0), 30)), "car")
    np.testing.assert_allclose(box, [[22, 6], [22, 4], [18, 4], [18, 6]], atol=0.011)
    np.testing.assert_allclose(nose, [[20, 5], [22, 5]], atol=0.011)


def test_an_object_of_unknown_heading_is_a_circle(straight: Drive) -> None:
    drive = others(straight, 20.0, 5.0)
    assert drive.objects is not None
    columns = {**drive.objects.columns, "yaw": np.full(len(drive), np.nan), "width": np.full(len(drive), np.nan)}
    drawn = bev.svg(moment(replace(drive, objects=Objects(drive.objects.starts, columns)), 30))
    assert re.search(r'class="car" d="M[-\d. ]+a', drawn)


def test_the_road_reaches_from_edge_to_edge_and_the_light_stands_at_its_end(full: Drive) -> None:
    drawn = bev.svg(moment(full, 100))  # at 100 m: 20 m before the end
    (asphalt,) = paths(drawn, "asphalt")
    assert asphalt[:, 0].max() == pytest.approx(20.0)
    assert set(np.abs(asphalt[:, 1])) == {2.0}
    (light,) = paths(drawn, "light red")
    np.testing.assert_allclose(light, [[20.0, 1.4], [20.0, -1.4]], atol=0.006)


def test_without_a_map_there_is_a_grid(straight: Drive) -> None:
    drawn = bev.svg(moment(straight, 20))
    assert 'class="grid"' in drawn and 'class="asphalt"' not in drawn


def test_where_a_plan_parts_is_marked_with_the_time(full: Drive) -> None:
    drawn = bev.svg(moment(full, 20))
    (gap,) = paths(drawn, "parts p2")
    np.testing.assert_allclose(gap, [[20.0, 0.0], [20.0, 0.6]], atol=0.006)
    assert ">2.0 s</text>" in drawn
    assert 'class="ring p1"' not in drawn, "the other does as was driven"


def test_the_words_of_two_marks_keep_clear_of_each_other(straight: Drive) -> None:
    drive = shadowed(straight, one=straight_plan(10.0, 0.3), two=straight_plan(10.0, 0.31))
    drawn = bev.svg(moment(drive, 20))
    places = [float(y) for y in re.findall(r'<text class="p\d" x="[-\d.]+" y="([-\d.]+)"', drawn)]
    assert len(places) == 2
    assert abs(places[0] - places[1]) >= bev.View.of(moment(drive, 20)).text


def test_playing_turns_the_ground_under_the_ego(arc: Drive) -> None:
    """A frame's ground transform must take what stands still to where the frame's own ego sees it."""
    drawn = bev.svg(moment(replace(arc, map=road()), 20), frames=[40])
    found = re.search(r'data-s="4.00" data-ground="rotate\(([-\d.]+)\) translate\(([-\d.]+) ([-\d.]+)\)"', drawn)
    assert found
    turn, right, down = np.radians(float(found[1])), float(found[2]), float(found[3])
    stands = np.array([30.0, 4.0, 0.0])  # in the map
    x, y = bev.draw.screen(compose_inverse(arc.poses[20], stands))
    moved = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [x + right, y + down]
    np.testing.assert_allclose(moved, bev.draw.screen(compose_inverse(arc.poses[40], stands)), atol=0.02)


def compose_inverse(map_T_ego: Floats, map_point: Floats) -> Floats:
    x, y, yaw = map_T_ego
    dx, dy = map_point[0] - x, map_point[1] - y
    return np.array([np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx])


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4), yaw=st.floats(-3, 3))
def test_the_picture_does_not_depend_on_where_the_map_begins(x: float, y: float, yaw: float) -> None:
    here, there = (others(steady_turn(seconds=6.0, start=start), 20.0, 5.0) for start in ((0, 0, 0), (x, y, yaw)))
    for look in ("human", "car", "past"):
        for one, other in zip(
            paths(bev.svg(moment(here, 15)), look), paths(bev.svg(moment(there, 15)), look), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=0.021)


# From the cameras -----------------------------------------------------------------------------------------------------


def test_a_ribbon_lies_where_the_pinhole_says(straight: Drive) -> None:
    path = np.stack([np.linspace(0, 40, 41), np.zeros(41), np.zeros(41)], axis=-1)
    outline = ribbon(path, camera(straight), width=2.0)
    left = outline[: len(outline) // 2]
    # Ground 1.5 m below, 1 m to the left: u = 320 - 400 / x, v = 240 + 400 * 1.5 / x.
    near, far = 1.5, 40.0  # the first half metre beyond the nearest that is drawn, and the end
    np.testing.assert_allclose(left[0], [320 - 400 / near, 240 + 600 / near], atol=1e-6)
    np.testing.assert_allclose(left[-1], [320 - 400 / far, 240 + 600 / far], atol=1e-6)


def test_a_ribbon_is_moved_to_when_the_picture_was_taken(straight: Drive) -> None:
    """A picture that is half a second old was taken 5 m further back."""
    drive = shadowed(straight, short=straight_plan(1.5))  # 6 m long
    old = replace(camera(drive), t_ns=drive.t_ns[:1], pictures=Painted(1, (640, 480)))
    (shot,) = shots(moment(replace(drive, cameras=(old,)), 5))
    assert shot.before_s == pytest.approx(0.5)
    found = re.search(r'class="p1" points="([^"]*)"', shot.overlay)
    assert found
    heights = [float(point.split(",")[1]) for point in found[1].split()]
    assert min(heights) == round(240 + 600 / 11)  # its end: 5 m + 6 m ahead of the lens


def test_a_camera_without_calibration_is_only_looked_at(full: Drive) -> None:
    front, left = shots(moment(full, 50))
    assert front.name == "front" and 'class="human"' in front.overlay
    assert left.name == "left" and left.overlay == ""


def test_pictures_are_jpeg_inside_the_page_and_no_wider_than_asked(full: Drive) -> None:
    front, left = shots(moment(full, 50), width=320, others=100)
    for shot, width in ((front, 320), (left, 100)):
        kind, packed = shot.uri.split(",")
        assert kind == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(packed))).size == (width, width * 3 // 4)


@pytest.mark.parametrize(("width", "size"), [(1, (1, 1)), (16, (16, 4)), (100, (64, 16))])
def test_a_picture_is_made_smaller_down_to_a_single_pixel(width: int, size: tuple[int, int]) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (64, 16)).save(packed, "PNG")
    with Image.open(io.BytesIO(smaller(packed.getvalue(), width))) as image:
        assert image.size == size


def test_a_picture_that_cannot_be_read_says_so_and_the_page_goes_on(full: Drive) -> None:
    broken = Painted(len(full), (640, 480))
    broken.packed = broken.packed[:40]
    drive = replace(full, cameras=(replace(camera(full), pictures=broken),))
    text = page_of(card(1, drive, clip_of(drive), {}))
    assert "picture 81 cannot be read" in text
    assert 'class="bev"' in text


# Over time ------------------------------------------------------------------------------------------------------------


def test_a_chart_shows_a_ramp_as_a_straight_line_from_corner_to_corner(straight: Drive) -> None:
    t = straight.t_s
    drive = replace(straight, columns={**straight.columns, "speed": 2 * t})
    (speed, *_) = signals(moment(drive, 50), 0, int(drive.t_ns[-1])).charts
    assert (speed.title, speed.low, speed.high, speed.now) == ("speed", 0.0, 40.0, (("human", "10"),))
    drawn = re.search(r'class="human" d="M([-\d.]+) ([-\d.]+)L.*L([-\d.]+) ([-\d.]+)"', speed.picture)
    assert drawn and [float(value) for value in drawn.groups()] == [0, 90, 1000, 10]


def test_what_is_unknown_breaks_a_line(straight: Drive) -> None:
    gap = np.where((straight.t_s > 5) & (straight.t_s < 10), np.nan, 20.0)
    drive = replace(straight, columns={**straight.columns, "leader_gap": gap})
    chart = next(c for c in signals(moment(drive, 20), 0, int(drive.t_ns[-1])).charts if c.title == "gap to the leader")
    assert chart.picture.count("M") == 2


def test_a_column_that_a_drive_lacks_has_no_chart(straight: Drive) -> None:
    empty = replace(straight, columns={**straight.columns, "leader_gap": np.full(len(straight), np.nan)})
    titles = [chart.title for chart in signals(moment(empty, 20), 0, int(empty.t_ns[-1])).charts]
    assert titles == ["speed", "acceleration", "rate of turn"]


def test_an_event_is_shaded_where_it_was(straight: Drive) -> None:
    found = signals(moment(straight, 40), 2 * NS, 12 * NS, [event_of(straight)], [event_of(straight)])
    bar = '<rect class="shade" x="20.00%" width="10.00%" height="100%"/>'
    assert bar in found.fired["hard_brake"] and bar in found.charts[0].picture


def test_numbers_are_for_people() -> None:
    assert [number(value, 1) for value in (-0.01, -2.55, 3.0, float("nan"))] == ["0.0", "−2.5", "3.0", "–"]


# The page -------------------------------------------------------------------------------------------------------------


def test_a_page_is_well_formed_and_holds_all_that_it_shows(full: Drive) -> None:
    found = {"hard_brake": Found(np.array([4.0, 9.0])), "would_hit": Found(np.array([1.0]))}
    clips = [
        clip_of(full, 2, 8, event_of(full)),
        clip_of(full, 9, 15, event_of(full, "would_hit", 1.0, 11, 12), id="clip:2e"),
    ]
    cards = [card(number, full, clip, found) for number, clip in enumerate(clips, 1)]
    page = Page(page_of(*cards, yields=yields(found, clips)))
    assert page.tags["article"] == 2
    assert sum("bev" in value.split() for value in page.values("class")) == 2
    assert page.tags["img"] == 4
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for words in (
        "steady-turn/2.0:8.0",
        "clip:1f",
        "hard_brake",
        "would_hit",
        "leaves the driven path after 2.0 s",
        "2 of 2",
    ):
        assert words in page.words or any(words in value for value in page.values("data-words")), words


def test_a_page_loads_nothing_and_runs_only_its_own_script(full: Drive) -> None:
    text = page_of(card(1, full, clip_of(full, 2, 8, event_of(full)), {}))
    page = Page(text)
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import", re.sub(r"data:image/jpeg;base64,[\w+/=]+|(?m:^//.*$)", "", text)
    )
    assert all(
        value.startswith(("#", "data:image/jpeg;base64,")) for name in ("src", "href") for value in page.values(name)
    )
    assert page.tags["script"] == page.tags["style"] == 1 and not page.tags["link"]
    assert not page.values("style") and not any(name.startswith("on") for _, name, _ in page.attributes)
    (policy,) = [value for value in page.values("content") if "default-src" in value]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for kind in ("style", "script"):
        allowed = base64.b64encode(hashlib.sha256(page.inside[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{allowed}'" in policy


def test_names_from_strangers_are_text_and_never_markup(full: Drive) -> None:
    evil = """</title><script>alert(1)</script>"' onload=x <img src=x onerror=alert(1)>"""
    drive = shadowed(replace(full, id=evil, cameras=(camera(full, evil),)), **{evil: straight_plan(10.0, 0.3)})
    clip = clip_of(drive, 2, 8, event_of(drive, evil), id=evil, place=evil, side=evil)
    found = {evil: Found(np.array([1.0, 4.0]), evil)}
    cards = [card(number, drive, clip, found) for number in (1, 2)]
    about = {"title": evil, "lead": evil, "made": ((evil, evil),), "settings": evil, "yields": yields(found, [clip])}
    page = Page(page_of(*cards, **about))
    assert page.tags["script"] == 1 and "alert" not in page.inside["script"]
    assert page.tags["img"] == 2
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert evil.split("<script>")[0] in page.inside["title"]


def test_without_pose_map_objects_or_calibration_a_page_is_still_good() -> None:
    t = np.arange(100) / 20
    drive = Drive("tub", (t * NS).astype(np.int64), {"steer": np.sin(t), "throttle": np.full(100, 0.5)})
    drive = replace(drive, cameras=(camera(drive, "camera", False, (160, 120)),))
    shown = card(1, drive, clip_of(drive, 1, 4, event_of(drive, start_s=2, end_s=3)), {})
    page = Page(page_of(shown))
    assert shown.bev == "" and [chart.title for chart in shown.signals.charts] == ["steering", "throttle"]
    assert page.tags["img"] == 1 + 6, "the picture, and a strip of small ones"
    assert not any("bev" in value.split() for value in page.values("class"))


def test_a_drive_with_nothing_but_time_has_a_page() -> None:
    drive = Drive("bare", np.arange(50, dtype=np.int64) * NS // 10, {})
    assert Page(page_of(card(1, drive, clip_of(drive, 0, 4), {}))).tags["article"] == 1


def test_a_pose_that_is_lost_at_the_moment_leaves_the_other_pictures() -> None:
    drive = steady_turn()
    lost = np.where((drive.t_s > 2) & (drive.t_s < 8), np.nan, drive["x"])
    drive = replace(drive, columns={**drive.columns, "x": lost}, cameras=(camera(drive),))
    shown = card(1, drive, clip_of(drive), {})
    assert shown.bev == "" and shown.shots and shown.signals.charts


def test_nothing_kept_is_said() -> None:
    assert "Nothing is kept yet" in Page(page_of()).words


def test_how_strongly_a_trigger_fired_is_its_rank_among_all_that_it_found(full: Drive) -> None:
    found = {"hard_brake": Found(np.array([3.0, 4.0, 5.0, 6.0])), "swerve": Found(np.array([1.0]))}
    clip = clip_of(full, 2, 8, event_of(full, "hard_brake", 5.0), event_of(full, "swerve", 1.0))
    first, second = card(1, full, clip, found).triggers
    assert (first.trigger, first.rank, first.of, first.strength) == ("hard_brake", 2, 4, 0.625)
    assert (second.trigger, second.rank, second.of, second.strength) == ("swerve", 1, 1, 0.5)


def test_a_trigger_speaks_for_itself_but_a_table_cannot_make_us_import() -> None:
    assert says("hard_brake", {"decel": 5.5, "hold_s": 0.3}).startswith("Deceleration above 5.5 for 0.3 s or longer.")
    assert says("this:s", {}) == says("this", {}) == ""


def test_a_sub_score_below_the_driver_s_is_marked(full: Drive) -> None:
    flat = np.ones(len(full))
    columns = {"plan_no_collision": 0 * flat, "human_no_collision": flat, "plan_score": 0 * flat, "human_score": flat}
    columns |= {"plan_lights": np.nan * flat, "human_lights": np.nan * flat, "plan_mask": flat}
    run = Shadow("bold", plan(straight_plan(10.0), full), columns)
    rows = card(1, replace(full, shadows={"bold": run}), clip_of(full), {}).scores
    assert [(row.name, [cell.text for cell in row.cells]) for row in rows] == [
        ("no collision", ["1.00", "0.00"]),
        ("score", ["1.00", "0.00"]),
    ]
    assert [cell.worse for cell in rows[0].cells] == [False, True]


def test_twenty_clips_are_a_few_megabytes(full: Drive) -> None:
    cards = [card(number, full, clip_of(full, 1, 19), {}) for number in range(1, 21)]
    assert len(page_of(*cards)) < 4e6


# The lake -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path: Path, full: Drive) -> Lake:
    """Two drives, two policies in the shadow of each, and what the default triggers find there."""
    made = Lake(tmp_path / "lake")
    plain = replace(full, cameras=())  # a lake keeps where pictures lie, and these lie nowhere
    drives = [replace(plain, id="town/one"), replace(shadowed(plain, keeps=straight_plan(4.0)), id="two")]
    with made.run("ingest", "test", {}, "code") as run:
        for drive in drives:
            made.put_drive(run.part(drive.id, [drive.id]), drive)
    for policy in ("keeps", "drifts"):
        with made.run("shadow", policy, {}, "code") as run:
            for drive in drives:
                if policy in drive.shadows:
                    made.put_shadow(run.part(drive.id, [drive.id]), drive, scored(drive.shadows[policy]))
    mine.run(made, mine.Mine(triggers=("displaced", "leaves_path")))
    return made


def scored(run: Shadow) -> Shadow:
    """The run with what `displaced` and `leaves_path` look at, high from 5 s to 8 s."""
    there = np.zeros(len(run.plan))
    there[50:80] = 5.0
    flat, mask = np.ones(len(there)), np.ones(len(there), np.int64)
    columns = {"mean_displacement": there, "lateral_difference": there, "plan_score": 0.5 * flat, "human_score": flat}
    return replace(run, columns={**columns, "plan_mask": mask, "human_mask": mask})


def test_the_page_of_a_lake_shows_every_kept_clip_and_says_what_it_is(lake: Lake) -> None:
    path = show(lake)
    assert path == lake.root / "pages" / "moments.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inside["title"].startswith("2 moments from 2 drives")
    assert page.tags["article"] == 2 and page.tags["table"] > 2
    assert {"keeps", "drifts", "displaced", "leaves_path", "town/one/1.0:11.9"} <= set(page.words.split())
    assert re.search(r"keeps\s+2\s+.*0\.50\s+1\.00", page.words), "its score and the driver's"


def test_the_same_lake_gives_the_same_page(lake: Lake) -> None:
    first = show(lake).read_bytes()
    assert show(lake).read_bytes() == first
    assert [path.name for path in (lake.root / "pages").iterdir()] == ["moments.html"], "nothing is left aside"


def test_any_moment_has_a_page_by_its_identifier(lake: Lake) -> None:
    (clip, _), event = mine.read_clips(lake), lake.table("events").to_pylist()[0]
    spans = {
        "two/3.0:4.0": [(3.0, 4.0)],
        "two/18:": [(18.0, 20.0)],
        "two": [(0.0, 20.0), (1.0, 11.9)],
        clip.id: [(1.0, 11.9)],
        clip.id[:9]: [(1.0, 11.9)],
        event["id"]: [(1.0, 11.9)],
    }
    for identifier, wanted in spans.items():
        shown = [((c.start_ns) / NS, (c.end_ns) / NS) for c in clips_of(lake, parse(identifier))]
        assert shown == [pytest.approx(span) for span in wanted], identifier
        assert Page(show(lake, identifier).read_text(encoding="utf-8")).tags["article"] == len(wanted)


def test_two_identifiers_never_share_a_page(lake: Lake) -> None:
    pages = {show(lake, identifier) for identifier in ("two/3.0:4.0", "two/3.0:5.0", "town/one", "two")}
    assert len(pages) == 4 and all(path.parent == lake.root / "pages" for path in pages)


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("three", "no drive named 'three'"),
        ("clip:ffff", "no clip named 'clip:ffff'"),
        ("event:ffff", "no event named 'event:ffff'"),
        ("two/30.0:40.0", "two is 20.0 s long; 30 s lies beyond its end"),
        ("model:x", "a page shows drives, stretches of drives, clips and events"),
        ("two/4.0:3.0", "it ends at 3 s, before it begins"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(lake: Lake, identifier: str, words: str) -> None:
    with pytest.raises(UnderstudyError, match=re.escape(words)) as found:
        show(lake, identifier)
    assert "\n" not in str(found.value)


def test_a_lake_without_clips_or_plans_has_a_page(tmp_path: Path, arc: Drive) -> None:
    lake = Lake(tmp_path)
    assert "Nothing is kept yet" in show(lake).read_text(encoding="utf-8")
    with lake.run("ingest", "test", {}, "code") as run:
        lake.put_drive(run.part(arc.id, [arc.id]), arc)
    assert 'class="bev"' in show(lake, "steady-turn/3.0:9.0").read_text(encoding="utf-8")


# Colours --------------------------------------------------------------------------------------------------------------


def colours(theme: int) -> dict[str, str]:
    """The colours of the page's style by name: theme 0 is light, 1 dark."""
    style = (Path(bev.__file__).parent / "page.css").read_text(encoding="utf-8")
    return {name: pair[theme] for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", style)}


def linear(colour: str) -> Floats:
    """Linear RGB of an sRGB colour."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours."""

    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_and_lines_stand_out(theme: int) -> None:
    named = colours(theme)
    for text in ("ink", "soft", "link", "alarm", "human", "p1", "p2", "p3", "p4"):
        for ground in ("paper", "card", "sunk"):
            assert contrast(named[text], named[ground]) >= 4.5, (text, ground)
    for line in ("human", "p1", "p2", "p3", "p4", "red", "ink"):
        for ground in ("offroad", "asphalt", "junction"):
            assert contrast(named[line], named[ground]) >= 3.0, (line, ground)
    assert contrast(named["ink"], named["shade"]) >= 4.5


# Machado, Oliveira and Fernandes (2009), severity 1: what is left of linear RGB.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(linear: Floats) -> Floats:
    """CIELAB of linear sRGB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_colour_blind_tell_the_driver_and_the_plans_apart(theme: int) -> None:
    named = colours(theme)
    for kind, matrix in BLINDNESS.items():
        seen = {look: lab(np.array(matrix) @ linear(named[look])) for look in ("human", "p1", "p2", "p3")}
        for one, other in combinations(seen, 2):
            assert np.hypot.reduce(seen[one] - seen[other]) > 20, (kind, one, other)
