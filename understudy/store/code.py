"""The version of a piece of code: a hash of its source and of all that it imports from its own package.

A result is named by what made it, and code is part of that. The source is read, never run: the imports are found in
the syntax tree. Neither a commit nor a clock comes in, so an uncommitted change counts and a mere commit does not.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from understudy.errors import UnderstudyError
from understudy.store.files import digest

# Libraries whose version changes what comes out, by the name under which they are imported.
LIBRARIES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "torch": ("torch",),
    "sumo": ("eclipse-sumo",),
    "libsumo": ("eclipse-sumo",),
    "sumolib": ("eclipse-sumo",),
    "traci": ("eclipse-sumo",),
}

# Rooms that carry results and make none: a better listing is no reason to read ten thousand logs again.
CARRIERS = {"understudy.workers", *(f"understudy.store.{room}" for room in ("catalog", "query", "upkeep"))}


def code_version(modules: Iterable[str]) -> str:
    """A hash of the given modules (`understudy.shadow`, or a plug-in's own), of every module of the same packages that
    they import, CARRIERS left out, and of the versions of those LIBRARIES that any of them imports."""
    return _version(tuple(sorted(set(modules))))


@cache
def _version(modules: tuple[str, ...]) -> str:
    sources: dict[str, str] = {}
    libraries: dict[str, str] = {}
    waiting = list(modules)
    packages = {name.partition(".")[0] for name in modules} | {"understudy"}
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        path = _file(name)
        if path is None:
            if name in modules:
                raise UnderstudyError(f"the code version of {name}: its source cannot be found")
            continue
        sources[name] = digest(path.read_bytes())
        for imported in _imports(name, path):
            top = imported.partition(".")[0]
            if top in LIBRARIES:
                libraries[top] = _library(top)
            elif imported not in CARRIERS and (top in packages or _beside(path, name, top)):
                waiting.append(imported)
    return digest({"sources": sources, "libraries": libraries})


@cache
def _imports(module: str, path: Path) -> tuple[str, ...]:
    """What a file imports, spelled out from the top; `from a import b` gives both `a` and `a.b`."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = [module[:dot] for dot, letter in enumerate(module) if letter == "."]  # packages above run their __init__
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(sorted({prefix for name in found for prefix in _prefixes(name)}))


def _prefixes(name: str) -> Iterator[str]:
    words = name.split(".")
    return (".".join(words[: n + 1]) for n in range(len(words)))


@cache
def _file(module: str) -> Path | None:
    """The source of a module, found without importing it where it has not been imported yet."""
    if module in sys.modules:
        origin = getattr(sys.modules[module], "__file__", None)
        return Path(origin) if origin and origin.endswith(".py") else None
    top, _, rest = module.partition(".")
    if not rest:
        spec = importlib.util.find_spec(top)
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    above = _file(module.rpartition(".")[0])
    if above is None or above.name != "__init__.py":
        return None
    stem = above.parent / module.rpartition(".")[2]
    return next((path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()), None)


def _beside(path: Path, module: str, top: str) -> bool:
    """Whether `top` is a loose file beside a plug-in that is a loose file itself, and thus part of it."""
    loose = "." not in module and path.name != "__init__.py" and "site-packages" not in path.parts
    return loose and path.with_name(f"{top}.py").is_file()


def _library(name: str) -> str:
    for distribution in LIBRARIES[name]:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "absent"
