"""The command line: parse, call one stage, show.

Nothing heavy is imported at the top of these files: `--help` must answer at once, so a command imports its stage.
Exit codes: 0 done, 1 something the user can mend (or some items failed), 2 wrong usage; `gate` has 3 for refused and 4
for undecided.
"""

from understudy.cli.group import main

from understudy.cli import logs, city, find, extract, learn, judge, loop, study, serve, upkeep  # isort: skip  # in the order of the trip, as in the help

__all__ = ["city", "extract", "find", "judge", "learn", "logs", "loop", "main", "serve", "study", "upkeep"]
