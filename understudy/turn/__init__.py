"""The turn: fleet, shadow, mine, label, dataset, train, export, gate, promote, again and again, by itself.

    preset.py     how large a turn is: frozen records of numbers
    diary.py      what a turn has done, in the lake and as it goes on
    apart.py      that training, regression and gate share nothing, asserted before anything is driven
    towns.py      where the fleet drives, by turn
    share.py      a lake of which only some drives are listed
    chance.py     clips that are chosen at random: for the first champion, and for a control arm
    campaign.py   what to collect next, from what the gate lost and what triggers brought
    run.py        turn after turn: the steps, in order
    under_way.py  a turn as its steps know it; the steps themselves are in
    begin.py driving.py clips.py learning.py judging.py
    summary.py    what a turn came to, in numbers and in a line

The state of a turn, for who shows it or goes on from it
--------------------------------------------------------
Every step that is done is a part of the lake (stage `turn`, key `turn-001`, the step as subject), committed by a
manifest of its own. What the step came to is in the part's `about`, as JSON:

    lake.entries(stage="turn", key="turn-001")           # one Entry a step; entry.subject, entry.about
    turn.diary.turns(lake)                               # {1: {"begin": {...}, "fleet": {...}, ...}, 2: ...}

The steps are STEPS in `diary.py`. `about` of a step that could not be done is {"skipped": why}. Nothing in `about`
tells a time, a host or a path of it: a turn that was killed and run again says what an undisturbed one says.
A turn is over when its step `report` is done; a champion changes in the step `promote` and nowhere else.

While it goes on, a turn appends to `turns/turn-001.jsonl` of the lake, for who looks on and for the times spent. Lines:

    {"at": "2026-11-23T22:10:04.123456+00:00", "turn": 1, "step": "fleet", "state": "begun"}
    {"at": ..., "turn": 1, "step": "fleet", "state": "working", "done": 3, "of": 8, "what": "grid:3_r4012..."}
    {"at": ..., "turn": 1, "step": "fleet", "state": "done", "seconds": 21.4, "said": "8 drives, 5.3 km"}
    {"at": ..., "turn": 1, "step": "wheel", "state": "skipped", "said": "there is no city"}
    {"at": ..., "turn": 1, "step": "train", "state": "failed", "said": "the loss is nan at step 40"}

A step that was killed has `begun` without an end, and begins once more when the turn is run again. Old lines stay.
"""
