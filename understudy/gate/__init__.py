"""The gate: better, proven, or not at all. Champion and candidate drive the same scenarios; pairs decide.

    suites.py      which scenarios, from which places
    entrants.py    who may drive: policies, models, the world's own driver
    faults.py      drivers that are known to be worse, to test the gate with
    drivers.py     what the gate asks of them
    driving.py     one scenario driven by one of them
    regression.py  clips that were failed once, driven again
    verdict.py     what the pairs prove, and the verdict: pure
    report.py      the verdict as JUnit XML and in words
    run.py         the stage: lake in, verdict out

Nothing is imported here: a route is named by the code that drove and scored it, and the code that judges is no part
of that.
"""
