"""Convolutions of bases and a transformer over their output: a family for sequences of tens to thousands of bases."""
