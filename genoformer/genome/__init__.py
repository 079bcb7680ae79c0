"""DNA and measurements: codes, reference, regions, genes, variants, tracks. Does not import torch."""
