"""-r and -R of every command that takes them: the outputs are those of a file with the selected records or regions only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, run, run_well
from small_models import small_encoder, small_enformer

from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, a VCF and its records in two regions, the regions as a BED, and two models."""
    folder, random = tmp_path_factory.mktemp("input"), np.random.default_rng(0)
    texts = {name: "".join(random.choice(list("ACGT"), n)) for name, n in (("chr1", 900), ("chr2", 400))}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    registry.save(small_enformer(), folder / "tracks")
    registry.save(small_encoder(BaseTokenizer(), context_length=40), folder / "tokens")
    head = ["##fileformat=VCFv4.3", "##contig=<ID=chr1,length=900>", "##contig=<ID=chr2,length=400>"]
    head += [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1",
    ]
    for name, first in (("v", 5), ("c", 10)):  # variants, and controls at other positions
        records = [
            (
                contig,
                pos,
                f"{contig}\t{pos}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\tAF=0.{pos}\tGT\t{i % 2}|{i % 3 % 2}",
            )
            for contig, text in texts.items()
            for i, pos in enumerate(range(first, len(text), 11))
            for ref in text[pos - 1]
        ]
        inside = [
            line
            for contig, pos, line in records
            if (301 <= pos <= 500 and contig == "chr1") or (pos <= 100 and contig == "chr2")
        ]
        (folder / f"{name}.vcf").write_text("\n".join([*head, *(line for _, _, line in records), ""]))
        (folder / f"inside_{name}.vcf").write_text("\n".join([*head, *inside, ""]))
        assert 20 < len(inside) < len(records)
    (folder / "one.bed").write_text("chr1\t300\t500\n")
    (folder / "both.bed").write_text("chr1\t300\t500\nchr2\t0\t100\n")
    (folder / "e.bed").write_text("".join(f"{name}\t{n}\t{n + 30}\te{n % 3}\n" for name in texts for n in range(0, 390, 55)))
    return folder


TRACKS = "-f g.fa -m tracks --head human --strand forward --device cpu"
RECORDS: dict[str, tuple[str, str]] = {  # words of a command of records, and its output
    "annotate": ("annotate {} -a E=e.bed", "out.vcf"),
    "annotate, with a genome": ("annotate {} -f g.fa -a E=e.bed", "out.tsv"),
    "score": ("score {} -f g.fa -m tokens -s LLR --device cpu", "out.tsv"),
    "pairs": (f"pairs {{}} {TRACKS} --within 12", "out.tsv"),
    "enrich": ("enrich {} -a E=e.bed --background c.vcf --match none --resamplings 5", "out"),
    "interpret": ("interpret ism {} -f g.fa -m tokens --length 4 --figures 0 --device cpu", "out"),
}
REGIONS: dict[str, tuple[str, str]] = {  # words of a command of regions, in which {} are the regions
    "embed": ("embed {} -f g.fa -m tokens --device cpu", "out.npy"),
    "haplotypes": (f"haplotypes v.vcf {{}} {TRACKS}", "out.tsv"),
    "predict": (f"predict {{}} {TRACKS} --tracks 0", "out.bw"),
}


def contents(path: Path) -> dict[str, bytes]:
    """The files of an output, without those that name the input in another way."""
    files = sorted(path.rglob("*")) if path.is_dir() else sorted(path.parent.glob(f"{path.name}*"))
    return {file.name: file.read_bytes() for file in files if file.suffix not in (".json", ".png", ".svg")}


@pytest.mark.parametrize("case", RECORDS)
def test_records_in_regions(case: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    words, output = RECORDS[case]
    monkeypatch.chdir(folder)
    for name in ("file", "regions"):
        (tmp_path / name).mkdir()
    filtered = words.replace("--background c.vcf", "--background inside_c.vcf").format("inside_v.vcf").split()
    run_well(*filtered, "-o", tmp_path / "file" / output)
    selected = [*words.format("v.vcf").split(), "-r", "2:1-100", "-R", "one.bed", "-r", "chr1:400-450"]
    run_well(*selected, "-o", tmp_path / "regions" / output)
    one, other = contents(tmp_path / "file" / output), contents(tmp_path / "regions" / output)
    assert one.keys() == other.keys()
    for name, content in one.items():
        lines, others = (text.replace(b"inside_v.vcf", b"v.vcf").splitlines() for text in (content, other[name]))
        assert [line for line in lines if b"options=" not in line] == [line for line in others if b"options=" not in line], name


@pytest.mark.parametrize("case", REGIONS)
def test_regions_instead_of_a_file(case: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    words, output = REGIONS[case]
    monkeypatch.chdir(folder)
    for name in ("file", "regions"):
        (tmp_path / name).mkdir()
    run_well(*words.format("both.bed" if case == "embed" else "-b both.bed").split(), "-o", tmp_path / "file" / output)
    regions = ["-r", "chr1:301-500", "-r", "chr2:1-100"] if case != "haplotypes" else ["-R", "one.bed", "-r", "chr2:1-100"]
    run_well(*words.format("").split(), *regions, "-o", tmp_path / "regions" / output)
    assert contents(tmp_path / "regions" / output) == contents(tmp_path / "file" / output)


def test_interpret_maps_regions_without_a_file(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    words = ["-f", "g.fa", "-m", "tokens", "--figures", 0, "--device", "cpu", "-o"]
    (tmp_path / "r.bed").write_text("chr1\t300\t306\nchr2\t0\t5\n")
    run_well("interpret", "ism", tmp_path / "r.bed", *words, tmp_path / "file")
    run_well("interpret", "ism", "-r", "chr1:301-306", "-r", "2:1-5", *words, tmp_path / "regions")
    with np.load(tmp_path / "file" / "maps.npz") as one, np.load(tmp_path / "regions" / "maps.npz") as other:
        assert one["names"].tolist() == other["names"].tolist() == ["chr1:301-306", "chr2:1-5"]
        np.testing.assert_array_equal(one["map_1"], other["map_1"])


def test_interpret_takes_ids(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    records = [line.split("\t")[:5] for line in (folder / "v.vcf").read_text().splitlines() if line.startswith("chr1")]
    ids = [f"{chrom}:{pos}:{ref}:{alt}" for chrom, pos, _, ref, alt in records[20:22]]
    run_well("interpret", "ism", *ids, "-f", "g.fa", "-m", "tokens", "--length", 4, "--figures", 0, "-o", tmp_path / "maps")
    assert (tmp_path / "maps" / "variants.tsv").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("interpret ism -f g.fa -m tokens -o out", "found no data and no region, expected a BED"),
        ("interpret ism both.bed -r chr1:1-9 -f g.fa -m tokens -o out", "--region selects variants, found both.bed"),
        ("interpret ism -r chr1:1-9 -m tokens -o out", "is of a genome, found none; give its FASTA"),
        ("embed -m tokens -o x.npy", "found no sequences, expected DATA or regions"),
        ("embed both.bed -r chr1:1-9 -f g.fa -m tokens -o x.npy", "stands in place of DATA, found both.bed"),
        ("embed -r chr1:1-9 -m tokens -o x.npy", "is of a genome, found none; give its FASTA with -f"),
        ("embed -r chr1:1-9 -f g.fa -m tokens --probe", "--probe needs labels"),
        ("haplotypes v.vcf -f g.fa -m tracks -o x.tsv", "found no regions, expected some"),
        ("haplotypes v.vcf -f g.fa -m tracks -r chr1:890-910 -o x.tsv", "reaches beyond the end of chr1"),
        ("annotate v.vcf -a E=e.bed -r chr9", "has no contig chr9, its contigs are chr1, chr2"),
        ("annotate v.vcf -a E=e.bed -r chr1:x", "region 'chr1:x' is not understood"),
        ("enrich v.vcf -a E=e.bed -r chr1:900", "has no records to read"),
    ],
)
def test_wrong_regions_are_refused(words: str, message: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    assert_refused(run(*words.replace(" out", f" {tmp_path}/out").split()), message)
