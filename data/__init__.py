"""What ships with genoformer: the simulated demo, small models and the catalog."""
