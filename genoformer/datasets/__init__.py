"""Labelled sequences: read them, build them from a genome and regions, turn labels into targets, check for leakage."""
