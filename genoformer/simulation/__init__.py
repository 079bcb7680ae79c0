"""Simulate a genome with known answers: seed -> sequence + grammar -> motif instances -> labelled variants -> files."""

from __future__ import annotations

from genoformer.simulation.grammar import Element, Gene, Instance
from genoformer.simulation.regulation import Expression
from genoformer.simulation.world import World, simulate

__all__ = ["Element", "Expression", "Gene", "Instance", "World", "simulate"]
