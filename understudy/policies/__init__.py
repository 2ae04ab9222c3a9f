"""What can drive: one policy a file, each with `needs`, `history_s` and one method, `plan`."""
