"""Pure tensors: language models, predictors and models of tracks; loads and saves them. Knows no genome, no training."""
