"""Sequences -> vectors of a language model -> files, a figure of their principal components, a linear probe of their labels."""
