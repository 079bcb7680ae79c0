"""AlphaGenome in the commands: info, convert, predict and score of a folder that alphagenome-pt could have written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from click.testing import CliRunner
from genoformer_cli.main import main

from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 9000))
HEADS = ["human_dnase_1bp", "mouse_chip_tf_128bp"]
MODEL = small_alphagenome()


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(c=TEXT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = small_alphagenome()
    for name, head in model.track_heads.items():
        pairs = [1, 0, *range(2, head.n_tracks)]  # the first two tracks are strands of one measurement
        model.targets[name] = TrackTable(tuple(Track(i, f"t{i}", strand_pair=pair) for i, pair in enumerate(pairs)))
    registry.save(model, tmp_path / "pt", layout="alphagenome-pt")
    return tmp_path / "pt"


def run(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def tracks(text: str, head: str) -> np.ndarray:
    """All tracks of all bins of a window of text, [K, N]."""
    with torch.no_grad():
        return MODEL(one_hot(torch.from_numpy(encode(text).copy())[None]), head, 0)[0].double().numpy()


def test_info_lists_the_heads_and_their_bins(folder: Path) -> None:
    info = json.loads(run("models", "info", folder, "--json"))
    assert info["layout"] == "alphagenome-pt"
    assert info["window"] == 4096
    assert info["tracks"]["human_atac_1bp"] == 5
    assert info["bins"]["human_atac_1bp"] == {"of_bases": 1, "in_window": 4096, "predicted": 4096}
    assert info["bins"]["mouse_chip_tf_128bp"] == {"of_bases": 128, "in_window": 32, "predicted": 32}


@pytest.mark.parametrize("layout", ["genoformer", "alphagenome-pytorch"])
def test_convert_keeps_weights_and_tables(folder: Path, tmp_path: Path, layout: str) -> None:
    run("models", "convert", folder, tmp_path / "there", "--layout", layout)
    run("models", "convert", tmp_path / "there", tmp_path / "back", "--layout", "alphagenome-pt")
    for file in ("model.safetensors", "metadata.json", "targets.human_atac_1bp.tsv"):
        assert (tmp_path / "back" / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize("head", HEADS)
def test_predict_writes_the_bins_of_a_head(genome: Genome, folder: Path, tmp_path: Path, head: str) -> None:
    """The middle 2,048 bases of each window of 4,096 are kept; windows are multiples of 2,048 bases apart."""
    common = ("predict", "-f", genome.path, "-m", folder, "--head", head, "--tracks", "t1", "-r", "c:1,001-5,000")
    run(*common, "--strand", "forward", "-o", tmp_path / "o.bw")
    found = np.asarray(BigWig(tmp_path / "o.bw").values("c", 1000, 5000))
    size, padded, expected = MODEL.bin_size_of(head), "N" * 1024 + TEXT, []
    for start in (0, 2048, 4096):
        bins = tracks(padded[start : start + 4096], head)[1]
        expected += np.repeat(bins, size)[1024:3072].tolist()
    np.testing.assert_allclose(found, expected[1000:5000], rtol=1e-4, atol=1e-6)
    plan = run(*common, "--plan")
    assert f"4,096 bases, of whose {4096 // size:,} bins {2048 // size:,} are kept" in plan


def test_a_region_of_pairs_is_no_longer_than_the_window(genome: Genome, folder: Path, tmp_path: Path) -> None:
    common = ["predict", "-f", genome.path, "-m", folder, "--head", "human_contact_maps", "-o", tmp_path / "out"]
    for words in (common, [*common, "--plan"]):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == 2
        assert "c:1-9,000 has 9,000 bases, and its pairs are predicted in a window of 4,096" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("head", HEADS)
def test_score_of_both_strands_is_the_naive_difference(genome: Genome, folder: Path, tmp_path: Path, head: str) -> None:
    positions = (4001, 4507)
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=c,length=9000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    alts = ["ACGT"["ACGT".index(TEXT[pos - 1]) - 1] for pos in positions]
    lines += [f"c\t{pos}\t.\t{TEXT[pos - 1]}\t{alt}\t.\t.\t." for pos, alt in zip(positions, alts, strict=True)]
    (tmp_path / "v.vcf").write_text("\n".join(lines) + "\n")
    common = ("-f", genome.path, "-m", folder, "--head", head, "--tracks", "t0", "-s", "SAD", "--context", 4096)
    run("score", tmp_path / "v.vcf", *common, "--anchor", "variant", "--verify", 2, "-o", tmp_path / "o.tsv")
    rows = [line.split("\t") for line in (tmp_path / "o.tsv").read_text().splitlines() if not line.startswith("##")]
    column = next(i for i, name in enumerate(rows[0]) if "SAD" in name)
    complement = str.maketrans("ACGTN", "TGCAN")
    for row, pos, alt in zip(rows[1:], positions, alts, strict=True):
        start = pos - 1 - 2048
        ref = TEXT[start : start + 4096]
        changed = ref[:2048] + alt + ref[2049:]
        sides = [
            (tracks(changed, head) - tracks(ref, head))[0].sum(),
            (tracks(changed[::-1].translate(complement), head) - tracks(ref[::-1].translate(complement), head))[1].sum(),
        ]
        np.testing.assert_allclose(float(row[column]), np.mean(sides), rtol=2e-3, atol=1e-4 * abs(sides[0]))


def test_a_window_of_another_length_is_refused(genome: Genome, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "v.vcf").write_text(
        f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc\t4001\t.\t{TEXT[4000]}\tN\t.\t.\t.\n"
    )
    words = ("score", tmp_path / "v.vcf", "-f", genome.path, "-m", folder, "--head", HEADS[0], "--context", 3072, "-s", "SAD")
    done = CliRunner().invoke(main, [str(word) for word in (*words, "-o", tmp_path / "o.tsv")])
    assert done.exit_code != 0
    assert "2048" in done.output
