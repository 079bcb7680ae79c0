"""Published tables of tracks: a pulled model has them by its name, with the numbers that --targets gives, or one error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from catalog_server import Server
from commands import assert_refused, rows_of, run, run_well

from genoformer.catalog import entry_named, pull, read_catalog, with_tables
from genoformer.files import sha256_of
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import registry

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 3000))
TABLE = TrackTable(
    (
        Track(0, "RNA+", clip=768, clip_soft=384, scale=0.01, sum_stat="sum_sqrt", strand_pair=1),
        Track(1, "RNA-", clip=768, clip_soft=384, scale=0.01, sum_stat="sum_sqrt", strand_pair=0),
        Track(2, "DNase", clip_soft=1.5, scale=2, strand_pair=2),
        Track(3, "ChIP", scale=0.5, strand_pair=3),
    )
)
GENES = """\
c\tme\tgene\t801\t1300\t.\t+\t.\tgene_id "A"; gene_name "A";
c\tme\ttranscript\t801\t1300\t.\t+\t.\tgene_id "A"; transcript_id "A1"; gene_name "A";
c\tme\texon\t801\t1300\t.\t+\t.\tgene_id "A"; transcript_id "A1"; gene_name "A";
"""


@pytest.fixture
def catalog(server: Server, tmp_path: Path) -> Path:
    """A catalog with a Borzoi on a hub and the table of its tracks; both are on the server."""
    folder = tmp_path / "made"
    registry.save(small_borzoi(squashed_scale="borzoi", heads={"human": 4}, context_length=1024, target_bins=16), folder)
    for name in ("config.json", "model.safetensors"):
        server.put_on_hub("owner/model", name, (folder / name).read_bytes(), large=name.endswith("safetensors"))
    TABLE.write(tmp_path / "table.tsv")
    url = server.put("/table.tsv", (tmp_path / "table.tsv").read_bytes())
    about = 'title = "t"\nlicence = "MIT"\ncitation = "Nobody"\n'
    files = "".join(
        f'{{ name = "{name}", url = "{server.address}/owner/model/resolve/main/{name}" }},'
        for name in ("config.json", "model.safetensors")
    )
    (tmp_path / "catalog.toml").write_text(
        f'[models.theirs]\n{about}files = [{files}]\ntables = {{ human = "their-tracks/table.tsv" }}\n'
        f'[data.their-tracks]\n{about}files = [{{ name = "table.tsv", url = "{url}", '
        f'sha256 = "{sha256_of(tmp_path / "table.tsv")}" }}]\n'
    )
    return tmp_path / "catalog.toml"


@pytest.fixture
def words(make_fasta, tmp_path: Path) -> list[object]:
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=c,length=3000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += [f"c\t{pos}\t.\t{TEXT[pos - 1]}\t{'ACGT'['ACGT'.index(TEXT[pos - 1]) - 1]}\t.\t.\t." for pos in (900, 1210)]
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    (tmp_path / "genes.gtf").write_text(GENES)
    genome = make_fasta(c=TEXT)
    return ["score", tmp_path / "in.vcf", "-f", genome, "-s", "LOGSED", "--gtf", tmp_path / "genes.gtf", "--workers", "1"]


def test_a_pulled_model_has_its_published_table(catalog, words, tmp_path) -> None:
    """The command of the README runs, and its numbers are those with the table given by hand; the header names the table."""
    done = run_well("models", "pull", "theirs", "--catalog", catalog)
    assert done.stdout.splitlines() == [str(tmp_path / "cache" / "models" / "theirs")]
    assert registry.load("theirs").track_heads["human"].table == TABLE
    assert registry.read_heads("theirs")["human"].table == TABLE
    run_well(*words, "-m", "theirs", "-o", tmp_path / "a.vcf")
    run_well(*words, "-m", tmp_path / "made", "--targets", tmp_path / "table.tsv", "-o", tmp_path / "b.vcf")
    texts = [(tmp_path / name).read_text() for name in ("a.vcf", "b.vcf")]
    records = [[line for line in text.splitlines() if not line.startswith("#")] for text in texts]
    assert records[0] == records[1]
    assert "LOGSED=" in records[0][0]
    assert all(sha256_of(tmp_path / "table.tsv") in text for text in texts)
    run_well("predict", "-f", words[3], "-m", "theirs", "--strand", "both", "-r", "c:1-99", "-o", tmp_path / "out")
    run_well("models", "convert", "theirs", tmp_path / "mine")
    assert registry.load(tmp_path / "mine").targets["human"] == TABLE


def test_without_the_table_one_error_names_all_that_is_missing(catalog, words, tmp_path) -> None:
    pull(entry_named("theirs", "models", catalog))
    remedy = "run genoformer data pull their-tracks, or give targets"
    out = ("-m", "theirs", "-o", tmp_path / "o.tsv")
    assert_refused(run(*words, *out), "--targets", "strand pairs", "scale, clip_soft", remedy)
    assert_refused(run(*words, *out, "--strand", "forward"), "--scale", remedy)
    assert_refused(run(*words, *out, "--strand", "forward", "--scale", "published"), "is published", remedy)
    assert_refused(run(*words, *out, "--scale", "model"), "--strand", remedy)
    predict = ("predict", "-f", words[3], "-m", "theirs", "-r", "c:1-99", "-o", tmp_path / "out")
    assert_refused(run(*predict), "--scale", remedy)
    assert_refused(run(*predict, "--strand", "both"), "--targets", remedy)
    run_well(*words, *out, "--strand", "forward", "--scale", "model")
    run_well("data", "pull", "their-tracks", "--catalog", catalog)
    run_well(*words, "-m", "theirs", "-o", tmp_path / "p.tsv")
    assert all(row["LOGSED"] for row in rows_of(tmp_path / "p.tsv"))


def test_a_table_in_the_folder_and_targets_come_first(catalog, tmp_path) -> None:
    run_well("models", "pull", "theirs", "--catalog", catalog)
    other = TrackTable(tuple(Track(i, f"own{i}", strand_pair=i) for i in range(4)))
    other.write(tmp_path / "cache" / "models" / "theirs" / "targets.tsv")
    assert registry.load("theirs").track_heads["human"].table == other


def test_a_published_table_of_other_tracks_is_refused(catalog, server, tmp_path) -> None:
    run_well("models", "pull", "theirs", "--catalog", catalog)
    path = tmp_path / "cache" / "data" / "their-tracks" / "table.tsv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + "#" * (len(lines[-1]) - 1) + "\n")  # of the same size, but of no table
    with pytest.raises(Exception, match="fields, the header has"):
        registry.load("theirs")
    TrackTable((Track(0, "x"),)).write(path)
    assert registry.load("theirs").track_heads["human"].published == "their-tracks"  # of another size: to download again


def test_a_copy_from_a_folder_without_the_table_says_so(catalog, tmp_path) -> None:
    done = run_well("models", "pull", "theirs", "--catalog", catalog, "--from", tmp_path / "made")
    assert "genoformer data pull their-tracks" in done.stderr
    assert registry.load("theirs").track_heads["human"].published == "their-tracks"


def test_tables_of_the_catalog_are_of_the_heads_of_its_models() -> None:
    models = read_catalog()["models"]
    for name, heads in {"borzoi-2": ["human"], "borzoi-mouse": ["mouse"], "flashzoi": ["human", "mouse"]}.items():
        assert list(models[name].tables) == heads
        assert [entry.name for entry in with_tables(models[name])] == [name, "borzoi-tracks"]
    assert not models["borzoi-prime"].tables
    assert {file.sha256 is not None for file in entry_named("alphagenome-tracks", "data").files} == {True}


def test_a_table_of_the_catalog_has_to_be_a_file_of_it(catalog) -> None:
    for text in ("their-tracks/other.tsv", "none/table.tsv", "table.tsv"):
        catalog.with_name("bad.toml").write_text(catalog.read_text().replace("their-tracks/table.tsv", text))
        assert_refused(run("models", "list", "--catalog", catalog.with_name("bad.toml")), "tables.human", "give DATA/FILE")


def test_a_folder_named_alphagenome_has_the_published_names(tmp_path, monkeypatch) -> None:
    """The weights are saved by hand; a model of that name with other tracks has none of them."""
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    model = small_alphagenome()
    registry.save(model, tmp_path / "alphagenome", layout="alphagenome-pt")
    heads = registry.load(tmp_path / "alphagenome").track_heads
    assert {head.published for name, head in heads.items() if head.table is None} == {"alphagenome-tracks"}
    n = model.track_heads["human_rna_seq_1bp"].n_tracks
    for n_tracks in (n, n + 1):
        row = '    metadata {{\n      name: "R{}"\n      strand: STRAND_UNSTRANDED\n    }}\n'
        rows = "".join(row.format(i) for i in range(n_tracks))
        text = f"output_metadata {{\n  output_type: OUTPUT_TYPE_RNA_SEQ\n  tracks {{\n{rows}  }}\n}}\n"
        put_in_cache(tmp_path / "cache" / "data" / "alphagenome-tracks", "HOMO_SAPIENS", text)
        heads = registry.load(tmp_path / "alphagenome").track_heads
        table = heads["human_rna_seq_128bp"].table
        assert (table[1].identifier if table else None) == ("R1" if n_tracks == n else None)
        assert heads["human_dnase_1bp"].table is None
        assert heads["mouse_rna_seq_1bp"].published == "alphagenome-tracks"


def put_in_cache(folder: Path, organism: str, text: str) -> None:
    """Store a file of metadata as `data pull` does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"OutputMetadataResponse_ORGANISM_{organism}.textproto"
    path.write_text(text)
    (folder / "pulled.json").write_text(json.dumps({"files": {path.name: {"size": path.stat().st_size}}}))


def test_several_faults_are_named_at_once(words, tmp_path) -> None:
    """Head, table and genes together, each with its flag; one fault alone has its own message."""
    model = small_borzoi(squashed_scale="borzoi", context_length=1024, target_bins=16)
    assert len(model.track_heads) == 2
    registry.save(model, tmp_path / "two")
    bare = [word for word in words if word not in ("--gtf", tmp_path / "genes.gtf")]
    out = ("-m", tmp_path / "two", "-o", tmp_path / "o.tsv")
    done = run(*bare, *out)
    assert done.exit_code == 2
    first, head, table, genes = done.stderr.splitlines()
    assert first == "Error: 3 faults were found:"
    assert head == "no head was named; this model has human, mouse; name one of them (head)."
    assert table.startswith(
        "--targets is missing, and the model has no table of its tracks: strand both needs their strand pairs"
    )
    assert genes.startswith("--gtf is missing, and LOGSED compares the exons of a gene")
    done = run(*words, *out, "--strand", "forward", "--scale", "model")
    assert done.stderr.startswith("Error: no head was named")
    both = run(*bare, *out, "--head", "human", "--strand", "forward")
    assert [line.partition(" is")[0] for line in both.stderr.splitlines()[1:]] == ["--scale", "--gtf"]
