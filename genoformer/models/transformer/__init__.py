"""Transformers that read tokens: BERT's kind and causal ones."""
