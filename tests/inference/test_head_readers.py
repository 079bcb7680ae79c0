"""Several heads of `predict` against runs with one head each, and how often the encoder runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from commands import assert_refused, run, run_well
from small_models import small_enformer
from two_resolutions import two_resolutions

import genoformer as gf
from genoformer.errors import OptionError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode
from genoformer.inference.head_readers import heads_named
from genoformer.models import families, registry
from genoformer.models.alphagenome import engine
from genoformer.models.base import Head

TEXT = decode(np.random.default_rng(2).integers(0, 4, 9000, dtype=np.uint8))
REGION = "c:4,201-4,900"
FAMILIES = {
    "enformer": (small_enformer, ["human", "mouse"]),
    "borzoi": (lambda: small_borzoi(context_length=1024), ["mouse", "human"]),
    "alphagenome": (
        lambda: small_alphagenome(context_length=4096),
        ["human_chip_tf_128bp", "human_dnase_1bp", "mouse_dnase_1bp", "human_atac_1bp", "mouse_atac_128bp"],
    ),
    "alphagenome 1 bp": (lambda: small_alphagenome(context_length=4096), ["mouse_dnase_1bp", "human_dnase_1bp"]),
}


@pytest.fixture
def fasta(make_fasta) -> Path:
    return make_fasta(c=TEXT)


def with_tables(model):
    """The model with a table of each head, in which the first two tracks are strand pairs."""
    for name, head in model.track_heads.items():
        pairs = [1, 0, *range(2, head.n_tracks)]
        model.targets[name] = TrackTable(tuple(Track(i, f"t{i}", strand_pair=pairs[i]) for i in range(head.n_tracks)))
    return model


def values_of(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(BigWig(path).values("c", 4200, 4900)) for path in folder.glob("*.bw")}


@pytest.mark.parametrize("strand", ["forward", "both"])
@pytest.mark.parametrize("family", FAMILIES)
def test_heads_together_have_the_values_of_each_alone(fasta, tmp_path, family, strand) -> None:
    make, heads = FAMILIES[family]
    registry.save(with_tables(make()), tmp_path / "m")
    common = ("predict", "-f", fasta, "-m", tmp_path / "m", "-r", REGION, "--strand", strand, "--tracks", "0-1")
    done = run_well(*common, *(word for head in heads for word in ("--head", head)), "-o", tmp_path / "all")
    together = values_of(tmp_path / "all")
    assert f"{2 * len(heads)} tracks in " in done.stderr
    assert set(together) == {f"{head}_t{i}" for head in heads for i in (0, 1)}
    for head in heads:
        run_well(*common, "--head", head, "-o", tmp_path / head)
        for name, values in values_of(tmp_path / head).items():
            np.testing.assert_allclose(together[f"{head}_{name}"], values, rtol=1e-5, atol=1e-7 * np.abs(values).max())


def test_the_encoder_runs_once_for_each_window(fasta, monkeypatch) -> None:
    counts = {"encoder": 0, "transformer": 0}
    model = with_tables(small_alphagenome(context_length=4096))
    encode, transform = engine.encode, model.transform

    def counted_encode(*args):
        counts["encoder"] += 1
        return encode(*args)

    def counted_transform(*args):
        counts["transformer"] += 1
        return transform(*args)

    monkeypatch.setattr(engine, "encode", counted_encode)
    monkeypatch.setattr(model, "transform", counted_transform)
    gf.predict(fasta, "c:3001-3010", model, head="human_dnase_128bp", tracks="0")
    alone = dict(counts)
    table = gf.predict(fasta, "c:3001-3010", model, head=["human_*_128bp", "mouse_dnase_128bp"], tracks="0")
    assert alone == {"encoder": 1, "transformer": 1}
    assert counts == {"encoder": 2, "transformer": 3}  # one transformer for each organism
    assert [name.partition(":")[0] for name in table.columns[3:]] == [
        *(name for name in model.track_heads if name.startswith("human") and name.endswith("128bp")),
        "mouse_dnase_128bp",
    ]


def test_tables_have_the_columns_of_all_heads(fasta, tmp_path) -> None:
    registry.save(with_tables(small_borzoi(context_length=1024)), tmp_path / "m")
    common = ("predict", "-f", fasta, "-m", tmp_path / "m", "-r", REGION)
    run_well(*common, "--head", "human", "--head", "mouse", "-o", tmp_path / "t.tsv")
    header = (tmp_path / "t.tsv").read_text().partition("\n")[0].split("\t")
    assert header == ["chrom", "start", "end", *(f"human:t{i}" for i in range(4)), "mouse:t0", "mouse:t1"]
    run_well(*common, "--head", "*", "--tracks", "0", "-o", tmp_path / "t.png")
    run_well(*common, "--head", "*", "-o", tmp_path / "one")
    before = values_of(tmp_path / "one")
    run_well(*common, "--head", "*", "--part-size", 1, "--workers", 1, "-o", tmp_path / "parts")
    for name, values in values_of(tmp_path / "parts").items():
        np.testing.assert_array_equal(values, before[name])
    plan = run_well(*common, "--head", "*", "--plan").stdout
    assert "of head human; 1 more shares its work" in plan
    assert_refused(run(*common, "--head", "human", "--head", "rat", "-o", tmp_path / "no"), "head", "there is no head 'rat'")
    TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(4))).write(tmp_path / "x.tsv")
    refused = run(*common, "--head", "*", "--targets", tmp_path / "x.tsv", "-o", tmp_path / "no")
    assert_refused(refused, "targets", "is the table of one head, found 2 heads")


def test_bins_of_several_sizes_need_a_folder(fasta, tmp_path) -> None:
    registry.save(small_alphagenome(context_length=4096), tmp_path / "m")
    common = ("predict", "-f", fasta, "-m", tmp_path / "m", "-r", REGION)
    refused = run(*common, "--head", "human_dnase_*", "-o", tmp_path / "t.tsv")
    assert_refused(refused, "head", "names heads with bins of 1, 128 bases, and t.tsv has bins of one size; name a folder of")
    refused = run(*common, "--head", "human_c*", "-o", tmp_path / "x")
    assert_refused(refused, "head", "has human_contact_maps, which predicts contact maps or splice junctions; predict it alone")
    run_well(*common, "--head", "human_contact*", "-o", tmp_path / "map.npz")
    with pytest.raises(OptionError, match="names heads with bins of 1, 128 bases, and a table has bins of one size"):
        gf.predict(fasta, REGION, small_alphagenome(context_length=4096), head=["human_dnase_1bp", "human_dnase_128bp"])


def test_heads_whose_windows_keep_other_bases_are_refused(fasta, monkeypatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "two", families.Family("two_resolutions:TwoResolutions"))
    families.families.cache_clear()
    try:
        with pytest.raises(OptionError, match="has coarse and fine, which keep 128 and 192 bases of a window; predict each"):
            gf.predict(fasta, REGION, two_resolutions(), head=["coarse", "fine"])
    finally:
        families.families.cache_clear()


def test_a_head_that_is_given_twice_is_not_dropped(fasta, tmp_path) -> None:
    registry.save(small_borzoi(context_length=1024), tmp_path / "m")
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    twice = ("-f", fasta, "-m", tmp_path / "m", "--head", "human", "--head", "mouse")
    region = ("-r", REGION, "-o", tmp_path / "o")
    commands = [("interpret", "ism", *region), ("interpret", "attribution", *region), ("embed", *region)]
    for words in (*commands, ("calibrate", tmp_path / "v.vcf", "-s", "SAD"), ("browse", tmp_path / "m")):
        given = twice if words[0] != "browse" else ("-f", fasta, *twice[4:])
        assert_refused(run(*words, *given), "head", "is given 2 times, and this command takes one head")


def test_names_of_heads_by_hand() -> None:
    heads = {name: Head(1, 1) for name in ("a_1", "a_2", "b_1")}
    assert heads_named(heads, ["*_1", "a_2", "a_1"]) == ["a_1", "b_1", "a_2"]
    assert heads_named({"x": Head(1, 1)}, None) == ["x"]
