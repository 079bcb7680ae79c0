"""Layouts of Hugging Face folders of transformers that read tokens, one module per kind of model."""
