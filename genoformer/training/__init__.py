"""Windows, labelled sequences or tracks -> pretraining or fine-tuning -> a trained model with its manifest."""
