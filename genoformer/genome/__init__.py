"""What the DNA and the measurements are: codes, reference, regions, variants. Knows no torch."""
