"""Pure tensors: the masked encoder and what loads and saves it. Knows no genome and no training."""
