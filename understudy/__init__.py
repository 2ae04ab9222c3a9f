"""Understudy: a data engine for driving models."""

__version__ = "0.1.0"
