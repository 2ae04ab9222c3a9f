"""Which moments matter: one idea a file, found by name; `docs/triggers.md` lists them all.

What they share: `spans` makes events of masks, `scene` sees others from the ego, `leader` knows who leads, `ground`
asks the map, `shadows` asks the plans. `newest` keeps an answer for the next trigger, `loops` is the little that is
compiled.
"""
