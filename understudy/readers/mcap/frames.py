"""The tree of frames that transforms build, and where one frame is in another over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from understudy.geometry import rigid, rotation
from understudy.records import Floats, Ints


@dataclass
class Edge:
    """parent_T_child, measured at some times."""

    parent: str
    t_ns: list[int] = field(default_factory=list)
    place: list[Sequence[float]] = field(default_factory=list)  # x, y, z, and the quaternion w, x, y, z

    @property
    def moves(self) -> bool:
        return len(self.t_ns) > 1 and bool(np.ptp(np.array(self.place), axis=0).max() > 0)

    def at(self, at_ns: Ints) -> Floats:
        """parent_T_child (T, 4, 4) between the measurements, and as at the nearest one outside of them."""
        t_ns, first = np.unique(np.array(self.t_ns, np.int64), return_index=True)
        place = np.array(self.place, float)[first]
        length = np.linalg.norm(place[:, 3:], axis=1)
        if (turned := np.isfinite(length) & (length > 1e-6)).any():  # what turns nowhere says nothing
            t_ns, place = t_ns[turned], place[turned]
        t, at = (t_ns - t_ns[0]) / 1e9, (at_ns - t_ns[0]) / 1e9
        # q and -q are one turn: the sign of each is chosen to lie near the one before.
        place[1:, 3:] *= np.cumprod(np.sign(np.sum(place[1:, 3:] * place[:-1, 3:], axis=1) + 1e-12))[:, None]
        return matrices(np.stack([np.interp(at, t, column) for column in place.T], axis=-1))


def matrices(place: Floats) -> Floats:
    """Transforms (T, 4, 4) from rows (T, 7) of x, y, z and a quaternion w first; nan where it has no length."""
    place = np.asarray(place, float)
    q = place[:, 3:].copy()
    q[~(np.linalg.norm(q, axis=1) > 1e-6)] = np.nan
    return rigid(rotation(*q.T), place[:, :3])


def inverse(a_T_b: Floats) -> Floats:
    """b_T_a of rigid transforms (..., 4, 4)."""
    turn = np.swapaxes(a_T_b[..., :3, :3], -1, -2)
    return rigid(turn, -(turn @ a_T_b[..., :3, 3:])[..., 0])


@dataclass
class Frames:
    """Frames by name, each with the edge to its parent: the first that a file names, unless that would close a ring."""

    edges: dict[str, Edge] = field(default_factory=dict)

    def add(self, t_ns: int, parent: str, child: str, place: Sequence[float]) -> None:
        if child not in self.edges and child not in self.chain(parent):
            self.edges[child] = Edge(parent)
        if child in self.edges and self.edges[child].parent == parent:
            self.edges[child].t_ns.append(t_ns)
            self.edges[child].place.append(place)

    def names(self) -> set[str]:
        return {name for child, edge in self.edges.items() for name in (child, edge.parent)}

    def chain(self, frame: str) -> list[str]:
        """The frame, its parent, and so on to the root."""
        names = [frame]
        while names[-1] in self.edges:
            names.append(self.edges[names[-1]].parent)
        return names

    def root(self, frame: str) -> str:
        return self.chain(frame)[-1]

    def clock(self, frame: str) -> Ints | None:
        """When the most often measured of the edges above a frame was measured; None if none of them moves."""
        moving = [self.edges[name] for name in self.chain(frame)[:-1] if self.edges[name].moves]
        return np.unique(max((edge.t_ns for edge in moving), key=len)) if moving else None

    def transform(self, target: str, source: str, at_ns: Ints) -> Floats | None:
        """target_T_source (T, 4, 4); None where no tree holds both."""
        up, down = self.chain(source), self.chain(target)
        meeting = next((name for name in up if name in down), None)
        if meeting is None:
            return None
        meet_T_source = self._above(up[: up.index(meeting)], at_ns)
        meet_T_target = self._above(down[: down.index(meeting)], at_ns)
        return inverse(meet_T_target) @ meet_T_source

    def _above(self, names: Sequence[str], at_ns: Ints) -> Floats:
        matrix = np.broadcast_to(np.eye(4), (len(at_ns), 4, 4))
        for name in names:
            matrix = self.edges[name].at(at_ns) @ matrix
        return matrix
