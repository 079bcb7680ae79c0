"""Seed -> sequence + grammar -> instances -> variants with truth -> files: a genome whose every answer is known."""

from __future__ import annotations

from .grammar import Element, Gene, Instance
from .regulation import Expression, Link
from .variants import Record
from .world import World, simulate

__all__ = ["Element", "Expression", "Gene", "Instance", "Link", "Record", "World", "simulate"]
