"""The lake: the folder where drives, plans, events and all else that is made of them lie.

Everything in it is a file that any data tool opens, appears whole or not at all, and is named by what made it.

    tables/TABLE/PART.parquet    rows of one part: what a stage made of one subject (mostly a drive)
    packs/TABLE/HASH.parquet     many small parts joined; HASH.json beside it says whose rows are where
    blobs/HASH.SUFFIX            what is no table (maps, a drive's facts), named by its contents, shared
    parts/STAGE/PART.json        what made the part and what it holds; written last, so a part with it is whole
    runs/STAGE/SEQ-HASH.json     one manifest per run: which parts it consists of
    catalog.db                   an index over the manifests, which can be thrown away at any time
    pages/                       what `show` wrote

A run without its manifest is invisible, a part without its record is made anew, and a file that no manifest reaches
is removed by `gc`: that is all there is to being killed at any moment.
"""

from understudy.store.code import code_version
from understudy.store.files import digest
from understudy.store.lake import Lake, find_lake
from understudy.store.runs import Entry, Part, Run, Source, part_hash

__all__ = [
    "Entry",
    "Lake",
    "Part",
    "Run",
    "Source",
    "code_version",
    "digest",
    "find_lake",
    "part_hash",
]
