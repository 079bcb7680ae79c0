"""Requests of browse and queries of its page: what is accepted, and the sentence for everything else."""

from __future__ import annotations

from typing import Any

import pytest

from genoformer.browse.request import BrowseRequest, Query
from genoformer.errors import ConfigError


def test_a_query_has_its_texts_trimmed() -> None:
    found = Query.from_json({"place": " chr1:5-9\n", "tracks": " 0-3 ", "bases": 20, "ism": True, "attention": "cls"})
    assert found == Query("chr1:5-9", "0-3", 20, True, "cls")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "is not understood, expected an object with"),
        ({"place": "chr1", "file": "/etc/passwd"}, "is not understood, expected an object with"),
        ({"place": 5}, "expected texts of at most 500 letters"),
        ({"place": "x" * 501}, "expected texts of at most 500 letters"),
        ({"place": "chr1", "ism": "yes"}, "expected texts of at most 500 letters"),
        ({"place": "  "}, "no region is given; write one such as"),
        ({}, "no region is given; write one such as"),
        ({"place": "chr1", "bases": 5}, "option bases is 5, expected a whole number of bases, 10 or more"),
        ({"place": "chr1", "bases": 1_001}, "option bases is 1,001, expected 1,000 at most"),
        ({"place": "chr1", "attention": "all"}, "option attention is 'all', expected viz"),
    ],
)
def test_another_query_is_refused_in_a_sentence(data: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Query.from_json(data)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"port": 65_536}, "option port is 65536, expected a number from 0 to 65535"),
        ({"top": -1}, "option top is -1"),
        ({"strand": "reverse"}, "option strand is 'reverse', expected both or forward"),
        ({"scored": "s.vcf", "head": "human"}, "option head is that of the scored file; leave it out"),
    ],
)
def test_another_request_is_refused_in_a_sentence(options: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        BrowseRequest("demo", "g.fa", **options)
    assert sentence in str(error.value)
