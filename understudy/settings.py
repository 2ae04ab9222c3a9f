"""Settings: TOML into frozen dataclasses.

A stage's settings are the fields of a dataclass in that stage's file; a plug-in's settings are its own fields.
Order: defaults < `understudy.toml` in the lake (for those stages that look into it) < `--set key=value` (the value in
TOML's own grammar; what is not TOML is text).
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from understudy.errors import SettingsError, hint

T = TypeVar("T")


def fill(cls: type[T], settings: Mapping[str, Any], prefix: str = "") -> T:
    """An instance of a dataclass from settings; a wrong name or type is answered with the right one.

    Defaults may be nan or infinite, what is told may not: it would compare with nothing, or end nowhere.
    """
    known = {field.name for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    if prefix not in known and isinstance(own := settings.get(prefix), Mapping):  # `train.lr` as well as `lr`
        settings = merge({name: value for name, value in settings.items() if name != prefix}, own)
    dot = f"{prefix}." if prefix else ""
    for name in settings:
        if name not in known:
            answer = hint(name, known) if known else f"; {prefix or cls.__name__} has no settings"
            raise SettingsError(f"no setting named '{dot}{name}'{answer}")
        if not _finite(settings[name]):
            raise SettingsError(f"{dot}{name} wants finite numbers, got {settings[name]}")
    types = get_type_hints(cls)
    values = {}
    for name, value in settings.items():
        try:
            values[name] = msgspec.convert(value, types[name], strict=True)
        except msgspec.ValidationError as error:
            if "Expected `array`, got `str`" in str(error):
                example = f"""--set '{name}=["a", "b"]'"""
                raise SettingsError(f"{dot}{name} wants a list, as in {example}, got {value!r}") from error
            raise SettingsError(f"{dot}{name}: {error}") from error
    try:
        return cls(**values)
    except TypeError as error:
        missing = [
            f.name
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
            if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ]
        raise SettingsError(f"{prefix or cls.__name__} needs a value for {', '.join(missing) or error}") from error


def _finite(value: Any) -> bool:
    """Whether no number in a value, however deep, is nan or infinite."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def parse(assignments: Iterable[str], names: Collection[str] = ()) -> dict[str, Any]:
    """`rate_hz=20` and `bev.least_px=4` as a nested dict; a value that is not TOML is taken as text.

    Each of `names` is one word at the beginning of a key, whatever dots it has (`my.module:Class.share=0.5`).
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"--set wants key=value, got {assignment!r}")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        key = key.strip()
        name = max((name for name in names if key.startswith(f"{name}.")), key=len, default="")
        *parents, leaf = [*([name] if name else []), *key.removeprefix(f"{name}.").split(".")]
        here = found
        for parent in parents:
            here = here.setdefault(parent, {})
            if not isinstance(here, dict):
                raise SettingsError(f"--set {assignment}: {parent!r} already has a value of its own")
        here[leaf] = value
    return found


def read(path: Path, sections: Collection[str]) -> dict[str, dict[str, Any]]:
    """The sections of a lake's settings file; an absent file is an empty one. What nobody looks into is refused."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"reading settings: {error}; in {path}") from error
    for name, section in found.items():
        if name not in sections:
            raise SettingsError(f"reading settings: no section [{name}]{hint(name, sections)}; in {path}")
        if not isinstance(section, dict):
            raise SettingsError(f"reading settings: {name} wants to be a section, [{name}]; in {path}")
    return found


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, table by table."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
