"""What the DNA and the measurements are: codes, reference, regions, genes, variants, tracks. Knows no torch."""
