"""A VCF that does not fit its genome as it stands is read alike by `score`, `report` and `interpret`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from commands import rows_of
from genoformer_cli.main import main
from small_models import small_encoder, small_enformer

from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer

CHR1, CHR2 = ("".join(np.random.default_rng(seed).choice(list("ACGT"), 900)) for seed in (6, 7))
PARTNER = str.maketrans("ACGT", "TGCA")
Row = tuple[str, int, str, str]  # contig, POS, REF, ALT


def rows_on(name: str, sequence: str) -> list[Row]:
    """SNVs of every kind, every fifth with two ALTs, and an insertion and a deletion."""
    found = []
    for i, pos in enumerate(range(60, 840, 24)):
        others = "ACGT".replace(ref := sequence[pos - 1], "")
        found.append((name, pos, ref, f"{others[0]},{others[2]}" if i % 5 == 0 else others[i % 3]))
    return [*found, (name, 850, sequence[849], f"{sequence[849]}GA"), (name, 870, sequence[869:874], sequence[869])]


def swapped(row: Row) -> Row:
    """REF and the last ALT exchanged."""
    *others, alt = row[3].split(",")
    return *row[:2], alt, ",".join([*others, row[2]])


def flipped(row: Row) -> Row:
    return (*row[:2], row[2].translate(PARTNER), row[3].translate(PARTNER)) if is_even(row) else row


def is_even(row: Row) -> bool:
    return all(len(alt) == len(row[2]) for alt in row[3].split(","))


GOOD = rows_on("chr1", CHR1)
FIXES = {
    "swap": [swapped(row) for row in GOOD],
    "strand": [flipped(row) for row in GOOD],
    "shift": [(name, pos - 1, ref, alt) for name, pos, ref, alt in GOOD],
}
OTHER = [("chr2", pos, ref, alt) for _, pos, ref, alt in rows_on("chr2", CHR2[::-1])]  # of another sequence


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fits")
    (path / "g.fa").write_text(f">chr1\n{CHR1}\n>chr2\n{CHR2}\n")
    registry.save(small_encoder(BaseTokenizer(), context_length=40, init_std=0.4), path / "language")
    registry.save(small_enformer(seed=3, target_bins=24), path / "tracks")
    return path


def write(path: Path, rows: Iterable[Row]) -> Path:
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines = [f"{name}\t{pos}\tv{i}\t{ref}\t{alt}\t.\t.\t." for i, (name, pos, ref, alt) in enumerate(rows)]
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def run(*arguments: object, fails: bool = False) -> Result:
    done = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="genoformer")
    assert done.exit_code == (2 if fails else 0), done.output
    return done


def options(folder: Path, model: str) -> list[object]:
    return ["-f", folder / "g.fa", "-m", folder / model, *(["--head", "human", "--strand", "forward"] * (model == "tracks"))]


def captions(path: Path) -> list[str]:
    parts = r"</span> ([^<]*)</h3>(?:(?!</article>).)*<figcaption>(.*?)</figcaption>"
    found = [" ".join(pair) for pair in re.findall(parts, path.read_text(), re.DOTALL)]
    return [html.unescape(text) for text in found]


def score(folder: Path, model: str, vcf: Path, out: Path, *more: object, fails: bool = False) -> Result:
    scores = "LLR,PLL" if model == "language" else "SAD"
    return run("score", vcf, *options(folder, model), "-s", scores, "-o", out, *more, fails=fails)


@pytest.mark.parametrize(("model", "fix"), [("language", "swap"), ("language", "strand"), ("tracks", "shift")])
def test_a_report_of_a_fixed_file_draws_what_was_scored(folder: Path, tmp_path: Path, model: str, fix: str) -> None:
    """The report shows the scores of the corrected file and does not warn that one has changed."""
    good, bad = write(tmp_path / "good.vcf", GOOD), write(tmp_path / "bad.vcf", FIXES[fix])
    score(folder, model, good, tmp_path / "good.o.vcf")
    score(folder, model, bad, tmp_path / "bad.o.vcf", "--fix", fix)
    common = ["-f", folder / "g.fa", "-m", folder / model, "--top", 2, "--flank", 5]
    for name in ("good", "bad"):
        run("report", tmp_path / f"{name}.o.vcf", *common, "-o", tmp_path / f"{name}.html")
    meant, drawn = captions(tmp_path / "good.html"), captions(tmp_path / "bad.html")
    assert 0 < len(meant) <= 2
    assert not any("Recomputed here" in text for text in drawn)
    title = re.compile(r"chr1:(\d+) (\S+)( v\d+)(?:, read as (\d+) (\S+) \((\w+)\))?(, .*)", re.DOTALL)
    words = set()
    for before, after in zip(meant, drawn, strict=True):
        pos, alleles, name, *_, rest = title.match(before).groups()  # type: ignore[union-attr]
        at, written, new_name, new_pos, new_alleles, word, new_rest = title.match(after).groups()  # type: ignore[union-attr]
        assert (new_name, new_rest) == (name, rest)  # every number of the caption
        assert (new_pos or at, new_alleles or written) == (pos, alleles)
        words.add(word)
    assert words & {"SWAP", "STRAND", "SHIFT"}
    said = (tmp_path / "bad.html").read_text()
    assert "fixed as requested" in " ".join(said.split())
    assert "give --fix" not in " ".join(said.split())


@pytest.mark.parametrize("model", ["language", "tracks"])
@pytest.mark.parametrize("fix", FIXES)
def test_mutagenesis_reads_a_file_as_score_does(folder: Path, tmp_path: Path, model: str, fix: str) -> None:
    bad = write(tmp_path / "bad.vcf", FIXES[fix])
    score(folder, model, bad, tmp_path / "bad.tsv", "--fix", fix)
    run("interpret", "ism", bad, *options(folder, model), "--length", 4, "--figures", 0, "--fix", fix, "-o", tmp_path / "i")
    scored, own = rows_of(tmp_path / "bad.tsv"), rows_of(tmp_path / "i/variants.tsv")
    by = 1 if fix == "shift" else 0
    assert [int(row["pos"]) + by for row in scored] == [int(row["pos"]) for row in own]  # the deletion, too
    for column in own[0].keys() & scored[0].keys() - {"chrom", "pos", "ref", "alt"}:
        assert [row[column] for row in own] == [row[column] for row in scored], column
    meant = [(pos, ref, alt) for _, pos, ref, alts in GOOD for alt in alts.split(",")]
    assert sorted((int(row["pos"]), row["ref"], row["alt"]) for row in own) == sorted(meant)


@pytest.mark.parametrize(
    ("method", "model"), [("ism", "language"), ("attention", "language"), ("attribution", "tracks"), ("filters", "tracks")]
)
def test_interpret_refuses_what_score_refuses(folder: Path, tmp_path: Path, method: str, model: str) -> None:
    bad = write(tmp_path / "bad.vcf", FIXES["shift"])
    refused = score(folder, model, bad, tmp_path / "o.vcf", fails=True).stderr
    assert "give --fix shift" in refused
    common = ["-f", folder / "g.fa", "-m", folder / model, "--length", 20, "-o", tmp_path / "i"]
    assert run("interpret", method, bad, *common, fails=True).stderr == refused[refused.index("Error:") :]
    assert not (tmp_path / "i").exists()


def test_a_contig_of_another_sequence_has_no_places(folder: Path, tmp_path: Path) -> None:
    vcf = write(tmp_path / "in.vcf", [*GOOD, *OTHER])
    score(folder, "language", vcf, tmp_path / "o.tsv")
    statuses = [row["status"] for row in rows_of(tmp_path / "o.tsv") if row["chrom"] == "chr2"]
    assert set(statuses) == {"OTHER_SEQUENCE"}
    common = [*options(folder, "language"), "--length", 20, "--figures", 0]
    said = run("interpret", "ism", vcf, *common, "-o", tmp_path / "i").stderr
    assert "in.vcf is another sequence than chr2 of g.fa" in said
    assert f"{len(statuses)} alleles have no window: {len(statuses)} OTHER_SEQUENCE." in said
    assert {row["chrom"] for row in rows_of(tmp_path / "i/variants.tsv")} == {"chr1"}
    run("interpret", "ism", vcf, *common, "--force", "-o", tmp_path / "f")
    assert {row["chrom"] for row in rows_of(tmp_path / "f/variants.tsv")} == {"chr1", "chr2"}


def test_negatives_are_compared_with_the_genome_too(folder: Path, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.vcf", GOOD), write(tmp_path / "bad.vcf", FIXES["shift"])
    common = ["-f", folder / "g.fa", "-m", folder / "language", "--length", 20, "-o", tmp_path / "i"]
    done = run("interpret", "attention", good, "--negative", bad, *common, fails=True)
    assert re.match(r"Error: REF of \S*bad.vcf agrees", done.stderr)


def test_the_noise_floor_of_a_shifted_file_is_that_of_the_corrected_one(folder: Path, tmp_path: Path) -> None:
    floors = []
    for name, rows, more in (("good", GOOD, []), ("bad", FIXES["shift"], ["--fix", "shift"])):
        score(folder, "tracks", write(tmp_path / f"{name}.vcf", rows), tmp_path / f"{name}.o.vcf", "--noise-places", 8, *more)
        text = (tmp_path / f"{name}.o.vcf").read_text()
        floors.append((re.findall("##genoformer_noise=.*", text), re.findall("GF_SAD(?:_NOISE)?=[^;\n]*", text)))
    assert floors[0] == floors[1]
    assert len(floors[0][0]) == 1


def test_a_vcf_without_a_window_says_why(folder: Path, tmp_path: Path) -> None:
    vcf = write(tmp_path / "in.vcf", [("chr1", 100, CHR1[99:104], CHR1[99]), ("chr1", 200, CHR1[199], "<DEL>")])
    common = [*options(folder, "language"), "-o", tmp_path / "i"]
    done = run("interpret", "ism", vcf, *common, "--length", 4, fails=True)
    assert "no allele of" in done.stderr
    assert "has a window of 4 bases: 1 SYMBOLIC, 1 TOO_LONG" in done.stderr
