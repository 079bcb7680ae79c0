"""Variants -> windows -> batches -> scores -> VCF, TSV or Parquet."""
