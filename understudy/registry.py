"""Who may drive: models by hash with all that is known of them, every verdict, and who is champion.

What changes lies in SQLite (`registry.db` in the lake), because promoting is a transaction; the models themselves lie
beside it by their contents, under the names that they came with (`models/HASH/pilot.onnx` and its card). A name such as
`lane_follow` is an entry too: its hash is that of its code. It also knows which clips bind, and so what the regression
suite of a lake is, and what may be learned from.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.records import Clip
from understudy.store import Lake, digest
from understudy.store.files import write_whole
from understudy.store.reviews import kept_clips, reached, regression_clips

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (hash TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, card TEXT NOT NULL,
    added TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS verdicts (id TEXT PRIMARY KEY, champion TEXT NOT NULL, candidate TEXT NOT NULL,
    outcome TEXT NOT NULL, verdict TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reigns (seq INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL REFERENCES models (hash),
    verdict TEXT REFERENCES verdicts (id), why TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS binding (clip TEXT PRIMARY KEY, champion TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bound (clip TEXT PRIMARY KEY, drive TEXT NOT NULL, start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL, place TEXT NOT NULL);
"""
_WHERE = ("drive", "start_ns", "end_ns", "place")  # a clip lies


@dataclass(frozen=True)
class Model:
    """A model as the registry knows it; `card` is the JSON beside the ONNX, empty for what is no file."""

    hash: str
    name: str
    spec: str  # what a command is told to have it drive
    card: Mapping[str, Any] = field(default_factory=dict)
    added: str = ""


@dataclass(frozen=True)
class Reign:
    """Who became champion, by which verdict or why without one."""

    seq: int
    model: str
    verdict: str | None
    why: str
    at: str


class Registry:
    """The registry of a lake. Whoever becomes champion does so in one transaction, with the reasons for it; a lake
    without a registry is one with nothing in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # Models -----------------------------------------------------------------------------------------------------------

    def add(self, name: str, hash: str, spec: str) -> Model:
        """Remember who has driven. A model file is copied into the lake with its card, and is driven from there."""
        card: dict[str, Any] = {}
        if spec.endswith(".onnx"):
            source = Path(spec)
            spec = f"models/{hash}/{source.name}"
            kept = self.root / spec
            told = source.with_suffix(".json").read_bytes()
            card = json.loads(told)
            if not kept.is_file():
                write_whole(kept.with_suffix(".json"), told)
                write_whole(kept, source.read_bytes())
        with self._open() as db:
            db.execute(
                "INSERT OR IGNORE INTO models VALUES (?, ?, ?, ?, ?)", (hash, name, spec, json.dumps(card), _now())
            )
        return self.model(hash)

    def models(self) -> list[Model]:
        """All models, in the order in which they came."""
        with self._open() as db:
            rows = db.execute("SELECT hash, name, spec, card, added FROM models ORDER BY added, hash").fetchall()
        return [
            Model(hash, name, str(self.root / spec) if spec.endswith(".onnx") else spec, json.loads(card), added)
            for hash, name, spec, card, added in rows
        ]

    def model(self, wanted: str) -> Model:
        """The model of that hash or name (`model:` before it is allowed), or the only one whose hash begins so."""
        wanted = wanted.removeprefix("model:")
        known = self.models()
        if not known:
            raise UnderstudyError(
                f"no model named {wanted!r}: there are none yet; `understudy gate A B` makes both known"
            )
        named = [one for one in known if wanted in (one.hash, one.name)]
        found = named[-1:] or [one for one in known if one.hash.startswith(wanted)]
        if len(found) != 1:
            raise UnknownName("single model" if found else "model", wanted, (one.name for one in known))
        return found[0]

    def spec(self, given: str) -> str:
        """What the gate is to be told for `champion`, `model:HASH`, or anything that names a driver by itself."""
        model = self._meant(given)
        return model.spec if model else given

    def assert_same(self, given: str, hash: str) -> None:
        """Raise UnderstudyError where `champion` or `model:HASH` would drive as another than it was judged: a policy of
        code that has changed since, or one that was judged with settings of its own."""
        model = self._meant(given)
        if model and model.hash != hash:
            raise UnderstudyError(
                f"{given} is {model.name} with the code and the settings that it was judged with, and `{model.spec}` "
                "drives otherwise by now: tell its settings by --set, or have it judged anew under its own name"
            )

    def _meant(self, given: str) -> Model | None:
        if given == "champion":
            if (reigns := self.reigns()) == []:
                raise UnderstudyError("there is no champion yet; `understudy promote MODEL --why ...` names the first")
            return self.model(reigns[-1].model)
        return self.model(given) if given.startswith("model:") else None

    # Verdicts ---------------------------------------------------------------------------------------------------------

    def record(self, verdict: bytes, specs: Mapping[str, str]) -> str:
        """Keep a verdict (as `gate.report.as_json` writes it) and both models, and bind the clips that its champion
        has passed reliably, if it is or was champion here; its identifier. `specs` say how to have each of the two
        drive, by name."""
        told = json.loads(verdict)
        for side in ("champion", "candidate"):
            self.add(told[side], told[f"{side}_hash"], specs[told[side]])
        id = digest(verdict)
        row = (id, told["champion_hash"], told["candidate_hash"], told["outcome"], verdict.decode(), _now())
        reliable = [clip for clip in told["clips"] if clip["champion"] == 5]
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
            if any(one.model == told["champion_hash"] for one in _reigns(db)):
                db.executemany(
                    "INSERT OR IGNORE INTO binding VALUES (?, ?, ?)",
                    [(clip["clip"], told["champion_hash"], _now()) for clip in reliable],
                )
                db.executemany(
                    "INSERT OR IGNORE INTO bound VALUES (?, ?, ?, ?, ?)",
                    [tuple(clip[name] for name in ("clip", *_WHERE)) for clip in reliable if clip.get("drive")],
                )
        return id

    def verdicts(self, hash: str) -> list[dict[str, Any]]:
        """The verdicts on a model, and those of candidates against it, oldest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT id, at, verdict FROM verdicts WHERE ? IN (champion, candidate) ORDER BY at, id", (hash,)
            ).fetchall()
        return [{"id": id, "at": at, **json.loads(verdict)} for id, at, verdict in rows]

    def binding(self) -> dict[str, Clip | None]:
        """The clips that no candidate may fail, by identifier; none of one that was bound before it was told where it
        lies. The set only grows, whatever mining chooses by now."""
        with self._open() as db:
            rows = db.execute(f"SELECT clip, {', '.join(_WHERE)} FROM binding LEFT JOIN bound USING (clip)").fetchall()
        return {
            clip: None if drive is None else Clip(clip, drive, start_ns, end_ns, (), place, "regression")
            for clip, drive, start_ns, end_ns, place in rows
        }

    # Champions --------------------------------------------------------------------------------------------------------

    def reigns(self) -> list[Reign]:
        """All champions, the present one last."""
        with self._open() as db:
            return _reigns(db)

    def promote(self, wanted: str, why: str = "") -> Reign:
        """Make a model champion. It takes a verdict `promote`, the newest of the two, against the present one, or a
        reason why not."""
        model = self.model(wanted)
        with self._crowning() as (db, reigns):
            present = reigns[-1].model if reigns else None
            if model.hash == present:
                raise UnderstudyError(f"{model.name} is the champion already")
            newest = db.execute(
                "SELECT id, outcome FROM verdicts WHERE champion = ? AND candidate = ? "
                "ORDER BY at DESC, id DESC LIMIT 1",
                (present, model.hash),
            ).fetchone()
            won = newest[0] if newest and newest[1] == "promote" else None
            if not won and not why:
                if present is None:
                    raise UnderstudyError(f"{model.name} would be the first champion: say why with --why")
                raise UnderstudyError(
                    f"{model.name} has no verdict `promote` against the champion: run `understudy gate champion "
                    f"model:{model.hash[:8]}`, or say why with --why"
                )
            return _crown(db, model.hash, won, why or "by verdict")

    def rollback(self, why: str = "rolled back") -> Reign:
        """Make the champion before the present one champion again: who reigned last before it first did."""
        with self._crowning() as (db, reigns):
            models = [one.model for one in reigns]
            before = models[: models.index(models[-1])] if models else []
            if not before:
                raise UnderstudyError("there is no earlier champion to go back to")
            return _crown(db, before[-1], None, why)

    @contextmanager
    def _crowning(self) -> Iterator[tuple[sqlite3.Connection, list[Reign]]]:
        """A transaction in which nobody else becomes champion, and the champions so far."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db, _reigns(db)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "registry.db"
        try:
            db = sqlite3.connect(path, timeout=30.0)
        except sqlite3.OperationalError as error:
            raise DataError(f"opening the registry: {error}; {path}") from error
        try:
            db.executescript(_SCHEMA)
            with db:
                yield db
        except sqlite3.DatabaseError as error:
            raise DataError(f"reading the registry: {error}; {path}") from error
        finally:
            db.close()


def _reigns(db: sqlite3.Connection) -> list[Reign]:
    return [Reign(*row) for row in db.execute("SELECT * FROM reigns ORDER BY seq")]


def _crown(db: sqlite3.Connection, hash: str, verdict: str | None, why: str) -> Reign:
    db.execute("INSERT INTO reigns (model, verdict, why, at) VALUES (?, ?, ?, ?)", (hash, verdict, why, _now()))
    return _reigns(db)[-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


# What binds -----------------------------------------------------------------------------------------------------------


def regression_suite(lake: Lake) -> list[Clip]:
    """All that the gate asks: the clips that mining kept for regression, those that reviewers sent there, and what
    binds, whatever is mined or said by now."""
    kept = regression_clips(lake)
    if not (lake.root / "registry.db").is_file():
        return kept
    known = {clip.id for clip in kept}
    bound = Registry(lake.root).binding()
    return kept + [clip for id, clip in bound.items() if clip is not None and id not in known]


def used_for_training(lake: Lake) -> list[Clip]:
    """Clips chosen for training, but those of drives of which the regression suite has a clip, and those that reach
    into a place that one of its clips reaches into."""
    asked = regression_suite(lake)
    drives, places = {clip.drive for clip in asked}, frozenset().union(*reached(lake, asked).values())
    clips = [clip for clip in kept_clips(lake) if clip.side == "train" and clip.drive not in drives]
    lie_in = reached(lake, clips)
    return [clip for clip in clips if lie_in[clip.id].isdisjoint(places)]


# The model card -------------------------------------------------------------------------------------------------------


def model_card(registry: Registry, wanted: str) -> str:
    """What is known of a model, in Markdown, under the headings of Mitchell et al. (2019), as far as they apply."""
    model = registry.model(wanted)
    card, verdicts = model.card, registry.verdicts(model.hash)
    reigns = [one for one in registry.reigns() if one.model == model.hash]
    data, made = card.get("data", {}), card.get("made", {})
    details = {
        "Hash": f"`{model.hash}`",
        "Runs as": f"`{Path(model.spec).name}`",
        "Parents": _listed(card.get("parents", ())),
        "Code": card.get("code", ""),
        "Parameters": _told(made.get("parameters", "")),
        "Learned to say": _listed(made.get("labels", ())),
        "Needs": _listed(card.get("needs", ())),
        "Champion": "; ".join(f"since {one.at[:16]}, {one.why}" for one in reigns),
    }
    training = {"Places": _listed(data.get("places", ()))} | {
        key.capitalize(): _told(value) for key, value in data.items() if key != "places"
    }
    settings = card.get("settings") or made.get("settings", {})
    sections = [
        f"# {model.name}",
        _section("Model details", details),
        _section("Intended use", {"For": "driving in closed loop behind a gate; never on a road without a driver"}),
        _section("Inputs and outputs", {side: _told(card[side]) for side in ("inputs", "outputs") if side in card}),
        _section("Training data", training),
        _section("Settings", {key: _told(value) for key, value in settings.items()}),
        _section("Evaluation data", _evaluated(verdicts)),
        _section("Metrics", {"Scores": "those of the gate, as docs/gate.md defines them"} if verdicts else {}),
        _evaluation(model, verdicts),
        _section("Quantitative analyses", _analysed(model, verdicts)),
        _section("Caveats", {"Towns": "simulated; what a gate cannot see is in docs/gate.md"} if verdicts else {}),
    ]
    return "\n\n".join(part for part in sections if part) + "\n"


def _evaluated(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The most routes that it has driven in a gate, by suite."""
    routes: dict[str, int] = {}
    for one in verdicts:
        for suite, pairs in one.get("pairs", {}).items():
            routes[suite] = max(routes.get(suite, 0), len(pairs["champion"]))
    return {suite: f"{count} routes" for suite, count in routes.items()}


def _analysed(model: Model, verdicts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Its mean scores in the newest verdict, by suite, with those of the other."""
    newest = [one for one in verdicts if "evidence" in one][-1:]
    found = {}
    for one in newest:
        own, other = ("candidate", "champion") if one["candidate_hash"] == model.hash else ("champion", "candidate")
        for row in one["evidence"]["findings"]:
            if row[own] is not None and row[other] is not None:
                name = f"{row['suite']}, {row['measure'].replace('_', ' ')}"
                found[name] = f"{row[own]:.3f} (`{one[other]}` {row[other]:.3f})"
    return found


def _section(title: str, facts: Mapping[str, str]) -> str:
    lines = [f"- {name}: {value}" for name, value in facts.items() if value]
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _evaluation(model: Model, verdicts: Iterable[Mapping[str, Any]]) -> str:
    lines = []
    for one in verdicts:
        other = "champion" if one["candidate_hash"] == model.hash else "candidate"
        role = "against" if other == "champion" else "challenged by"
        reasons = "; ".join(reason["text"] for reason in one["reasons"])
        lines.append(f"- {role} `{one[other]}`: **{one['outcome']}** ({one['at'][:16]}). {reasons}.")
    return "\n".join(["## Evaluation", "", *lines]) if lines else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _told(value: Any) -> str:
    return f"`{json.dumps(value)}`" if isinstance(value, dict | list) else str(value)
