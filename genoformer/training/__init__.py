"""Windows of a genome -> masked or causal objective -> a trained model with its manifest."""
