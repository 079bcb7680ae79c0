"""A VCF that fits its genome in part, from the command line on: contigs that are left out, and records that are fixed."""

from __future__ import annotations

import copy
import json
import pickle
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from genoformer_cli.main import main
from scoring_jobs import run_score

import genoformer as gf
from genoformer.formats.vcf import read_variants
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.readings import other_strand
from genoformer.genome.reference import Genome
from genoformer.models import registry

_RNG = random.Random(0)
CHR1, CHR2, MT = ("".join(_RNG.choices("ACGT", k=n)) for n in (1_200, 800, 16_571))
PLACES = range(30, 1_170, 12)
PARTNER = {"A": "T", "C": "G", "G": "C", "T": "A"}


def variants(sequence: str, places: range = PLACES) -> list[list[str]]:
    """SNVs of every kind, and now and then an insertion and a deletion, as columns up to ALT."""
    rows = []
    for i, pos in enumerate(places):
        ref = sequence[pos - 1]
        if i % 10 == 3:
            rows.append(["chr1", str(pos), f"v{i}", ref, f"{ref}{PARTNER[ref]}{ref}"])
        elif i % 10 == 7:
            rows.append(["chr1", str(pos), f"v{i}", sequence[pos - 1 : pos + 2], ref])
        else:
            rows.append(["chr1", str(pos), f"v{i}", ref, "ACGT".replace(ref, "")[i % 3]])
    return rows


def is_snv(row: list[str]) -> bool:
    return len(row[3]) == len(row[4]) == 1


def swapped(row: list[str]) -> list[str]:
    return [*row[:3], row[4], row[3]]


def flipped(row: list[str]) -> list[str]:
    return [*row[:3], PARTNER[row[3]], PARTNER[row[4]]] if is_snv(row) else row


def moved(row: list[str], by: int) -> list[str]:
    return [row[0], str(int(row[1]) + by), *row[2:]]


class Place(NamedTuple):
    """A genome, a model, and a folder."""

    fasta: Path
    model: Path
    folder: Path

    def vcf(self, rows: list[list[str]], *header: str, name: str = "in.vcf") -> Path:
        path = self.folder / name
        lines = ["##fileformat=VCFv4.2", *header, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        path.write_text("\n".join([*lines, *("\t".join([*row, ".", "PASS", "."]) for row in rows)]) + "\n")
        return path

    def score(self, vcf: Path, *more: object, out: str = "out.vcf") -> Result:
        arguments = ["score", vcf, "-f", self.fasta, "-m", self.model, "-o", self.folder / out, *more]
        return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="genoformer")

    def infos(self, out: str = "out.vcf") -> list[dict[str, str]]:
        return [parse_info(record) for record in read_variants(self.folder / out)]


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path, make_fasta: Callable[..., Path]) -> Place:
    return Place(make_fasta(chr1=CHR1, chr2=CHR2, chrM=MT), tiny_model_folder, tmp_path)


def values(infos: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{key: value for key, value in info.items() if key in ("GF_LLR", "GF_PLL")} for info in infos]


def every_fourth(change: Callable[[list[str]], list[str]]) -> list[list[str]]:
    return [change(row) if is_snv(row) and i % 4 == 0 else row for i, row in enumerate(variants(CHR1))]


ALTERED = [
    (every_fourth(swapped), "swap", {"SWAP"}),
    ([swapped(row) for row in variants(CHR1)], "swap", {"SWAP"}),
    (every_fourth(flipped), "strand", {"STRAND"}),
    (
        mixed := [
            flipped(row) if is_snv(row) and i % 5 == 0 else swapped(row) if is_snv(row) and i % 5 == 1 else row
            for i, row in enumerate(variants(CHR1))
        ],
        "swap,strand",
        {"SWAP", "STRAND", "SWAP_OR_STRAND"},
    ),
    ([moved(row, -1) for row in variants(CHR1)], "shift", {"SHIFT"}),
    ([moved(row, 1) for row in variants(CHR1)], "shift", {"SHIFT_BACK"}),
]


@pytest.mark.parametrize(("rows", "fix", "words"), ALTERED)
def test_a_fixed_file_has_the_scores_of_the_file_that_was_meant(
    place: Place, rows: list[list[str]], fix: str, words: set[str]
) -> None:
    assert place.score(place.vcf(variants(CHR1))).exit_code == 0
    meant = values(place.infos())
    assert all(meant)
    result = place.score(vcf := place.vcf(rows), "--fix", fix, "--verify", 5)
    assert result.exit_code == 0, result.stderr
    assert values(place.infos()) == meant
    assert {info["GF_FIX"] for info in place.infos() if "GF_FIX" in info} == words
    written = [line.split("\t")[:7] for line in (place.folder / "out.vcf").read_text().splitlines() if line[0] != "#"]
    assert written == [line.split("\t")[:7] for line in vcf.read_text().splitlines() if line[0] != "#"]
    counts = Counter(info["GF_FIX"] for info in place.infos() if "GF_FIX" in info)
    assert all(f"{word} {n}" in result.stderr.partition("fixed: ")[2] for word, n in counts.items())
    assert "verified: 5 random records" in result.stderr


def mnvs(sequence: str) -> list[list[str]]:
    """SNVs, and substitutions of two bases; REF of about one in four of them is its own reverse complement."""
    rows = []
    for i, pos in enumerate(PLACES):
        n = 1 + i % 2
        ref = sequence[pos - 1 : pos - 1 + n]
        alts = [alt for alt in ("CA", "TG", "AT", "GG")[i % 4 :] if alt != ref] if n == 2 else ["ACGT".replace(ref, "")[i % 3]]
        rows.append(["chr1", str(pos), f"v{i}", ref, ",".join(alts[: 1 + i % 3 // 2])])
    return rows


def on_the_other_strand(row: list[str]) -> list[str]:
    return [*row[:3], other_strand(row[3]), ",".join(map(other_strand, row[4].split(",")))]


def test_substitutions_of_a_file_on_the_other_strand_have_the_scores_of_the_file_that_was_meant(place: Place) -> None:
    rows = mnvs(CHR1)
    mirrored = [row[3] == other_strand(row[3]) for row in rows]
    assert sum(mirrored) > 5
    assert place.score(place.vcf(rows)).exit_code == 0
    meant = values(place.infos())
    result = place.score(place.vcf([on_the_other_strand(row) for row in rows]), "--fix", "strand")
    assert result.exit_code == 0, result.stderr
    assert values(place.infos()) == meant
    assert "EITHER_STRAND" not in result.stderr


def test_substitutions_of_which_the_strand_is_not_known_have_no_score(place: Place) -> None:
    """A half of the file is on the other strand, so that a REF of TA may be of either half."""
    rows = mnvs(CHR1)
    assert place.score(place.vcf(rows)).exit_code == 0
    meant = values(place.infos())
    result = place.score(
        place.vcf([on_the_other_strand(row) if i % 4 < 2 else row for i, row in enumerate(rows)]), "--fix", "strand"
    )
    assert result.exit_code == 0, result.stderr
    n = 0
    for row, info, value in zip(rows, place.infos(), meant, strict=True):
        alts = row[4].split(",")
        if row[3] == other_strand(row[3]) and any(alt != other_strand(alt) for alt in alts):
            assert info["GF_STATUS"] == "EITHER_STRAND"
            n += 1
        else:
            assert values([info]) == [value]
    assert n > 5
    assert f"{n} records on chr1 have a REF that is its own reverse complement" in result.stderr.replace("\n" + 20 * " ", " ")


def test_the_header_names_a_status_of_fixes_only_where_one_is_asked_for(place: Place) -> None:
    for fix in ([], ["--fix", "strand"]):
        assert place.score(place.vcf(mnvs(CHR1)), *fix).exit_code == 0
        assert ("EITHER_STRAND" in (place.folder / "out.vcf").read_text()) == bool(fix)


def test_alleles_of_either_strand_in_either_order_cannot_be_told_apart(place: Place) -> None:
    rng = random.Random(1)
    snvs = [row for row in variants(CHR1) if is_snv(row)]
    rows = [rng.choice([lambda r: r, swapped, flipped, lambda r: swapped(flipped(r))])(row) for row in snvs]
    result = place.score(place.vcf(rows), "--fix", "swap,strand")
    assert result.exit_code == 2
    assert "--fix swap,strand was not applied to chr1" in result.stderr


def test_without_a_fix_what_agrees_is_scored_and_the_cause_is_named(place: Place) -> None:
    rows = every_fourth(swapped)
    n = sum(new != old for new, old in zip(rows, variants(CHR1), strict=True))
    result = place.score(place.vcf(rows))
    assert result.exit_code == 0
    assert f"REF and ALT look swapped in {n} of {len(rows)} records" in result.stderr
    assert "give --fix swap" in result.stderr
    assert [info.get("GF_STATUS") == "REF_MISMATCH" for info in place.infos()] == [
        new != old for new, old in zip(rows, variants(CHR1), strict=True)
    ]
    assert "GF_FIX" not in (place.folder / "out.vcf").read_text()


def test_the_file_of_the_right_alleles_is_the_same_with_and_without_fix_but_for_its_header(place: Place) -> None:
    vcf = place.vcf(variants(CHR1))
    assert place.score(vcf).exit_code == 0
    result = place.score(vcf, "--fix", "swap", "--fix", "strand,shift", out="fixed.vcf")
    assert result.exit_code == 0
    assert "no record was changed, REF agrees in every record" in result.stderr
    plain, fixed = ((place.folder / name).read_text().splitlines() for name in ("out.vcf", "fixed.vcf"))
    added = [line for line in fixed if line not in plain]
    assert ["ID=GF_FIX" in line or "EITHER_STRAND" in line or "fix=swap,strand,shift" in line for line in added] == [True] * 3


def test_scores_that_are_made_again_without_a_fix_do_not_keep_what_was_said_of_it(place: Place) -> None:
    vcf = place.vcf(every_fourth(swapped))
    assert place.score(vcf, "--fix", "swap").exit_code == 0
    assert place.score(place.folder / "out.vcf", out="again.vcf").exit_code == 0
    assert place.score(vcf, out="plain.vcf").exit_code == 0
    assert (place.folder / "again.vcf").read_text() == (place.folder / "plain.vcf").read_text()


@pytest.mark.parametrize("out", ["out.tsv", "out.parquet"])
def test_tables_have_a_column_for_the_fix_with_any_number_of_workers(place: Place, out: str) -> None:
    vcf = place.vcf([swapped(row) for row in variants(CHR1)])
    read = pd.read_parquet if out.endswith("parquet") else lambda path: pd.read_csv(path, sep="\t")
    tables = []
    for workers in (1, 2) if out == "out.tsv" else (1,):
        assert place.score(vcf, "--fix", "swap", "--workers", workers, "--threads", 1, out=out).exit_code == 0
        tables.append(read(place.folder / out))
    assert (tables[0]["FIX"] == "SWAP").all()
    assert tables[-1].equals(tables[0])


def test_a_fix_that_is_not_known_is_refused(place: Place) -> None:
    result = place.score(place.vcf(variants(CHR1)), "--fix", "swap,flip")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "'flip': allowed are swap, strand, shift" in result.stderr


MT_HEADER = ("##contig=<ID=MT,length=16569>",)


def mitochondrial(n: int = 40) -> list[list[str]]:
    """Of a sequence that has two bases less than ours from base 300 on."""
    other = MT[:300] + MT[302:]
    return [["MT", *row[1:]] for row in variants(other, range(200, 200 + 40 * n, 40)) if is_snv(row)]


def test_a_contig_of_another_sequence_gets_no_scores_and_the_rest_goes_on(place: Place) -> None:
    good, lost = variants(CHR1), mitochondrial()
    result = place.score(place.vcf([*good, *lost, ["MT", "100", "sv", "A", "<DEL>"]], *MT_HEADER))
    assert result.exit_code == 0
    assert "MT of" in result.stderr
    assert "is another sequence than chrM of" in result.stderr
    statuses = [info.get("GF_STATUS") for info in place.infos()]
    assert statuses == [None] * len(good) + ["OTHER_SEQUENCE"] * len(lost) + ["SYMBOLIC"]
    assert f"not scored: SYMBOLIC 1, OTHER_SEQUENCE {len(lost)}" in result.stderr

    forced = place.score(place.vcf([*good, *lost], *MT_HEADER), "--force")
    assert forced.exit_code == 0
    assert "scored because --force is given" in forced.stderr
    assert "OTHER_SEQUENCE" not in {info.get("GF_STATUS") for info in place.infos()}


def test_a_mitochondrion_of_another_length_is_refused_though_every_base_agrees(place: Place) -> None:
    rows = [["MT", *row[1:]] for row in variants(MT)]
    result = place.score(place.vcf(rows, *MT_HEADER))
    assert result.exit_code == 2
    assert "MT of" in result.stderr
    assert "is a mitochondrion of 16,569 bases, and chrM of" in result.stderr
    assert place.score(place.vcf(rows, "##contig=<ID=MT,length=16571>")).exit_code == 0


def test_contigs_under_other_names_are_told_by_their_lengths(place: Place) -> None:
    rows = [["ctg_1", *row[1:]] for row in variants(CHR1)] + [["ctg_2", "5", ".", CHR2[4], "N"]]
    result = place.score(place.vcf(rows, "##contig=<ID=ctg_1,length=1200>", "##contig=<ID=ctg_2,length=800>"))
    assert result.exit_code == 2
    for part in ("same sequences under other names", "--rename-chrs names.txt", "ctg_1 chr1", "ctg_2 chr2"):
        assert part in result.stderr
    assert result.stderr.splitlines()[-2:] == ["ctg_1 chr1", "ctg_2 chr2"]
    assert "names.txt holds\nctg_1 chr1\n" in result.stderr
    again = place.score(place.folder / "in.vcf", "--preflight")
    assert again.stderr.splitlines()[-3:] == result.stderr.splitlines()[-3:]


def test_a_note_with_a_table_for_renaming_has_a_row_for_each_contig(place: Place) -> None:
    rows = [*variants(CHR1), *(["ctg_2", *row[1:]] for row in snvs(3, "chr2"))]
    named = place.folder / "odd\nname.vcf"
    vcf = place.vcf(rows, "##contig=<ID=ctg_2,length=800>", name=named.name)
    for more in ([], ["--preflight"]):
        result = place.score(vcf, *more)
        assert result.exit_code == 0, result.stderr
        lines = [line.strip() for line in result.output.splitlines()]
        assert "ctg_2 chr2" in lines
        assert not any(line.startswith("name.vcf") for line in lines)


def test_unfinished_work_of_other_rules_is_not_taken_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from genoformer.scoring import plan

    vcf = place.vcf([*variants(CHR1), *mitochondrial()], *MT_HEADER)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "write_parts", interrupted)
    assert place.score(vcf).exit_code != 0
    assert place.score(vcf, "--force").exit_code == 2
    assert "unfinished work of a run that differs in contigs left out" in place.score(vcf, "--force").stderr
    monkeypatch.undo()
    done = place.score(vcf)
    assert done.exit_code == 0, done.stderr
    assert "finished parts of an earlier run were used" in done.stderr


def test_a_table_from_python_warns_of_what_does_not_fit(place: Place) -> None:
    vcf = place.vcf(every_fourth(swapped))
    with pytest.warns(UserWarning, match="REF and ALT look swapped"):
        table = gf.score(vcf, place.fasta, str(place.model))
    with pytest.warns(UserWarning, match="fixed as requested|agree with REF and with ALT"):
        fixed = gf.score(vcf, place.fasta, str(place.model), fix="swap")
    assert table["status"].value_counts()["REF_MISMATCH"] == fixed["FIX"].notna().sum()
    assert fixed[["LLR", "PLL"]].notna().any(axis=1).all()


def wrong(row: list[str]) -> list[str]:
    """With a base that neither agrees nor is the other allele or a complement, if there is one."""
    return [*row[:3], next(base for base in "ACGT" if base not in (*row[3:5], PARTNER[row[3]])), row[4]]


def snvs(n: int, contig: str = "chr1") -> list[list[str]]:
    sequence = {"chr1": CHR1, "chr2": CHR2}[contig]
    rows = [row for row in variants(sequence, range(30, len(sequence) - 30, 12)) if is_snv(row)]
    return [[contig, *row[1:]] for row in rows[:n]]


LENGTHS = ("##contig=<ID=chr1,length=1200>", "##contig=<ID=chr2,length=800>")


def test_records_beyond_the_end_do_not_stop_those_inside(place: Place) -> None:
    beyond = [["chr1", str(pos), "far", "A", "C"] for pos in (3000, 3010)]
    result = place.score(place.vcf([*snvs(8), *beyond]))
    assert result.exit_code == 0, result.stderr
    assert [info.get("GF_STATUS") for info in place.infos()] == [None] * 8 + ["OUTSIDE"] * 2
    assert "2 of 10 records on chr1 lie beyond the end in" in result.stderr


def test_records_before_the_first_base_are_not_beyond_the_end_and_do_not_disagree(place: Place) -> None:
    telomeres = [["chr1", "0", "telomere", "N", alt] for alt in "ACGT"]
    for n_good in (3, 0):
        result = place.score(place.vcf([*telomeres, *snvs(n_good)]))
        assert result.exit_code == 0, result.stderr
        assert [info.get("GF_STATUS") for info in place.infos()] == ["OUTSIDE"] * 4 + [None] * n_good
        assert "4 records on chr1 lie before the first base (POS 0) and have no score (OUTSIDE)" in on_stderr(result)
        assert "beyond the end" not in on_stderr(result)
    result = place.score(place.vcf([telomeres[0], *snvs(20)]))
    assert "1 record on chr1 lies before the first base (POS 0) and has no score (OUTSIDE)" in on_stderr(result)


def test_a_header_with_a_wrong_length_is_reported_and_three_records_are_scored(place: Place) -> None:
    result = place.score(place.vcf(snvs(3), "##contig=<ID=chr1,length=1100>"))
    assert result.exit_code == 0, result.stderr
    assert "states other lengths than" in result.stderr
    assert [bool(scores) for scores in values(place.infos())] == [True] * 3


@pytest.mark.parametrize("n_slips", [1, 2])
@pytest.mark.parametrize("header", [(), LENGTHS])
def test_slips_on_a_small_contig_are_no_other_sequence(place: Place, n_slips: int, header: tuple[str, ...]) -> None:
    result = place.score(place.vcf([*snvs(50), *map(wrong, snvs(n_slips, "chr2"))], *header))
    assert result.exit_code == 0, result.stderr
    assert [info.get("GF_STATUS") for info in place.infos()] == [None] * 50 + ["REF_MISMATCH"] * n_slips


def test_a_region_that_holds_two_slips_alone_is_no_other_build(place: Place) -> None:
    rows = [wrong(row) if i in (3, 4) else row for i, row in enumerate(snvs(50))]
    result = place.score(place.vcf(rows), "-r", f"chr1:{rows[3][1]}-{rows[4][1]}")
    assert result.exit_code == 0, result.stderr
    assert "REF agrees in none of 2 records" in result.stderr
    assert "REF_MISMATCH 2" in result.stderr


def test_one_slip_is_not_called_a_cause_and_not_fixed(place: Place) -> None:
    rows = [row for row in snvs(60) if PARTNER[row[3]] != row[4]][:3]
    vcf = place.vcf([rows[0], [*rows[1][:3], PARTNER[rows[1][3]], rows[1][4]], rows[2]])
    for more in ((), ("--fix", "strand")):
        result = place.score(vcf, *more)
        assert result.exit_code == 0, result.stderr
        assert "look as if on the other strand" not in result.stderr
        assert [info.get("GF_STATUS") for info in place.infos()] == [None, "REF_MISMATCH", None]
    assert "so few may do so by chance" in result.stderr


def test_a_small_file_counted_from_zero_is_shifted_as_asked(place: Place) -> None:
    rows = snvs(5)
    assert place.score(place.vcf(rows)).exit_code == 0
    meant = values(place.infos())
    result = place.score(place.vcf([moved(row, -1) for row in rows]), "--fix", "shift")
    assert result.exit_code == 0, result.stderr
    assert (values(place.infos()), {info["GF_FIX"] for info in place.infos()}) == (meant, {"SHIFT"})
    assert "all records of chr1 are read at POS + 1 (REF disagrees at POS in" in on_stderr(result)


def test_a_shift_that_few_records_do_not_bear_out_says_that_they_are_few(place: Place) -> None:
    rows = [moved(row, -1) for row in snvs(6)][:4]
    rows.append(snvs(6)[5])
    result = place.score(place.vcf(rows), "--fix", "shift")
    assert "--fix shift was not applied to chr1" in result.stderr
    assert "so few may do so by chance" in result.stderr


@pytest.mark.parametrize(
    ("by", "remedy"),
    [
        (-1, "split the file, and add 1 to POS only in the part that counts from 0"),
        (1, "split the file, and subtract 1 from POS only in the part that is one too high"),
    ],
)
def test_positions_shifted_in_part_are_to_be_mended_in_that_part_only(place: Place, by: int, remedy: str) -> None:
    rows = [moved(row, by) if i >= 40 else row for i, row in enumerate(snvs(80))]
    for more in ((), ("--fix", "shift")):
        result = place.score(place.vcf(rows), *more)
        assert result.exit_code == 0, result.stderr
        assert remedy in on_stderr(result)
        assert "give --fix shift" not in on_stderr(result)
        assert "POS first" not in on_stderr(result)
    assert "a shift moves all records of a contig, and" in on_stderr(result)
    assert "must explain" not in on_stderr(result)


def test_small_contigs_follow_the_shift_of_the_file(place: Place, make_fasta: Callable[..., Path]) -> None:
    contigs = {f"c{i}": CHR1[40 * i : 40 * i + 40] for i in range(30)}
    place = place._replace(fasta=make_fasta("small.fa", **contigs))
    rows = [[name, "20", ".", text[19], PARTNER[text[19]]] for name, text in contigs.items()]
    by_chance = sum(text[18] == text[19] for text in contigs.values())
    assert by_chance  # agree as they are written, too
    vcf = place.vcf([moved(row, -1) for row in rows])
    assert place.score(vcf).exit_code == 2
    result = place.score(vcf, "--fix", "shift")
    assert result.exit_code == 0, result.stderr
    assert [info.get("GF_FIX") for info in place.infos()] == ["SHIFT"] * 30


def test_a_record_at_position_0_is_counted_alike_before_and_after_a_shift(place: Place) -> None:
    rows = [["chr1", "0", ".", CHR1[0], PARTNER[CHR1[0]]], *(moved(row, -1) for row in snvs(20))]
    result = place.score(place.vcf(rows), "--fix", "shift", "--json")
    assert result.exit_code == 0, result.stderr
    assert '"OUTSIDE"' not in result.stderr
    assert '"OK": 21' in result.stderr


def test_nothing_is_said_to_agree_beside_another_mitochondrion(place: Place) -> None:
    result = place.score(place.vcf([*snvs(50), *mitochondrial()], *MT_HEADER), "--fix", "shift")
    assert "is another sequence than chrM" in result.stderr
    assert "nothing to fix" not in result.stderr


def test_contigs_of_which_some_are_told_by_length_are_not_all_called_the_same(
    place: Place, make_fasta: Callable[..., Path]
) -> None:
    place = place._replace(fasta=make_fasta("three.fa", a=CHR1, b=CHR2, c=CHR2[::-1]))
    rows = [["ctg1", *row[1:]] for row in snvs(3)] + [["ctg2", *row[1:]] for row in snvs(3, "chr2")]
    result = place.score(place.vcf(rows, "##contig=<ID=ctg1,length=1200>", "##contig=<ID=ctg2,length=800>"))
    assert result.exit_code == 2
    assert "by length 1 of 2 are the same sequences" in result.stderr


def test_the_other_record_is_one(place: Place) -> None:
    rows = snvs(5)
    result = place.score(place.vcf([*rows[:4], wrong(rows[4])]))
    assert "REF agrees in 80 % of 5 records on chr1; the other one has no score (REF_MISMATCH)" in result.stderr


ZERO, SWAP, STRAND = "Positions look as if counted from 0", "REF and ALT look swapped", "Alleles look as if on the other strand"
WRONG = [
    ([moved(row, -1) for row in variants(CHR1)], "swap", "ALT agrees in", ZERO, "give --fix shift,"),
    ([moved(row, -1) for row in variants(CHR1)], "strand", "the complement of REF agrees in", ZERO, "give --fix shift,"),
    ([swapped(row) for row in variants(CHR1)], "shift", "REF agrees at POS + 1 in", SWAP, "give --fix swap,"),
    ([swapped(row) for row in variants(CHR1)], "strand", "the complement of REF agrees in", SWAP, "give --fix swap,"),
    ([flipped(row) for row in variants(CHR1) if is_snv(row)], "swap", "ALT agrees in", STRAND, "give --fix strand,"),
]


@pytest.mark.parametrize(("rows", "fix", "told", "cause", "remedy"), WRONG)
def test_a_fix_that_is_not_the_cause_is_refused_with_the_cause_and_its_remedy(
    place: Place, rows: list[list[str]], fix: str, told: str, cause: str, remedy: str
) -> None:
    result = place.score(place.vcf(rows), "--fix", fix)
    assert result.exit_code == 2
    error = result.stderr[result.stderr.index("Error") :]
    assert error.count("\n") == 1
    assert f"--fix {fix} was not applied to chr1: REF disagrees in " in error
    assert f" records; of those that can tell, {told}" in error
    assert error.index(told) < error.index(cause) < error.index(remedy)


def test_a_cause_that_few_records_show_is_named_beside_the_wrong_fix(place: Place) -> None:
    result = place.score(place.vcf([swapped(row) for row in snvs(4)]), "--fix", "shift")
    assert result.exit_code == 2
    assert "--fix shift was not applied to chr1" in result.stderr
    assert "too few to be sure that REF and ALT look swapped (then give --fix swap" in result.stderr


@pytest.mark.parametrize("rows", [every_fourth(swapped), variants(CHR1)])
def test_every_note_is_printed_once(place: Place, rows: list[list[str]]) -> None:
    (place.folder / "e.tsv").write_text("seqnames\tstart\tend\twidth\tstrand\nchr1\t11\t40\t30\t*\nchr1\t60\t69\t10\t+\n")
    result = place.score(place.vcf(rows), "-a", f"E={place.folder / 'e.tsv'}")
    assert result.exit_code == 0, result.stderr
    said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    assert len(said) == len(set(said))
    assert sum("it counts from 1" in line for line in said) == 1
    for text in ("REF and ALT look swapped", "give --fix swap"):
        assert " ".join(said).count(text) == (rows != variants(CHR1))


def test_a_shard_and_the_whole_have_a_summary_in_json(place: Place) -> None:
    vcf = place.vcf(variants(CHR1))
    for options, missing in ((("--shard", "1/1"), 0), ((), 0)):
        result = place.score(vcf, *options, "--json", out="out.tsv")
        assert result.exit_code == 0, result.stderr
        summary = json.loads(result.stderr.splitlines()[-1])["summary"]
        assert (summary["records"], summary["missing"], summary["fixed"], summary["below"]) == (95, missing, {}, {})


def test_a_summary_of_a_shard_can_be_pickled(place: Place) -> None:
    model = registry.load(str(place.model))
    vcf, genome = place.vcf(variants(CHR1)), Genome(place.fasta)
    summary = run_score(vcf, genome, model, place.folder / "out.tsv", scores="LLR", shard=(1, 2))
    assert pickle.loads(pickle.dumps(summary)) == copy.deepcopy(summary) == summary


def on_stderr(result: Result) -> str:
    """The text on stderr, in one line."""
    return " ".join(result.stderr.split())


def test_a_length_by_accession_is_not_called_that_of_the_header(place: Place) -> None:
    place = place._replace(fasta=Path(shutil.copy(place.fasta, place.folder / "one.fa")))
    rows = [["NC_000001.11", *row[1:]] for row in snvs(20)]
    result = place.score(place.vcf(rows))
    assert (
        "are named by accessions of sequences of other lengths than one.fa has (NC_000001.11 248,956,422 and 1,200)"
        in on_stderr(result)
    )
    assert "states other lengths" not in result.stderr
    assert "VCF hg38" in result.stderr
    stated = place.score(place.vcf(rows, "##contig=<ID=NC_000001.11,length=1300>"))
    assert "states other lengths than one.fa has (NC_000001.11 1,300 and 1,200)" in on_stderr(stated)


def test_accessions_of_several_assemblies_are_all_named(place: Place) -> None:
    rows = [[name, *row[1:]] for name in ("NC_000001.11", "CM000663.1", "NC_060925.1") for row in snvs(20)]
    assert "VCF chm13 and hg19 and hg38" in on_stderr(place.score(place.vcf(rows)))


@pytest.mark.parametrize("n", [1, 2])
def test_indels_that_agree_swapped_or_not_are_counted(place: Place, n: int) -> None:
    """A>AA before an A, which is AA>A as well."""
    at = [i + 1 for i in range(200, 1_000) if CHR1[i] == CHR1[i + 1]][:n]
    both_ways = [["chr1", str(pos), ".", CHR1[pos - 1], CHR1[pos - 1 : pos + 1]] for pos in at]
    rows = [swapped(row) if i % 3 == 0 else row for i, row in enumerate(snvs(60))]
    result = place.score(place.vcf(sorted([*rows, *both_ways], key=lambda row: int(row[1]))), "--fix", "swap")
    text = {1: "1 insertion or deletion on chr1 agrees with", 2: "2 insertions and deletions on chr1 agree with"}[n]
    assert f"{text} REF and with ALT: " in on_stderr(result)


def test_a_file_of_indels_that_agree_swapped_or_not_is_not_called_right(place: Place) -> None:
    at = [i + 1 for i in range(200, 1_000) if CHR1[i] == CHR1[i + 1]]
    vcf = place.vcf([["chr1", str(pos), ".", CHR1[pos - 1], CHR1[pos - 1 : pos + 1]] for pos in at])
    result = place.score(vcf, "--fix", "swap")
    assert f"{len(at)} insertions and deletions on chr1 agree with REF and with ALT: " in on_stderr(result)
    assert "scored as they are written" in on_stderr(result)
    assert "nothing to fix" not in on_stderr(result)
    assert "agree with REF and with ALT" not in on_stderr(place.score(vcf, "--fix", "strand"))
    assert "nothing to fix" in on_stderr(place.score(place.vcf(snvs(20)), "--fix", "swap"))


def test_breakends_beyond_a_telomere_have_no_windows_of_unknown_bases(place: Place) -> None:
    inside = snvs(60)[30:33]
    bnd = [["chr1", pos, ".", "N", ".[chr1:5["] for pos in ("0", "0", "1201", "1201")]
    result = place.score(place.vcf([*bnd[:2], *inside, *bnd[2:]]), "--context", 64)
    assert result.exit_code == 0
    assert "unknown bases" not in result.stderr
    far = place.score(
        place.vcf([*bnd[:2], *inside, ["chr1", "2", ".", CHR1[1], "ACGT".replace(CHR1[1], "")[0]]]), "--context", 64
    )
    assert "unknown bases: of 4 sampled records, 1 has a window" in on_stderr(far)
