"""`genoformer interpret` as people run it: files, figures, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from genoformer_cli.main import main
from small_models import small_encoder, small_enformer
from torch import nn

from genoformer.formats.bigwig import BigWig
from genoformer.formats.motif_files import read_matrices, write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.interpretation.attention import AttentionReader, viz
from genoformer.models import registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 1200))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interpret")
    (path / "g.fa").write_text(f">chr1\n{TEXT}\n")
    (path / "r.bed").write_text("chr1\t300\t340\tone\nchr1\t600\t640\ttwo\n")
    registry.save(small_encoder(KmerTokenizer(3), context_length=40), path / "tokens")
    registry.save(small_enformer(), path / "tracks")
    encoder = small_encoder(BaseTokenizer(), context_length=40)
    model = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=40)).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    model.tokenizer = BaseTokenizer()
    registry.save(model, path / "classes")
    return path


def run(folder: Path, out: Path, *arguments: object, fasta: bool = True) -> Result:
    common = ["-f", folder / "g.fa"] if fasta else []
    return CliRunner().invoke(main, ["interpret", *map(str, [*arguments, *common, "-o", out])])


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


FIGURES = {f"{name}.{suffix}" for name in ("001_one", "002_two") for suffix in ("png", "svg")}


def test_attention_is_written_as_arrays_a_track_and_logos(folder, tmp_path) -> None:
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens")
    assert done.exit_code == 0, done.output
    matrices = {name.replace(".", "_matrix.") for name in FIGURES}
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", "matrices.npz", *FIGURES, *matrices}
    with np.load(tmp_path / "matrices.npz") as found:
        assert found["matrix_1"].shape == (38, 38)
        assert found["edges_1"].tolist() == [*range(600, 638), 640]
    model = registry.load(folder / "tokens")
    with np.load(tmp_path / "maps.npz") as found:
        codes = found["codes_0"]
        assert found["what"] == "attention viz"
        expected = viz(AttentionReader(model).rows(codes[None]), model.tokenizer.encode(codes[None]).spans, 40)[0]
        np.testing.assert_allclose(found["map_0"], expected, atol=1e-6)
    np.testing.assert_allclose(BigWig(tmp_path / "maps.bw").values("chr1", 300, 340), expected, atol=1e-6)


def test_files_of_somebody_else_are_not_replaced(folder, tmp_path) -> None:
    (tmp_path / "maps.npz").write_text("mine")
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens", "--figures", 0)
    assert done.exit_code == 2
    assert "holds maps.npz, which another program made" in done.stderr
    assert (tmp_path / "maps.npz").read_text() == "mine"
    (tmp_path / "maps.npz").unlink()
    for _ in range(2):
        assert run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens", "--figures", 0).exit_code == 0


@pytest.mark.parametrize("profile", ["cls", "received", "rollout", "entropy"])
@pytest.mark.parametrize("model", ["tokens", "classes", "tracks"])
def test_every_profile_of_every_model(folder, tmp_path, profile, model) -> None:
    length = ["--length", 256] if model == "tracks" else []
    options = ["--profile", profile, "--figures", 1, *length]
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / model, *options)
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "maps.npz") as found:
        assert np.isfinite(found["map_1"]).all()
        assert found["map_1"].max() > 0


def test_regions_of_a_track_model_are_widened_to_whole_bins_for_attention(folder, tmp_path) -> None:
    bed = tmp_path / "r.bed"
    bed.write_text("chr1\t300\t340\tone\nchr1\t600\t605\ttwo\nchr1\t0\t3\tthree\n")
    done = run(folder, tmp_path / "out", "attention", bed, "-m", folder / "tracks", "--figures", 0)
    assert done.exit_code == 0, done.output
    assert "2 regions are widened around the middle to whole bins, a multiple of 8 bases; give a length for" in done.output
    with np.load(tmp_path / "out" / "maps.npz") as found:
        assert found["starts"].tolist() == [300, 599, -2]
        assert [len(found[f"map_{i}"]) for i in range(3)] == [40, 8, 8]
        assert found["codes_2"][:2].tolist() == [4, 4]  # N before the contig


@pytest.mark.parametrize("command", [("attention",), ("attribution", "--head", "human", "--tracks", "0")])
def test_a_track_model_reads_its_context_around_a_region(folder, tmp_path, command) -> None:
    bed = tmp_path / "r.bed"
    bed.write_text("chr1\t600\t612\ttwo\n")

    def mapped(out: str, *options: object) -> np.ndarray:
        done = run(folder, tmp_path / out, *command, bed, "-m", folder / "tracks", "--figures", 0, *options)
        assert done.exit_code == 0, done.output
        with np.load(tmp_path / out / "maps.npz") as found:
            return found["map_0"]

    length = registry.load(folder / "tracks").config.context_length
    whole, part = mapped("whole", "--length", length), mapped("part", "--length", 16)
    middle = slice(length // 2 - 8, length // 2 + 8)
    np.testing.assert_allclose(part, whole[middle], rtol=1e-5, atol=1e-7 * np.abs(whole).max())
    assert not np.allclose(mapped("alone", "--length", 16, "--context", 16), part)
    for context, text in (
        (8, "is 8 bases, expected those of the longest region, 12, or more"),
        (20, "20 bases is not a whole"),
    ):
        options = ("-m", folder / "tracks", "--context", context, "--length", 12)
        done = run(folder, tmp_path / "no", *command, bed, *options)
        assert done.exit_code == 2
        assert text in done.output
    done = run(folder, tmp_path / "no", "attention", folder / "r.bed", "-m", folder / "tokens", "--context", 512)
    assert done.exit_code == 2
    assert "--context is of a track model on a genome" in done.output


def test_motifs_say_what_each_stage_left(folder, tmp_path) -> None:
    (tmp_path / "p.fa").write_text("".join(f">p{i}\n{TEXT[i * 30 : i * 30 + 60]}\n" for i in range(10)))
    (tmp_path / "n.fa").write_text("".join(f">n{i}\n{TEXT[500 + i * 30 : 560 + i * 30]}\n" for i in range(10)))
    done = run(
        *(folder, tmp_path / "o", "attention", tmp_path / "p.fa", "-m", folder / "tokens"),
        *("--negative", tmp_path / "n.fa"),
        fasta=False,
    )
    assert done.exit_code == 0, done.output
    assert "       10  sequences" in done.stderr
    assert "no motif: no survivor of the stage: " in done.stderr
    assert (tmp_path / "o" / "motifs.meme").read_text().startswith("MEME version 4")


OF_TRACKS = ["--tracks", "1", "--head", "human", "--strand", "forward"]


@pytest.mark.parametrize(("model", "options"), [("tokens", []), ("tracks", OF_TRACKS)])
def test_mutagenesis(folder, tmp_path, model, options) -> None:
    done = run(folder, tmp_path, "ism", folder / "r.bed", "-m", folder / model, "--length", 12, "--figures", 1, *options)
    assert done.exit_code == 0, done.output
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", "001_one.png", "001_one.svg"}
    with np.load(tmp_path / "maps.npz") as found:
        values, codes = found["map_0"], found["codes_0"]
    assert values.shape == (12, 4)
    assert (values[np.arange(12), codes] == 0).all()
    assert (np.abs(values).sum(1) > 0).all()


@pytest.mark.parametrize("method", ["gradient", "integrated"])
@pytest.mark.parametrize(
    ("model", "options"), [("classes", ["--class", "yes"]), ("tracks", ["--head", "human", "--length", "256"])]
)
def test_attributions(folder, tmp_path, model, options, method) -> None:
    pytest.importorskip("captum", reason="captum is an extra: pip install genoformer[interpret]")
    done = run(folder, tmp_path, "attribution", folder / "r.bed", "-m", folder / model, "--method", method, *options)
    assert done.exit_code == 0, done.output
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", *FIGURES}
    assert ("completeness error: median " in done.stderr) == (method == "integrated")


def test_motifs_are_matched_with_known_ones(tmp_path) -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    random = np.random.default_rng(0)
    known = [Matrix.of_counts(f"k{i}", random.dirichlet(np.full(4, 0.2), 10) * 50) for i in range(30)]
    write_meme(tmp_path / "known.meme", known)
    write_meme(tmp_path / "mine.meme", [Matrix("mine", known[4].p[2:])])
    command = ["interpret", "motifs", str(tmp_path / "mine.meme"), str(tmp_path / "known.meme"), "--nearest", "1"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1].startswith("mine\tk4\t")
    assert len(read_matrices(tmp_path / "known.meme")) == 30


def write_vcf(folder: Path, *rows: str) -> Path:
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "v.vcf").write_text("\n".join([*head, *("\t".join(row.split()) for row in rows)]) + "\n")
    return folder / "v.vcf"


@pytest.mark.parametrize("command", ["attention", "attribution", "ism"])
def test_of_a_variant_both_alleles_are_drawn(folder, tmp_path, command) -> None:
    other = "C" if TEXT[399] == "A" else "A"
    vcf = write_vcf(tmp_path, f"1 400 . {TEXT[399]} {other},<DEL> . . .", "chr9 5 . A C . . .")
    done = run(folder, tmp_path / "o", command, vcf, "-m", folder / "classes", "--length", 40)
    assert done.exit_code == 0, done.output
    assert "2 alleles have no window: 1 NO_CONTIG, 1 SYMBOLIC." in done.stderr
    assert f"001_1_400_{TEXT[399]}_{other}.png" in names(tmp_path / "o")


def test_mutagenesis_of_a_fine_tuned_model_is_of_its_logit(folder, tmp_path) -> None:
    done = run(folder, tmp_path, "ism", folder / "r.bed", "-m", folder / "classes", "--class", "no", "--figures", 0)
    assert done.exit_code == 0, done.output
    model = registry.load(folder / "classes")
    with np.load(tmp_path / "maps.npz") as found, torch.inference_mode():
        assert found["what"] == "mutagenesis no"
        codes = np.stack([found["codes_0"]] * 2)
        codes[1, 7] = (codes[0, 7] + 1) % 4
        logits = model.logits(codes)[:, 0]
        assert found["map_0"][7, codes[1, 7]] == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)


def test_mutagenesis_of_sequences_by_themselves(folder, tmp_path) -> None:
    """Beyond the ends of a sequence of a FASTA are N."""
    (tmp_path / "p.fa").write_text(f">one\n{TEXT[:12]}\n")
    done = run(folder, tmp_path / "o", "ism", tmp_path / "p.fa", "-m", folder / "tokens", "--sanity-checks", fasta=False)
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "o" / "maps.npz") as found:
        assert found["map_0"].shape == (12, 4)
    assert (tmp_path / "o" / "audit.tsv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("command", "model", "options"),
    [
        ("attention", "tokens", []),
        ("attention", "classes", []),
        ("attribution", "classes", []),
        ("ism", "classes", []),
        ("attention", "tracks", ["--profile", "received", "--length", 256]),
        ("attribution", "tracks", ["--length", 256, "--head", "mouse", "--tracks", "0"]),
        ("ism", "tracks", ["--length", 6, "--head", "human", "--tracks", "0", "--strand", "forward"]),
    ],
)
def test_sanity_checks_are_in_the_figures_and_a_table(folder, tmp_path, command, model, options) -> None:
    done = run(folder, tmp_path, command, folder / "r.bed", "-m", folder / model, "--sanity-checks", "--figures", 1, *options)
    assert done.exit_code == 0, done.output
    assert "sanity checks, medians: " in done.stderr
    header, row, end = (tmp_path / "audit.tsv").read_text().split("\n")
    assert (header.split("\t")[1], row.split("\t")[0], end) == ("spearman_with_mutagenesis", "one", "")
    values = np.array([text or "nan" for text in row.split("\t")[1:]], dtype=float)
    known = values[[0, 2]]
    assert (np.abs(known[np.isfinite(known)]) <= 1).all()
    assert np.isnan(values[0]) == (command == "ism")  # it need not be compared with itself
    assert "<!-- sanity checks: " in (tmp_path / "001_one.svg").read_text()


@pytest.mark.parametrize("command", ["attention", "ism"])
def test_sanity_checks_where_bases_are_unknown(folder, tmp_path, command) -> None:
    """Beyond the end of the contig, and in a gap."""
    (tmp_path / "gap.fa").write_text(f">chr1\n{TEXT[:300]}{'N' * 60}{TEXT[300:]}\n")
    (tmp_path / "e.bed").write_text("chr1\t0\t10\tend\nchr1\t305\t345\tgap\n")
    options = ["-m", folder / "tokens", "-f", tmp_path / "gap.fa", "--length", 40, "--sanity-checks"]
    done = run(folder, tmp_path / "o", command, tmp_path / "e.bed", *options, fasta=False)
    assert done.exit_code == 0, done.output
    rows = [row.split("\t") for row in (tmp_path / "o" / "audit.tsv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["end", "gap"]
    assert rows[1][1:] == [""] * 3 or command == "attention"
    if command == "ism":
        import pyBigWig

        with pyBigWig.open(str(tmp_path / "o" / "maps.bw")) as track:
            assert np.isnan(track.values("chr1", 305, 345)).all()  # no value, and not 0
            assert np.isfinite(track.values("chr1", 0, 25)).all()


def test_mutagenesis_of_several_tracks_is_their_sum(folder, tmp_path) -> None:
    maps = {}
    for spec in ("1", "3", "1,3"):
        done = run(
            *(folder, tmp_path / spec, "ism", folder / "r.bed", "-m", folder / "tracks", "--length", 6),
            *("--figures", 0, "--head", "human", "--strand", "forward", "--tracks", spec),
        )
        assert done.exit_code == 0, done.output
        with np.load(tmp_path / spec / "maps.npz") as found:
            maps[spec] = found["map_0"]
    np.testing.assert_allclose(maps["1,3"], maps["1"] + maps["3"], atol=1e-5)
    assert not np.allclose(maps["1,3"], maps["1"], atol=1e-4)


def test_places_without_a_start_are_left_out_and_counted(folder, tmp_path) -> None:
    (tmp_path / "g.gtf").write_text('chr1\tx\texon\t401\t500\t.\t+\t.\tgene_id "A";\n')
    (tmp_path / "l.bed").write_text("chr1\t300\t500\thas\nchr1\t700\t900\thas not\n")
    options = ["-m", folder / "tracks", "--length", 200, "--profile", "cls", "--query", "tss", "--gtf", tmp_path / "g.gtf"]
    done = run(folder, tmp_path / "o", "attention", tmp_path / "l.bed", *options)
    assert done.exit_code == 0, done.output
    assert "1 region has no TSS and is left out." in done.stderr
    with np.load(tmp_path / "o" / "maps.npz") as found:
        assert found["names"].tolist() == ["has"]


def test_motifs_of_too_few_sequences_are_none(folder, tmp_path) -> None:
    pytest.importorskip("modiscolite", reason="modisco-lite is an extra: pip install genoformer[interpret]")
    done = run(folder, tmp_path, "ism", folder / "r.bed", "-m", folder / "tokens", "--figures", 0, "--modisco")
    assert done.exit_code == 0, done.output
    assert "0 motifs" in done.stderr


def test_genes_and_elements_above_and_arcs_between(folder, tmp_path) -> None:
    rows = [("gene", "+", 401, 500, "A"), ("gene", "-", 601, 720, "B")]
    gtf = "".join(
        f'chr1\tx\texon\t{a}\t{b}\t.\t{strand}\t.\tgene_id "{name}"; gene_name "{name}";\n' for _, strand, a, b, name in rows
    )
    (tmp_path / "g.gtf").write_text(gtf)
    (tmp_path / "peaks.bed").write_text("chr1\t450\t470\nchr1\t640\t660\n")
    (tmp_path / "l.bed").write_text("chr1\t500\t600\tlocus\n")
    done = run(
        *(folder, tmp_path / "o", "attention", tmp_path / "l.bed", "-m", folder / "tracks", "--length", 400),
        *("--profile", "cls", "--query", "tss", "--gtf", tmp_path / "g.gtf"),
        *("--elements", f"enhancers={tmp_path / 'peaks.bed'}"),
    )
    assert done.exit_code == 0, done.output
    assert {"001_locus.png", "001_locus_matrix.png", "001_locus_contacts.svg"} <= names(tmp_path / "o")
    model = registry.load(folder / "tracks")
    with np.load(tmp_path / "o" / "maps.npz") as found:
        rows_ = AttentionReader(model).rows(found["codes_0"][None], (400 - 350) // 8)  # A, which begins next to the middle
        np.testing.assert_allclose(found["map_0"], np.repeat(rows_.mean((0, 1, 2)), 8), atol=1e-6)


def test_filters_are_written_as_motifs(folder, tmp_path) -> None:
    (tmp_path / "many.bed").write_text("".join(f"chr1\t{i * 50}\t{i * 50 + 100}\n" for i in range(20)))
    done = run(folder, tmp_path / "o", "filters", tmp_path / "many.bed", "-m", folder / "tracks", "--length", 100)
    assert done.exit_code == 0, done.output
    assert "filters are active" in done.stderr
    found = read_matrices(tmp_path / "o" / "motifs.meme")
    assert found
    assert all(matrix.name.startswith("filter_") for matrix in found)


@pytest.mark.parametrize("command", ["ism", "attention", "attribution", "motifs"])
def test_a_record_without_bases_is_named_with_its_line(folder, tmp_path, command) -> None:
    (tmp_path / "odd.fa").write_text(f">a\n{TEXT[:40]}\n>empty\n>b\n{TEXT[:40]}\n")
    write_meme(tmp_path / "m.meme", [Matrix("m", np.eye(4))])
    arguments = [tmp_path / "odd.fa", "-m", folder / "classes", "-o", tmp_path / "o", "--figures", 0]
    if command == "motifs":
        arguments = [tmp_path / "m.meme", "--scan", tmp_path / "odd.fa"]
    done = CliRunner().invoke(main, ["interpret", command, *map(str, arguments)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"Error: {tmp_path / 'odd.fa'}, line 3: record empty has 0 bases; complete or remove it.\n"


def test_protein_motifs_are_refused_before_anything_is_printed(tmp_path) -> None:
    (tmp_path / "p.meme").write_text("MEME version 5\n\nALPHABET= ACDEFGHIKLMNPQRSTVWY\n\nMOTIF KDEL\n")
    write_meme(tmp_path / "known.meme", [Matrix("m", np.eye(4))])
    for pair in (("p.meme", "known.meme"), ("known.meme", "p.meme")):
        done = CliRunner().invoke(main, ["interpret", "motifs", *(str(tmp_path / name) for name in pair)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "p.meme, line 3: the alphabet is that of proteins" in done.stderr


def test_a_motif_of_four_bases_lies_as_its_file_says_and_may_be_too_short(tmp_path) -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    rows = "0.01 0.01 0.97 0.01\n0.97 0.01 0.01 0.01\n0.01 0.01 0.01 0.97\n0.01 0.97 0.01 0.01\n"
    (tmp_path / "g.meme").write_text(f"MEME version 4\n\nMOTIF GATC\nletter-probability matrix: alength= 4 w= 4\n{rows}")
    (tmp_path / "s.fa").write_text(f">s\n{'T' * 10}GATC{'T' * 23}CTAG{'T' * 8}\n")
    scan = ["interpret", "motifs", str(tmp_path / "g.meme"), "--scan", str(tmp_path / "s.fa")]
    done = CliRunner().invoke(main, [*scan, "--p-value", "0.01"])
    assert done.stdout == "s\t10\t14\tGATC\t24\t+\ns\t10\t14\tGATC\t24\t-\n"
    done = CliRunner().invoke(main, scan)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 motif is too short for p up to 0.0001 and cannot have a hit: p of GATC (4 bases) is 0.0039" in done.stderr


def test_places_of_motifs_as_bed(folder, tmp_path) -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    site = TEXT[312:324]
    write_meme(tmp_path / "m.meme", [Matrix.of_counts("site", 50 * np.eye(4)[["ACGT".index(base) for base in site]])])
    scan = ["interpret", "motifs", tmp_path / "m.meme", "--scan", folder / "r.bed", "-f", folder / "g.fa", "--p-value", "1e-5"]
    done = CliRunner().invoke(main, [str(x) for x in scan])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].split("\t")[:4] == ["chr1", "312", "324", "site"]
    assert "1 hits in 2 sequences" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["attention", "r.bed", "-m", "tracks", "--length", "256", "--profile", "viz"],
            "--profile is viz, expected cls, received,",
        ),
        (
            ["attention", "r.bed", "-m", "tokens", "--profile", "all"],
            "--profile is 'all', expected viz, cls, received,",
        ),
        (["attention", "r.bed", "-m", "tokens", "--layers", "9"], "layer 9: this model has layers 0 to 1"),
        (["attention", "r.bed", "-m", "tokens", "--query", "tss"], "--query is tss, which needs a track model and genes"),
        (["filters", "r.bed", "-m", "tokens"], "the model has no filters over bases; give a track model"),
        (["ism", "r.bed", "-m", "tokens", "--tracks", "1"], "--tracks needs a track model, found a language model"),
        (["attention", "r.bed", "-m", "tokens", "--layers", "x"], "--layers x: give whole numbers and commas"),
        (["attention", "r.bed", "-m", "tokens", "--profile", "cls", "--query", "99"], "query 99: the sequences have 40 tokens"),
        (["attribution", "r.bed", "-m", "tokens"], "a language model has no output to explain"),
        (
            ["attribution", "r.bed", "-m", "classes", "--class", "maybe"],
            "--class is 'maybe', expected a class of",
        ),
        (["attribution", "r.bed", "-m", "classes", "--steps", "9"], "--steps needs the method integrated, found gradient"),
        (["ism", "r.bed", "-m", "classes", "--strand", "forward"], "--strand needs a score"),
        (["ism", "r.bed", "-m", "classes", "--strand", "both"], "--strand needs a score"),
        (["ism", "r.bed", "-m", "classes", "--shifts", "1"], "--shifts needs a score"),
        (["ism", "r.bed", "-m", "classes", "--anchor", "variant"], "--anchor needs a track model, found a fine-tuned model"),
        (["ism", "r.bed", "-m", "tokens", "--indels", "left"], "--indels needs a track model, found a language model"),
        (["ism", "r.bed", "-m", "tokens", "--tile", "max"], "--tile needs a fine-tuned model"),
        (["ism", "r.bed", "-m", "tokens", "-s", "SAD"], "SAD is of tracks, and this is a language model"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(folder, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(folder)
    done = run(folder, tmp_path / "o", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not list((tmp_path / "o").glob("*"))
