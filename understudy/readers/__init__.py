"""Logs of others, read where they lie: each reader finds the drives of one format under a folder (`scan`), names a
drive by its contents (`fingerprint`), and reads one (`read`). A reader's fields are its settings; units, signs and
frames are converted here, once, and what a log lacks stays absent. Formats and their caveats are in `docs/logs.md`.
"""
