"""Language models, classifiers and models of tracks, and their folders; nothing here depends on genomes or training."""
