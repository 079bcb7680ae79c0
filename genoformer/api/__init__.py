"""Functions for notebooks, one call per task: paths, names and text in; tables, arrays and small objects out."""
