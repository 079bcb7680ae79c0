"""Interpretation of models: attention, in-silico mutagenesis, gradients and motifs."""
