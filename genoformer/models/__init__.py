"""Language models, classifiers and track models, and their folders; nothing here depends on genomes or training."""
