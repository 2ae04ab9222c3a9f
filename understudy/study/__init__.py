"""Experiments on the stages: which way of choosing what to learn from is worth how much.

design      what is driven, chosen, trained and judged: the settings of the study, and its units of work
pool        fleet driving as windows, and all that a strategy may look at of each
strategies  ways to choose windows within a budget of seconds, by name
companion   plans scored from thousands of shifted instants: the low-variance score
roads       closed loop: routes that an unit's network drives
learning    further training of the start on chosen windows, with replay of what it learned from
journal     one JSON line for every unit of work; what is there is not done again
worth       k: how many times more seconds random needs for the same score, with its interval
selection   all of it, in order

loop        another experiment: turns beside a control arm, and an audit of their champions
scale       and another: score against data and against the size of the network
picture     curves with their intervals, as SVG
"""
