"""Metadata of AlphaGenome's tracks: tables by output, strand pairs, padding, and files that are not metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import assert_refused, run, run_well

from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.alphagenome_metadata import read_metadata


def track(name: str, strand: str, biosample: str = "", **fields: str) -> str:
    lines = [f'      name: "{name}"', f"      strand: STRAND_{strand}"]
    if biosample:
        lines += [
            "      ontology_term {",
            "        id: 47",
            "      }",
            "      biosample {",
            "        type: BIOSAMPLE_TYPE_TISSUE",
        ]
        lines += [f'        name: "{biosample}"', '        stage: "adult"', "      }"]
    lines += [f'      {key}: "{value}"' for key, value in fields.items()]
    return "\n".join(["    metadata {", *lines, "    }"]) + "\n"


def output(name: str, tracks: str, kind: str = "tracks") -> str:
    return f"output_metadata {{\n  output_type: OUTPUT_TYPE_{name}\n  {kind} {{\n{tracks}  }}\n}}\n"


RNA = [
    track("A total RNA-seq", "POSITIVE", "liver", assay="total RNA-seq"),
    track("B total RNA-seq", "POSITIVE", "heart", assay="total RNA-seq"),
    track("U polyA", "UNSTRANDED", "skin", assay="polyA plus RNA-seq"),
    track("B total RNA-seq", "NEGATIVE", "heart", assay="total RNA-seq"),
    track("A total RNA-seq", "NEGATIVE", "liver", assay="total RNA-seq"),
    track("Q", "UNSTRANDED", 'a \\"b\\"'),
]
TEXT = (
    output("RNA_SEQ", "".join(RNA) + track("Padding", "UNSTRANDED"))
    + output(
        "CHIP_TF",
        "".join(track(f"T{i}", "UNSTRANDED", "liver", assay="TF ChIP-seq", transcription_factor_code="CTCF") for i in range(4)),
    )
    + output("SPLICE_JUNCTIONS", "".join(track(f"junction_{i}", "UNSTRANDED", "liver") for i in range(4)), "junctions")
    + output("CONTACT_MAPS", "".join(track(f"4dn:{i}", "UNSTRANDED", "H1", assay="Micro-C") for i in range(3)))
    + output("PROCAP", track("padding", "UNSTRANDED"))
)


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "OutputMetadata.textproto"
    file.write_text("# proto-file\n" + TEXT)
    return file


def test_tracks_have_names_strands_and_pairs(path) -> None:
    tables = read_metadata(path)
    assert list(tables) == ["rna_seq", "chip_tf", "splice_sites_junction", "contact_maps"]
    rna = tables["rna_seq"]
    assert [one.identifier for one in rna][:4] == ["A total RNA-seq+", "B total RNA-seq+", "U polyA", "B total RNA-seq-"]
    assert [one.strand_pair for one in rna] == [3, 4, 2, 0, 1, 5]  # the n-th of each strand, as published
    assert rna.strands.tolist() == ["+", "+", ".", "-", "-", "."]
    assert rna[0].description == "total RNA-seq:liver"
    assert rna[5].description == 'a "b"'
    assert tables["chip_tf"][0].description == "TF ChIP-seq CTCF:liver"
    assert tables["chip_tf"].choose("*CTCF*") == [0, 1, 2, 3]


@pytest.fixture
def model() -> Any:
    pytest.importorskip("torch", reason="models need torch")
    from alphagenome_models import small_alphagenome

    return small_alphagenome()


def test_convert_stores_the_tables_of_all_heads(model, path, tmp_path) -> None:
    from genoformer.models import registry

    registry.save(model, tmp_path / "model")
    run_well("models", "convert", tmp_path / "model", tmp_path / "named", "-t", f"human={path}")
    model = registry.load(tmp_path / "named")
    assert model.track_heads["human_rna_seq_1bp"].table == model.track_heads["human_rna_seq_128bp"].table
    assert model.track_heads["human_rna_seq_1bp"].table[1].identifier == "B total RNA-seq+"
    assert model.pair_heads["human_contact_maps"].table[2].identifier == "4dn:2"
    assert model.pair_heads["human_splice_sites_junction"].table[0].identifier == "junction_0"
    assert model.track_heads["mouse_rna_seq_1bp"].table is None
    assert model.track_heads["human_splice_sites_classification_1bp"].table.strand_pairs.tolist() == [2, 3, 0, 1]
    refused = run("models", "convert", tmp_path / "model", tmp_path / "other", "-t", f"rat={path}")
    assert_refused(refused, "found no organism 'rat', expected one of human, mouse")
    refused = run("models", "convert", "mini-tracks", tmp_path / "other", "-t", f"human={path}")
    assert_refused(refused, "metadata of AlphaGenome's tracks are of AlphaGenome only")


def test_another_number_of_tracks_is_refused(model, tmp_path) -> None:
    path = tmp_path / "few.textproto"
    path.write_text(output("RNA_SEQ", "".join(RNA[:2])))
    with pytest.raises(ConfigError, match="the metadata have 2 tracks, but head human_rna_seq_1bp has 6; give those of its"):
        model.tables_of_metadata(model.config, "human", read_metadata(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identifier\tfile\n", "line 1: found 'identifier"),
        ("output_metadata {\n", "ends inside output_metadata; copy the file again"),
        ('tracks {\n  metadata {\n    name: "a"\n  }\n}\n', "line 3: a track before any output_type"),
        (output("ATAC", track("", "POSITIVE")), "line 5: the name of a track is empty"),
        (output("ATAC", track("Padding", "UNSTRANDED")), "has no tracks; give metadata of AlphaGenome's tracks"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message) -> None:
    path = tmp_path / "bad.textproto"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_metadata(path)
