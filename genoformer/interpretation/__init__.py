"""What a model looks at, and what its outputs depend on: attention, mutagenesis, gradients, motifs."""
