"""Names of elements -> labels (kinds of elements, like the states of a segmentation) and their colours."""

from __future__ import annotations

import re

from genoformer.annotation.text_columns import TextColumn
from genoformer.formats.bed_layout import Layout
from genoformer.genome.natural import natural

# Colours of ENCODE's combined segmentation (Hoffman et al. 2013), for files without colours.
STATES: dict[str, tuple[str, str]] = {
    "TSS": ("#FF0000", "promoter region with the start site"),
    "PF": ("#FF6969", "promoter flanking region"),
    "E": ("#FACA00", "enhancer"),
    "WE": ("#FFFC04", "weak enhancer or open chromatin"),
    "CTCF": ("#0ABEFE", "CTCF-enriched element"),
    "T": ("#00B050", "transcribed region"),
    "R": ("#7F7F7F", "repressed or of low activity"),
}
# Colours of ENCODE's cCREs (Moore et al. 2020), for files without colours.
CCRES = {
    "PLS": "#FF0000",
    "pELS": "#FFA700",
    "dELS": "#FFCD00",
    "DNase-H3K4me3": "#FFAAAA",
    "CTCF-only": "#00B0F0",
    "CA-H3K4me3": "#FFAAAA",
    "CA-CTCF": "#00B0F0",
    "CA-TF": "#BE28E5",
    "CA": "#06DA93",
    "TF": "#D876EC",
}
_MOST_LABELS = 64  # with at most this many distinct names, the names of a file can be labels (kinds of elements)
_LINES_PER_LABEL = 3  # smallest mean number of lines per label


def kind_labels(names: TextColumn | None, n: int, layout: Layout) -> tuple[str, ...]:
    """Return the distinct names of n elements, in their natural order, if they are kinds of elements; else ().

    ENCODE's states have an order of their own.
    """
    if names is None:
        return ()
    if any(len(column.distinct()) > _MOST_LABELS + 2 for column in (names[:1_000], names)):
        return ()  # checking the first rows is fast
    distinct = [name for name in names.distinct() if name not in ("", ".")]
    if set(distinct) <= set(STATES):
        return tuple(state for state in STATES if state in distinct)
    few = len(distinct) <= _MOST_LABELS and (layout.labels or n >= _LINES_PER_LABEL * len(distinct))
    return tuple(sorted(distinct, key=natural)) if few else ()


def label_colours(
    labels: tuple[str, ...], layout: Layout, names: TextColumn | None, column: TextColumn | None
) -> dict[str, str]:
    """Return the colour of each label as #RRGGBB, from its first row or from ENCODE; labels in their order.

    names, column: the names and the colours (R,G,B) of the rows.
    """
    known = {label: STATES[label][0] for label in labels} if set(labels) <= set(STATES) else {}
    if layout.kind == "ENCODE cCREs":
        known = {label: CCRES[group] for label in labels if (group := label.partition(",")[0]) in CCRES}
    if column is None or names is None or not labels:
        return known
    for name, text in zip(names.tolist()[::-1], column.tolist()[::-1], strict=True):
        if re.fullmatch(r"\d{1,3},\d{1,3},\d{1,3}", text) and all(int(part) < 256 for part in text.split(",")):
            known[name] = "#{:02X}{:02X}{:02X}".format(*map(int, text.split(",")))
    return {label: known[label] for label in (*labels, *known) if label in known}
