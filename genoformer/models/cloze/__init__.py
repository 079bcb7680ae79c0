"""Two causal towers, of a sequence and of its reverse complement, that predict each base from all others in one pass."""
