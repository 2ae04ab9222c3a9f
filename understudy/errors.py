"""What can go wrong, as a tree.

UnderstudyError            the user's matter: one line on stderr, exit code 1
├── DataError              a log, a drive or a file of the lake is not as it should be
│   └── ShapeError         columns of a record disagree in length or shape
├── SettingsError          a setting that does not exist, has the wrong type, or a value that makes no sense
├── UnknownName            no drive, plug-in or identifier of that name; offers the nearest
└── PolicyError            a policy returned something that is not a plan

A file that the disk refuses (an OSError that names it) is one line at the command line, too. Anything else that
escapes is a bug of ours, and shows as a traceback.
A message says what was being done, what was found, and what would help; paths come last.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class UnderstudyError(Exception):
    """The root: something the user can mend."""


class DataError(UnderstudyError):
    """A log, a drive or a file of the lake is not as it should be."""


class ShapeError(DataError):
    """Columns of a record disagree in length or shape."""


class SettingsError(UnderstudyError):
    """A setting that does not exist, or a value of the wrong type or without sense."""


class UnknownName(UnderstudyError):
    """Nothing of that name; the message offers the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} named {name!r}{hint(name, known)}")


class PolicyError(UnderstudyError):
    """A policy returned something that is not a plan."""


def the_one(kind: str, name: str, known: Collection[str]) -> str:
    """The one of `known` that is called `name`, or the only one whose name begins with it; UnknownName otherwise."""
    begun = [name] if name in known else [one for one in known if one.startswith(name)]
    if len(begun) != 1:
        raise UnknownName(f"single {kind}" if begun else kind, name, begun or known)
    return begun[0]


def hint(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: `; did you mean 'x'? (known: ...)`."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    near = near or [known_name for known_name in names if name and known_name.startswith(name)][:1]
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    offer = f"; did you mean {near[0]!r}?" if near else ""
    return offer + (f" (known: {listed})" if names else "; there are none yet")
