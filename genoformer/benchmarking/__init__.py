"""Published benchmarks: files of their authors + models, scores or baselines -> the published metrics with intervals."""
