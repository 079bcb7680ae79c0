"""The calls of a notebook give what the commands write, from paths and names as from what is open and loaded."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import run_well, with_five_digits
from small_models import small_classifier, small_encoder, small_enformer

import genoformer as gf
from genoformer.errors import CatalogError, CheckpointError, ConfigError, MissingFileError, PreflightError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

DEMO = Path(str(files("genoformer_data") / "demo"))
FASTA, VCF = DEMO / "genome.fa.gz", DEMO / "variants.vcf.gz"


def test_score_is_what_the_command_writes(tmp_path: Path) -> None:
    run_well(
        "score", VCF, "-f", FASTA, "-m", "demo", "-r", "chrS1:1-20000", "-s", "LLR,PLL,ENTROPY", "-o", tmp_path / "o.tsv", "-q"
    )
    written = pd.read_csv(tmp_path / "o.tsv", sep="\t")
    model = gf.load("demo")
    with gf.Genome(FASTA) as genome:
        table = gf.score(VCF, genome, model, "LLR,PLL,ENTROPY", region="chrS1:1-20000")
        genome.window("chrS1", 0, 10)  # still open
    assert list(table.columns) == list(written.columns)
    for name in ("pos", "LLR", "PLL", "ENTROPY"):
        np.testing.assert_array_equal(with_five_digits(table)[name], written[name])
    run_well(
        "score",
        VCF,
        "-f",
        FASTA,
        "-m",
        "demo",
        "-r",
        "chrS1:1-20000",
        "-s",
        "LLR,PLL,ENTROPY",
        "-o",
        tmp_path / "o.parquet",
        "-q",
    )
    whole = pd.read_parquet(tmp_path / "o.parquet")
    for name in ("LLR", "PLL", "ENTROPY"):  # float32, which five digits are not
        assert whole[name].dtype == np.float32
        np.testing.assert_array_equal(table[name], whole[name].astype(float))
    assert (table["LLR"] != written["LLR"]).sum() > 10
    assert table["LLR"].notna().any()
    assert table["PLL"].notna().any()


def test_variants_by_hand() -> None:
    with gf.Genome(FASTA) as genome:
        base = "ACGTN"[genome.window("chrS1", 999, 1)[0]]
        places = [(at, "ACGTN"[genome.window("chrS1", at - 1, 1)[0]]) for at in range(1_000, 1_100, 10)]
    swapped = [(at, ref, "ACGT"[("ACGT".index(ref) + 1) % 4]) for at, ref in places]
    other = "ACGT"[("ACGT".index(base) + 1) % 4]
    changes = [("S1", other), ("chrS1", base + "GATTACA"), ("chrS1", "<DEL>")]
    table = gf.score([gf.Variant(chrom, 1_000, base, alt) for chrom, alt in changes], FASTA, "demo")
    assert table["status"].tolist()[-1] == "SYMBOLIC"
    assert table[["LLR", "PLL"]].notna().to_numpy().tolist() == [[True, False], [False, True], [False, False]]
    assert table["chrom"].tolist() == ["S1", "chrS1", "chrS1"]  # as given
    with pytest.warns(UserWarning, match="REF agrees in none of 1 record"):
        table = gf.score([gf.Variant("chrS1", 1_000, other, base)], FASTA, "demo")
    assert table["status"].tolist() == ["REF_MISMATCH"]
    assert table[["LLR", "PLL"]].isna().all(axis=None)
    with pytest.raises(PreflightError, match="swapped"):
        gf.score([gf.Variant("chrS1", at, alt, ref) for at, ref, alt in swapped], FASTA, "demo")


def test_expected_and_mutagenesis_say_what_score_says() -> None:
    """LLR = log2 P(alt) - log2 P(ref), of the same posterior."""
    region = "chrS1:6,001-6,004"
    table = gf.expected(FASTA, region, "demo")
    changes = gf.mutagenesis(FASTA, region, "demo")
    assert (changes.chrom, changes.start, changes.values.shape) == ("chrS1", 6_000, (1, 4, 4))
    own = table[np.arange(4), changes.codes]
    np.testing.assert_allclose(changes.values[0], table - own[:, None], atol=0.2)  # windows lie a little otherwise
    variant = gf.Variant("chrS1", 6_001, "ACGT"[changes.codes[0]], "ACGT"[(changes.codes[0] + 1) % 4])
    scored = gf.score([variant], FASTA, "demo")["LLR"][0]
    np.testing.assert_allclose(changes.values[0, 0, (changes.codes[0] + 1) % 4], scored, atol=1e-4)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, a region and a small model of each kind."""
    folder = tmp_path_factory.mktemp("small")
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 1200))
    (folder / "g.fa").write_text(f">chr1\n{text}\n")
    (folder / "r.bed").write_text("chr1\t300\t556\tone\n")
    registry.save(small_encoder(KmerTokenizer(3), context_length=40, init_std=0.4), folder / "tokens")
    registry.save(small_classifier(BaseTokenizer()), folder / "classes")
    model = small_enformer(seed=3, target_bins=24)
    model.targets = {"human": TrackTable(tuple(Track(i, f"t{i}", strand_pair=[1, 0, 2, 3, 4][i]) for i in range(5)))}
    registry.save(model, folder / "tracks")
    return folder


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("tokens", {}),
        ("classes", {"layers": [0]}),
        ("tokens", {"profile": "cls", "layers": [0, 1], "heads": [1], "query": 3}),
        ("classes", {"profile": "entropy"}),
        ("tracks", {"profile": "rollout", "query": 5}),
        ("tracks", {"profile": "received", "heads": [0]}),
    ],
)
def test_attention_is_what_the_command_writes(small: Path, tmp_path: Path, model: str, options: dict[str, Any]) -> None:
    words = [x for name, value in options.items() for x in (f"--{name}", str(value).strip("[]").replace(" ", ""))]
    out = ["-f", small / "g.fa", "-o", tmp_path, "--figures", 0, "-q"]
    run_well("interpret", "attention", small / "r.bed", "-m", small / model, *words, *out)
    with np.load(tmp_path / "maps.npz") as written:
        (profile,) = gf.attention([decode(written["codes_0"])], small / model, **options)
        np.testing.assert_array_equal(profile.values.astype(np.float32), written["map_0"])


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("tokens", {}),
        ("tokens", {"score": "COSINE", "strand": "forward", "context": 30}),
        ("classes", {"output": "b"}),
        ("classes", {"score": "LOGIT", "strand": "forward"}),
        ("classes", {"score": "LOGIT"}),
        ("tracks", {"head": "human"}),
        ("tracks", {"score": "SAR501", "head": "human", "tracks": "1,3", "shifts": "-8,0", "anchor": "variant"}),
    ],
)
def test_mutagenesis_is_what_the_command_writes(small: Path, tmp_path: Path, model: str, options: dict[str, Any]) -> None:
    words = [x for name, value in options.items() for x in (f"--{name.replace('output', 'class')}", value)]
    out = ["-f", small / "g.fa", "-o", tmp_path, "--length", 8, "--figures", 0, "-q"]
    run_well("interpret", "ism", small / "r.bed", "-m", small / model, *words, *out)
    changes = gf.mutagenesis(small / "g.fa", "chr1:425-432", small / model, **options)
    with np.load(tmp_path / "maps.npz") as written:
        assert written["what"] == f"mutagenesis {changes.names[0]}"
        np.testing.assert_array_equal(written["codes_0"], changes.codes)
        np.testing.assert_array_equal(written["map_0"], changes.values[0].astype(np.float32))


def test_options_that_no_command_has_are_refused(small: Path) -> None:
    with pytest.raises(TypeError, match=r"genoformer\.mutagenesis has no option 'stride'"):
        gf.mutagenesis(small / "g.fa", "chr1:425-432", small / "tokens", stride=2)
    with pytest.raises(ConfigError, match="option tracks needs a track model, found a language model"):
        gf.mutagenesis(small / "g.fa", "chr1:425-432", small / "tokens", tracks="1")


def test_predict_is_what_the_command_writes(tmp_path: Path) -> None:
    region = "chrS1:6,001-7,000"
    table = gf.predict(FASTA, region, "mini-tracks")
    run_well("predict", "-f", FASTA, "-m", "mini-tracks", "-r", region, "-o", tmp_path / "o.parquet", "-q")
    written = pd.read_parquet(tmp_path / "o.parquet")
    assert table["start"].iloc[0] == 6_000
    assert table["end"].iloc[-1] == 7_000
    assert list(table.columns) == list(written.columns)
    np.testing.assert_allclose(table.iloc[:, 3:], written.iloc[:, 3:], rtol=1e-6)


def test_sequences(tiny_model_folder: Path) -> None:
    texts = ["ACGTTGCATTAGC", "acgttgcattagc", "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT"]
    vectors = gf.embed(texts, "demo")
    np.testing.assert_array_equal(vectors[0], vectors[1])  # case does not matter
    assert not np.allclose(vectors[0], vectors[2])
    assert gf.embed(texts, tiny_model_folder, layer=0).shape == (3, 8)
    looks = gf.attention(texts[:2], "demo", profile="cls")
    assert [look.shape for look in looks] == [(13,), (13,)]
    np.testing.assert_allclose(gf.embed(texts[0], "demo"), vectors[0], atol=1e-5)  # one text gives one result
    np.testing.assert_allclose(gf.attention(texts[0], "demo", profile="cls"), looks[0], atol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CheckpointError, match="give a model that predicts tracks"):
        gf.predict(FASTA, "chrS1:1-100", "demo")
    with pytest.raises(CheckpointError, match="fine-tune it first"):
        gf.classify(["ACGT"], "demo")
    with pytest.raises(MissingFileError):
        gf.score("no.vcf", FASTA, "demo")
    with pytest.raises(ConfigError, match="beyond its contig"):
        gf.expected(FASTA, "chrS1:9,000,000-9,000,100", "demo")


def test_models_and_genomes_that_are_none() -> None:
    sequences = ["ACGTTGCATTAGC"]
    for model in (None, ["demo", "demo"], 5):
        calls = [
            lambda m: gf.score([("chrS1", 6_000, "G", "A")], FASTA, [m]),  # a list is an ensemble
            lambda m: gf.predict(FASTA, "chrS1:1-100", m),
            lambda m: gf.expected(FASTA, "chrS1:1-100", m),
            lambda m: gf.mutagenesis(FASTA, "chrS1:1-100", m),
            lambda m: gf.embed(sequences, m),
            lambda m: gf.attention(sequences, m),
            lambda m: gf.classify(sequences, m),
            lambda m: gf.evaluate("no.tsv", [m]),  # a list is averaged
        ]
        for call in calls:
            found = (
                "no model is named"
                if model is None and call not in (calls[0], calls[-1])
                else "model is several only for tracks of language models .* 2 models"
                if isinstance(model, list) and call is calls[1]
                else f"model is a {type(model).__name__}"
            )
            several = "|option model is several only for tracks of language models" if call is calls[1] else ""
            with pytest.raises(ConfigError, match=f"{found}; give {several}"):
                call(model)
    with pytest.raises(ConfigError, match="fasta is missing, expected DNA"):
        gf.expected(None, "chrS1:1-100", "demo")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="model is a module; give the name of a model, its folder, or a loaded model"):
        gf.score([], FASTA, gf)  # type: ignore[arg-type]


def test_mutagenesis_takes_no_score_of_indels() -> None:
    with pytest.raises(ConfigError, match="PLL scores insertions and deletions only"):
        gf.mutagenesis(FASTA, "chrS1:6001-6010", "demo", "PLL")


def test_variants_by_hand_have_no_file_that_messages_could_name() -> None:
    with pytest.raises(PreflightError, match="REF of the variants given agrees with genome"):
        gf.score([("chrS1", 6_000 + i, "G", "A") for i in range(40)], FASTA, "demo")  # type: ignore[misc]


def test_variants_of_a_table() -> None:
    rows = [("chrS1", 6_000, "G", "A"), ("chrS1", 6_100, "T", "TG")]
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]).assign(more=1)
    scored = gf.score(table, FASTA, "demo")
    assert scored["more"].tolist() == [1, 1]  # further columns stay
    pd.testing.assert_frame_equal(scored.drop(columns="more"), gf.score(rows, FASTA, "demo"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the table of variants has no column ref, alt"):
        gf.score(table[["chrom", "pos"]], FASTA, "demo")


def test_one_file_of_elements_needs_no_list() -> None:
    (one,) = gf.read_annotations(f"STATE={DEMO / 'states.bed.gz'}").elements
    assert repr(one) == f"Elements(STATE, {DEMO / 'states.bed.gz'}: {len(one):,} on {len(one.contigs)} contigs)"


def test_every_call_is_public_typed_and_documented() -> None:
    calls = {name: home for name, home in gf._HOME.items() if home.startswith("api.") and name != "data"}
    assert len(calls) >= 14
    for name, home in calls.items():
        function = getattr(import_module(f"genoformer.{home}"), name)
        assert ">>> " in (function.__doc__ or "")
        assert set(function.__annotations__) >= {"return"}


@pytest.mark.parametrize(
    "variant",
    [
        ("chrS1\t1", 5, "A", "C"),
        ("chrS1", 5, "A", "C\nx"),
        ("chrS1", 5, "A", "C,GT"),
        ("chrS1", 5, "", "C"),
        ("chrS1", "x", "A", "C"),
        5,
        ("chrS1", 5),
        None,
    ],
)
def test_what_is_no_variant(variant: object) -> None:
    with pytest.raises(ConfigError, match="variant"):
        gf.score([variant], FASTA, "demo")  # type: ignore[list-item]


@pytest.mark.parametrize("sequences", [["MKLV12 3"], [""], [5], [None], {"a": "ACGT"}, b"ACGT"])
def test_what_is_no_dna(sequences: object) -> None:
    with pytest.raises(ConfigError, match=r"give DNA as text|into a list"):
        gf.embed(sequences, "demo")  # type: ignore[arg-type]


def test_a_region_is_a_text() -> None:
    for region in (None, ("chrS1", 1, 5)):
        with pytest.raises(ConfigError, match="region is"):
            gf.expected(FASTA, region, "demo")  # type: ignore[arg-type]


def test_pull_knows_what_ships_and_what_is_near() -> None:
    assert (gf.pull("mini-human")[0] / "config.json").is_file()
    with pytest.raises(CatalogError, match="dnabert"):
        gf.pull("dnaber6")
