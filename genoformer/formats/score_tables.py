"""Table that `genoformer score` has written as TSV -> pandas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_WORDS = ("_TRACK", "_GENE", "_NOISE")  # endings of the added columns that hold words


def read_score_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a TSV of scores: columns of the VCF as text, scores as numbers.

    Text does not change, also "NA" and "1e5" as names. A single dot of the VCF, and a missing score, are missing.
    """
    import pandas as pd

    names = list(pd.read_csv(path, sep="\t", nrows=0, index_col=False).columns)
    samples = names[names.index("FORMAT") :] if "FORMAT" in names else []
    of_vcf = ["chrom", "id", "ref", "alt", "filter", "info", "status", *samples]
    words = [*of_vcf, *(name for name in names if name == "FIX" or name.endswith(_WORDS))]
    return pd.read_csv(
        path,
        sep="\t",
        dtype=dict.fromkeys(words, str),
        na_values={name: ["."] if name in of_vcf else [""] for name in names},
        keep_default_na=False,
        index_col=False,
        encoding_errors="surrogateescape",
    )
