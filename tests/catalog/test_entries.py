"""The catalog as a file: what it may say, and what is refused before a network is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from any_bytes import read_or_refuse
from commands import assert_refused, run, run_well
from hypothesis import given
from hypothesis import strategies as st

from genoformer.catalog import entry_named, is_here, pull, pulled_model, read_catalog
from genoformer.errors import CatalogError

GOOD = """
[data.one]
title = "t"
licence = "l"
citation = "c"
files = [{ name = "a.txt", url = "https://example.org/a.txt", size = 3 }]
"""


def test_the_catalog_that_ships_names_what_it_is_for() -> None:
    catalog = read_catalog()
    assert {"dnabert3", "dnabert4", "dnabert5", "dnabert6", "enformer"} <= set(catalog["models"])
    assert {
        "hg19",
        "hg38",
        "gencode-hg19",
        "gencode-hg38",
        "segmentations-hg19",
        "ccres-hg38",
        "blacklist-hg19",
        "blacklist-hg38",
        "clinvar-hg19",
        "clinvar-hg38",
        "gwas-hg19",
        "gwas-hg38",
        "jaspar2024",
    } <= set(catalog["data"])
    for entries in catalog.values():
        for entry in entries.values():
            assert entry.licence
            assert entry.citation
            assert entry.size or entry.by_hand, f"{entry.name}: how much will be fetched?"
            assert entry.kind == "data" or (entry.family and entry.use), f"{entry.name}: what is it for?"
            for file in entry.files:
                assert file.url is None or file.url.startswith("https://"), file
    assert sum(file.name.startswith("wgEncodeAwg") for file in catalog["data"]["segmentations-hg19"].files) == 6


def test_near_names_are_told() -> None:
    with pytest.raises(CatalogError, match=r"no data set 'hg3'; it has hg38"):
        entry_named("hg3", "data")
    with pytest.raises(CatalogError, match="hg38 is one of the data sets; run genoformer data pull hg38"):
        entry_named("hg38", "models")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"a.txt", url', '"../a.txt", url', "name '../a.txt' may contain only letters"),
        ('"a.txt", url', '"/etc/passwd", url', "may contain only letters"),
        ('"a.txt", url', '".hidden", url', "may contain only letters"),
        ('"a.txt", url', '"pulled.json", url', "not be pulled.json"),
        ('"a.txt", url', '"a\\u0000b", url', "may contain only letters"),
        ("data.one", 'data."../one"', "may contain only letters"),
        ("data.one", 'data.".."', "may contain only letters"),
        ("https://example.org/a.txt", "file:///etc/passwd", "not an http or https address"),
        ("https://example.org/a.txt", "ftp://example.org/a", "not an http or https address"),
        ("https://example.org/a.txt", "https:///a", "not an http or https address"),
        ("https://example.org/a.txt", "https://[::1/x", "not an http or https address"),
        ("https://example.org/a.txt", "https://example.org:abc/x", "not an http or https address"),
        ("https://example.org/a.txt", "https://example.org:99999/x", "not an http or https address"),
        ("https://example.org/a.txt", "https://example.org/ü", "not an http or https address"),
        ("size = 3", 'sha256 = "abc"', "not 64 hexadecimal digits"),
        ("size = 3", "size = -3", "give whole bytes"),
        ("size = 3", "size = true", "give whole bytes"),
        ("size = 3", "moves = 1", "give true or false"),
        ("size = 3", "sise = 3", "unknown field sise"),
        ('licence = "l"', "", "has no licence"),
        ('licence = "l"', "licence = 3", "give a text"),
        ('title = "t"', 'title = "t"\nhub = "../../x"', "is not OWNER/REPOSITORY"),
        ('title = "t"', 'title = "t"\nhub = "a/b"\nrevision = "../x"', "not the name of a branch"),
        ("files = [{", "files = [{ name = 'a.txt', url = 'https://example.org' }, {", "two files have the same name"),
        ("[data.one]", "[date.one]", "table 'date'"),
        ("[data.one]", "[data.one", "cannot be read as a catalog"),
        ("files = [", "file = [", "unknown field file"),
        ('licence = "l"', 'licence = "l"\nby_hand = "x"', "add them, or by_hand"),
        ('licence = "l"', 'licence = "l"\nreplicates = 2', "replicates = 2; give a whole number, and a hub with replicate-0"),
        ('licence = "l"', 'licence = "l"\nreplicates = "2"', "replicates = '2'; give a whole number"),
        ('files = [{ name = "a.txt", url = "https://example.org/a.txt", size = 3 }]', "", "has no files; add them, or by_hand"),
    ],
)
def test_what_a_catalog_may_not_say(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(GOOD)
    assert read_catalog(path)["data"]["one"].files[0].size == 3
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(CatalogError, match=said):
        read_catalog(path)


FAMILIES = {
    "BERT",
    "DNABERT-2",
    "Nucleotide Transformer",
    "Nucleotide Transformer v2",
    "GENA-LM",
    "ModernBERT",
    "Llama",
    "Qwen3",
    "AlphaGenome",
    "Enformer",
    "Borzoi",
    "Borzoi Prime",
    "Flashzoi",
}


def test_every_family_that_is_read_has_an_entry() -> None:
    models = read_catalog()["models"].values()
    assert {entry.family for entry in models} == FAMILIES
    hubs = [entry.hub for entry in models]
    assert len(set(hubs)) == len(hubs)


def test_an_entry_by_hand_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path))
    entry = entry_named("moderngena-base", "models")
    assert not is_here(entry)
    for use in (lambda: pull(entry), lambda: pulled_model("moderngena-base")):
        with pytest.raises(
            CatalogError, match=r"not downloaded by genoformer: download config\.json, .* give the folder with -m"
        ):
            use()
    assert not list(tmp_path.iterdir())


def test_replicates_are_entries_of_their_own() -> None:
    """The list has one line for all; each replicate is pulled by its name."""
    models = read_catalog()["models"]
    for name in ("borzoi", "borzoi-mouse", "borzoi-prime", "flashzoi"):
        first, last = models[name], models[f"{name}-3"]
        assert first.replicates == (f"{name}-1", f"{name}-2", f"{name}-3")
        assert (last.replicates, last.replicate_of) == ((), name)
        assert "replicate 0" in first.title
        assert last.title == first.title.replace("replicate 0", "replicate 3")
        assert first.hub is not None
        assert last.hub == first.hub.replace("replicate-0", "replicate-3")
        assert (last.files, last.licence, last.size) == (first.files, first.licence, first.size)
    lines = run_well("models", "list").output.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("flashzoi")] == ["flashzoi"]
    assert "flashzoi-1, flashzoi-2, flashzoi-3" in next(line for line in lines if line.startswith("flashzoi"))
    assert "flashzoi-3" in [entry["name"] for entry in json.loads(run_well("models", "list", "--json").output)]


def test_a_card_names_family_licence_and_use() -> None:
    card = entry_named("nt-v2-50m", "models").card
    for text in (
        "# nt-v2-50m: ",
        "* Family: Nucleotide Transformer v2",
        "* Use: base predictions",
        "* Licence: CC BY-NC-SA 4.0",
        "* Cite: ",
    ):
        assert text in card


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_as_a_catalog(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "c.toml"
    read_or_refuse(read_catalog, path, content, False)


def test_the_list_and_a_refused_pull_name_terms_and_address() -> None:
    listed = {line.split()[0]: line for line in run_well("models", "list").output.splitlines()}
    assert "CC BY 4.0; huggingface.co/johahi/borzoi-replicate-0]" in listed["borzoi"]
    assert "MIT; huggingface.co/johahi/flashzoi-replicate-0]" in listed["flashzoi"]
    assert_refused(
        run("models", "pull", "alphagenome"), "no commercial use", "deepmind.google.com/science/alphagenome/model-terms"
    )
