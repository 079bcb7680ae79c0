"""Borzoi, Borzoi Prime and Flashzoi: convolutions, attention over wide bins, a decoder to finer bins -> tracks."""
