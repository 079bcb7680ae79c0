"""Columns of a table in INFO: keys that VCF allows, names and values that come back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.input_columns import InputColumn, column_lines, input_columns_of, input_values, read_input_columns
from genoformer.formats.vcf_text import escaped

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(st.lists(TEXTS, max_size=6))
def test_keys_are_allowed_and_different_and_names_come_back(names: list[str]) -> None:
    columns = input_columns_of(names, [True] * len(names))
    keys = [column.key for column in columns]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("[A-Za-z_][0-9A-Za-z_.]*", key) for key in keys)
    assert not {"END", "AF", "SVLEN", "GF_STATUS", "effect_is"} & set(keys)
    lines = list(column_lines(columns, with_effect=True, with_reason=True, with_alleles=False))
    assert read_input_columns(lines) == [*columns, InputColumn("effect_is", "effect_is", False)]


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_values_come_back(values: list[str]) -> None:
    columns = [InputColumn(f"k{i}", f"k{i}", False) for i in range(len(values))]
    info = ";".join(f"{column.key}={escaped(value)}" for column, value in zip(columns, values, strict=True))
    assert input_values(f"{info};DP=5;FLAG;GF_INPUT=EITHER_STRAND", columns) == ("DP=5;FLAG", values)
