"""What fuzz.py reads: of each target the examples, and what is done with one."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import tomllib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pysam
import torch
from annotation.test_any_annotation import BED, BLOCKS, GFF, GTF, PEAK, RANGES, VCF
from annotation.test_any_annotation import HOMER as HOMER_PEAKS
from any_bytes import bgzipped, changed, changed_json, damaged
from hypothesis import strategies as st
from sample_files import BEDGRAPH, CISBP, CUSTOM, FASTA, FASTA_LABELLED, HOMER, JASPAR, LABELLED, MEME, TRANSFAC
from sample_files import TARGETS as TABLE_OF_TARGETS
from scoring_jobs import run_score
from small_models import small_encoder, small_enformer

from genoformer import annotation
from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map, read_sites
from genoformer.annotation.random_regions import read_sizes
from genoformer.annotation.run import annotate_variants
from genoformer.annotation.variant_regions import read_variant_regions
from genoformer.datasets.sequences import read_labelled, read_sequences
from genoformer.errors import GenoformerError
from genoformer.evaluation.truth import read_truth
from genoformer.evaluation.variants import read_scores
from genoformer.formats.bed import read_bed, read_regions
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.gtf import read_tss
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.track_table import read_targets
from genoformer.formats.tracks import open_track
from genoformer.formats.vcf import open_vcf
from genoformer.genome.genes import read_genes
from genoformer.genome.genotypes import genotypes
from genoformer.genome.reference import Genome
from genoformer.models import folders, registry
from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.report.scored import read_scored
from genoformer.scoring.calibration import FILE as CALIBRATION
from genoformer.scoring.calibration import GRID, Calibration
from genoformer.tokenizers import KmerTokenizer
from genoformer.training.config import FinetuneConfig, PretrainConfig
from genoformer.training.track_config import TracksConfig

_CONTIG = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))


class Target(NamedTuple):
    """cases: tuples; run: what is done with one in an empty folder."""

    cases: st.SearchStrategy[tuple[Any, ...]]
    run: Callable[..., object]


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "bgzip": bgzipped,
}


def _packed(valid: bytes) -> st.SearchStrategy[tuple[bytes, str]]:
    """The bytes of a file and how it is packed: changed inside of a sound packing, or with a packing that is damaged."""
    inside = st.tuples(changed(valid), st.sampled_from(list(PACKINGS))).map(lambda of: (PACKINGS[of[1]](of[0]), of[1]))
    outside = st.sampled_from(["gzip", "bgzip"]).flatmap(lambda how: st.tuples(damaged(PACKINGS[how](valid)), st.just(how)))
    return inside | outside


# --- text files


def _fasta(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str) -> None:
        path = folder / ("a.fa" if packing == "plain" else "a.fa.gz")
        path.write_bytes(content)
        for _ in range(2):  # with the index that is there now, too
            with Genome(path) as genome:
                for contig in genome.contigs:
                    genome.windows(contig, [-2, 0, 1], 12)
        assert not [p for p in folder.iterdir() if p.name.startswith(".")]

    return Target(_packed(FASTA), run)


def _fasta_index(_: Path) -> Target:
    """A FASTA whose .fai or .gzi is not its own."""
    fai, gzi = b"chr1\t22\t8\t10\t11\n2\t4\t36\t2\t3\n", struct.pack("<3Q", 1, 65536, 65280)

    def run(folder: Path, content: bytes, suffix: str, packed: bool) -> None:
        path = folder / "a.fa"
        path.write_bytes(bgzipped(FASTA) if packed else FASTA)
        (folder / f"a.fa{suffix}").write_bytes(content)
        with Genome(path) as genome:
            assert genome.contigs == {"chr1": 22, "2": 4}
            assert genome.window("2", 0, 4).tolist() == [2, 2, 1, 1]

    both = st.tuples(changed(fai) | damaged(fai), st.just(".fai")) | st.tuples(damaged(gzi), st.just(".gzi"))
    return Target(st.tuples(both, st.booleans()).map(lambda of: (*of[0], of[1])), run)


def _vcf(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str) -> None:
        path = folder / "a.vcf.gz"
        path.write_bytes(content)
        with open_vcf(path, fingerprint=True) as file:
            n = sum(1 for _ in file)
            assert len(file.sha256) == 64
        (folder / "e.bed").write_bytes(BED)
        (folder / "g.gtf").write_bytes(GTF)
        annotations = annotation.read_annotations([f"E={folder / 'e.bed'}"], folder / "g.gtf")
        for out in ("o.vcf", "o.vcf.gz", "o.tsv", "o.parquet"):
            try:
                found = annotate_variants(path, annotations, folder / out, breakdown=True)
                assert found.records == n
            except GenoformerError:
                assert not (folder / out).exists()
        assert not list(folder.glob(".*"))
        read_variant_regions(path, trait="X", score_key="AF")

    return Target(_packed(VCF), run)


def _bcf(folder: Path) -> Target:
    text, binary = folder / "valid.vcf", folder / "valid.bcf"
    sound = VCF.replace(b"#CHROM", b'##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n##contig=<ID=2>\n#CHROM')
    sound = sound.replace(b"#CHROM", b'##INFO=<ID=AF,Number=A,Type=Float,Description="">\n#CHROM').replace(b"\tX\t", b"\t.\t")
    sound = sound.replace(b"#CHROM", b'##INFO=<ID=END,Number=1,Type=Integer,Description="">\n#CHROM')
    text.write_bytes(sound)
    with pysam.VariantFile(str(text)) as given, pysam.VariantFile(str(binary), "wb", header=given.header) as out:
        for record in given:
            out.write(record)
    packed = binary.read_bytes()
    plain = gzip.decompress(packed)

    def run(folder: Path, content: bytes) -> None:
        path = folder / "a.bcf"
        path.write_bytes(content)
        with open_vcf(path) as file:
            for _ in file:
                pass

    return Target(st.tuples(damaged(packed) | (changed(plain) | damaged(plain)).map(bgzipped)), run)


_CCRES = b"chr1\t5\t90\tEH38D1\tEH38E1\tpELS,CTCF-bound\n2\t7\t9\tEH38D2\tEH38E2\tPLS\n"


def _bed(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str, suffix: str) -> None:
        path = folder / f"a.{suffix}"
        path.write_bytes(content)
        (folder / "v.vcf").write_bytes(VCF)

        def annotate() -> None:
            annotate_variants(folder / "v.vcf", annotation.Annotations([read_elements(path, "X")]), folder / "o.vcf")

        _each(
            annotate,
            lambda: read_bed(path),
            lambda: list(read_regions(path)),
            lambda: read_sites(path),
            lambda: read_variant_regions(path, trait="4", score_key="5"),
            lambda: read_sizes(str(path)),
            lambda: _values(open_track(path)),
            lambda: _values(open_track(path, "signal")),
        )
        assert not list(folder.glob(".*"))

    valid = st.sampled_from([BED, PEAK, BLOCKS, RANGES, HOMER_PEAKS, _CCRES]).flatmap(_packed)
    suffixes = st.sampled_from(["bed", "narrowPeak", "broadPeak", "bed12", "gappedPeak", "txt", "xls"])
    return Target(st.tuples(valid, suffixes).map(lambda of: (*of[0], of[1])), run)


def _gtf(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str) -> None:
        path, fasta = folder / "a.gtf", folder / "g.fa"
        path.write_bytes(content)
        fasta.write_bytes(b">1\n" + b"ACGT" * 100 + b"\n")
        _each(
            lambda: read_gene_map(path),
            lambda: list(read_tss(path)),
            lambda: list(read_tss(path, "gene")),
            lambda: read_genes(path, Genome(fasta)),
        )

    return Target(_packed(GTF) | _packed(GFF), run)


_GENOTYPES = (
    b"##fileformat=VCFv4.4\n##contig=<ID=1,length=900>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\tt\n"
    b"1\t5\t.\tA\tC,<DEL>\t.\t.\tSVLEN=.,30;SVCLAIM=.,D\tGT:PS:LEN\t|0|1:7:90\t/1/2\n"
    b"1\t9\t.\tACG\tA,<CN3>\t9\tPASS\tEND=70;CHR2=2\tPSL:GT\ta,b,.:0|1/2\t.:1\n"
    b"2\t7\trs\tA\tT\t.\t.\t.\tGT\t1|1|0|0\t.|1\n"
)


def _genotypes(_: Path) -> Target:
    """GT, PS and PSL in every version of VCF."""

    def run(folder: Path, content: bytes, packing: str) -> None:
        path = folder / "a.vcf.gz"
        path.write_bytes(content)
        with open_vcf(path) as file:
            for record in file:
                for genotype in genotypes(record):
                    assert len(genotype.alleles) == len(genotype.placed) == len(genotype.phase_sets) or not genotype.alleles
                    genotype.left_out(len(record.alts))

    return Target(_packed(_GENOTYPES), run)


_HEADERS = b">a|0|1|1\nACGT\n>b|1|0|1\nACGTA\nCGT\n>c|0|0|1\nAAAA\n"
_SEVERAL = b'sequence,label\nACGT,"0,1,1"\nAACC,"1,0,0"\n'


def _several_labels(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str, name: str) -> None:
        (folder / name).write_bytes(content)
        _each(lambda: read_labelled(folder / name), lambda: read_sequences(folder / name))

    valid = _packed(_HEADERS) | _packed(_SEVERAL)
    return Target(st.tuples(valid, st.sampled_from(["a.fa", "a.csv", "a.txt"])).map(lambda of: (*of[0], of[1])), run)


def _bedgraph(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str) -> None:
        path = folder / "a.bedGraph"
        path.write_bytes(content)
        _values(open_track(path))

    return Target(_packed(BEDGRAPH), run)


def _bigwig(folder: Path) -> Target:
    valid, many = folder / "valid.bw", folder / "many.bw"
    write_bigwig(valid, {"chr1": 1_000, "2": 50}, [("chr1", [0, 10, 30], [10, 20, 35], [0.5, 2, -1]), ("2", [3], [9], [4])])
    starts = np.arange(0, 40_000, 8)
    write_bigwig(many, {"chr1": 50_000}, [("chr1", starts, starts + 7, np.sin(starts))])

    def run(folder: Path, content: bytes) -> None:
        path = folder / "a.bw"
        path.write_bytes(content)
        track = BigWig(path)
        _values(track)
        for contig in list(track.contigs)[:5]:
            track.intervals(contig, 0, 500)
            track.values(contig, track.contigs[contig] - 10, track.contigs[contig] + 10)
        track.close()

    return Target(st.tuples(damaged(valid.read_bytes()) | damaged(many.read_bytes())), run)


def _labelled(_: Path) -> Target:
    def run(folder: Path, content: bytes, packing: str, name: str) -> None:
        path, fasta = folder / name, folder / "g.fa"
        path.write_bytes(content)
        fasta.write_bytes(b">chr1\n" + b"ACGT" * 100 + b"\n>2\n" + b"ACGT" * 10 + b"\n")
        given = {"fasta": fasta} if name.endswith("bed") else {}
        _each(lambda: read_labelled(path, **given), lambda: read_sequences(path, **given))

    valid = _packed(LABELLED) | _packed(FASTA_LABELLED) | _packed(BED)
    names = st.sampled_from(["a.csv", "a.tsv", "a.fa", "a.txt", "a.bed"])
    return Target(st.tuples(valid, names).map(lambda of: (*of[0], of[1])), run)


_TRUTH = b"chrom\tpos\tref\talt\teffect\tLLR\n1\t5\tA\tC\t1\t0.5\n1\t9\tACG\tA\t0\t-3\n"
_SCORED = VCF.replace(b"#CHROM", b'##INFO=<ID=GF_LLR,Number=A,Type=Float,Description="a">\n#CHROM').replace(
    b"AF=", b"GF_LLR=1,2;AF="
)


def _tables(_: Path) -> Target:
    """Targets, motifs, and tables of scores and of what is known."""

    def run(folder: Path, content: bytes, packing: str, name: str) -> None:
        path = folder / name
        path.write_bytes(content)
        _each(
            lambda: read_targets(path),
            lambda: read_matrices(path),
            lambda: read_truth(path, "effect"),
            lambda: read_scores(path),
            lambda: read_scored(path),
        )

    valid = [TABLE_OF_TARGETS, MEME, CUSTOM, JASPAR, TRANSFAC, HOMER, CISBP, _TRUTH, _SCORED]
    names = st.sampled_from(["a.tsv", "a.tsv.gz", "a.csv", "a.meme", "a.vcf", "a.parquet"])
    of = st.sampled_from(valid).flatmap(_packed)
    return Target(st.tuples(of, names).map(lambda drawn: (*drawn[0], drawn[1])), run)


def _values(track: Any) -> None:
    for contig in list(track.contigs)[:5]:
        track.values(contig, 0, 20)
    track.close()


def _each(*reads: Callable[[], object]) -> None:
    """All of them; the first refusal is told when all are done."""
    refusals = []
    for read in reads:
        try:
            read()
        except GenoformerError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


# --- whole runs


def _score(folder: Path) -> Target:
    """`score` itself: every record of a readable VCF comes out, or nothing does."""
    genome = folder / "genome.fa"
    genome.write_text(f">chr1\n{_CONTIG}\n>2\n{_CONTIG[::-1]}\n")
    rows = "".join(
        f"chr1\t{i}\t.\t{_CONTIG[i - 1]}\t{alt}\t.\tPASS\tAF=0.5;X\tGT\t0|1\n"
        for i, alt in ((5, "A,C,<DEL>"), (50, "T"), (51, "G,*"), (60, "TTTT"), (400, "N"), (399, "a"))
    )
    rows += f"2\t7\trs1\t{_CONTIG[::-1][6:12]}\tA\t9\tq10\t.\tGT\t.\n20\t7\t.\tA\tT\t.\t.\t.\n"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts"
    valid = f"##fileformat=VCFv4.2\n##contig=<ID=chr1>\n{columns}\n{rows}".encode()
    model = small_encoder(
        KmerTokenizer(3), width=8, n_layers=1, ffn_width=16, position="learned", max_tokens=64, context_length=32, init_std=0.3
    )
    opened = Genome(genome)

    def run(folder: Path, content: bytes, packing: str, out: str, force: bool, scores: str) -> None:
        path, output = folder / "a.vcf", folder / out
        path.write_bytes(content)
        try:
            found = run_score(path, opened, model, output, scores=scores, force=force, threads=1, workers=1)
        except GenoformerError:
            assert sorted(p.name for p in folder.iterdir()) == ["a.vcf"]
            raise
        given = _lines(content)
        assert found.records == len(given)
        if out.endswith("parquet"):
            import pyarrow.parquet as pq

            assert pq.read_table(output).num_rows == sum(_n_rows(line) for line in given)
        elif ".tsv" in out:
            text = gzip.decompress(output.read_bytes()) if out.endswith("gz") else output.read_bytes()
            assert text.count(b"\n") == 1 + sum(_n_rows(line) for line in given)
        else:
            text = gzip.decompress(output.read_bytes()) if out.endswith("gz") else output.read_bytes()
            came = [line for line in text.split(b"\n") if line and not line.startswith(b"#")]
            assert len(came) == len(given)
            for a, b in zip(given, came, strict=True):
                before, after = a.split(b"\t"), b.split(b"\t")
                before += [b"."] * (8 - len(before))
                assert before[:7] == after[:7]
                assert before[8:] == after[8:]
                assert before[7] in (b".", b"") or after[7].startswith(before[7]) or b"GF_" in before[7]

    outs = st.sampled_from(["o.vcf", "o.vcf.gz", "o.tsv", "o.tsv.gz", "o.parquet"])
    chosen = st.sampled_from(["LLR", "PLL", "LLR,PLL"])
    return Target(st.tuples(_packed(valid), outs, st.booleans(), chosen).map(lambda of: (*of[0], *of[1:])), run)


def _lines(content: bytes) -> list[bytes]:
    """The records of a readable VCF."""
    try:
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise AssertionError("it was scored, and is damaged") from error
    head, _, rest = text.partition(b"\n#CHROM")
    if not rest and not head.startswith(b"#CHROM"):
        body = [line for line in text.split(b"\n") if not line.startswith(b"#")]
    else:
        body = (rest or head).split(b"\n")[1:]
    return [line.removesuffix(b"\r") for line in body if line.removesuffix(b"\r")]


def _n_rows(line: bytes) -> int:
    alt = line.split(b"\t")[4]
    return 1 if alt == b"." else alt.count(b",") + 1


# --- models


def _models(folder: Path) -> Target:
    """A folder in which one file is changed."""
    torch.manual_seed(0)
    shape = {"width": 8, "n_layers": 1, "ffn_width": 16, "max_tokens": 64, "context_length": 32}
    encoder = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, **shape)
    long = small_enformer()
    of_values = ClassifierConfig(encoder.config, "regression", ("a", "b"), 32, target_mean=(0.0, 1.0), target_std=(1.0, 2.0))
    predictor = SequenceClassifier(of_values).eval()
    predictor.tokenizer = encoder.tokenizer
    registry.save(encoder, folder / "encoder", manifest={"seed": 3})
    registry.save(long, folder / "long")
    registry.save(predictor, folder / "predictor")
    registry.save(encoder, folder / "dnabert", layout="dnabert")
    registry.save(small_enformer(stem_kernel=15, tower_kernel=5), folder / "enformer", layout="enformer")
    for name in ("dnabert", "enformer"):
        from safetensors.torch import load_file

        shutil.copytree(folder / name, folder / f"{name}_bin")
        torch.save(load_file(folder / name / "model.safetensors"), folder / f"{name}_bin" / "pytorch_model.bin")
        (folder / f"{name}_bin" / "model.safetensors").unlink()
    from genoformer.genome.minhash import Sketch

    Sketch.from_sequences(np.random.default_rng(0).integers(0, 4, 500, dtype=np.uint8), k=31, scale=1).save(
        folder / "encoder" / "seen.npz"
    )
    Calibration("b", 3, encoder.sha256, {"a": "b"}, {}, {"LLR": GRID[None].astype(np.float32)}).save(
        folder / "encoder" / CALIBRATION
    )
    (folder / "ensemble").mkdir()
    shutil.copytree(folder / "predictor", folder / "ensemble" / "seed0")
    (folder / "ensemble" / "ensemble.json").write_text('{"members": ["seed0"]}')
    (folder / "long" / "targets.human.tsv").write_text("identifier\n" + "".join(f"t{i}\n" for i in range(5)))
    kinds = ["encoder", "long", "predictor", "dnabert", "enformer", "dnabert_bin", "enformer_bin", "ensemble"]
    files = [(kind, path.name) for kind in kinds for path in sorted((folder / kind).iterdir()) if path.is_file()]

    def of(kind_and_name: tuple[str, str]) -> st.SearchStrategy[tuple[str, str, bytes]]:
        kind, name = kind_and_name
        valid = (folder / kind / name).read_bytes()
        contents = damaged(valid) | changed(valid)
        if name.endswith(".json"):
            contents = changed_json(json.loads(valid)).map(lambda value: json.dumps(value).encode()) | contents
        elif name.endswith(".safetensors"):
            n = struct.unpack("<Q", valid[:8])[0]
            header, body = json.loads(valid[8 : 8 + n]), valid[8 + n :]
            heads = changed_json(header).map(lambda value: json.dumps(value).encode())
            contents = heads.map(lambda head: struct.pack("<Q", len(head)) + head + body) | contents
        return st.tuples(st.just(kind), st.just(name), contents)

    def run(empty: Path, kind: str, name: str, content: bytes) -> None:
        here = empty / "m"
        shutil.copytree(folder / kind, here)
        (here / name).write_bytes(content)

        def load() -> None:
            model = registry.load(here)
            with torch.no_grad():
                if isinstance(model, Encoder):
                    model(torch.zeros((1, 8), dtype=torch.long))

        def calibration() -> None:
            if (here / CALIBRATION).is_file():
                Calibration.load(here / CALIBRATION)

        if kind == "ensemble":
            _each(lambda: registry.load_ensemble(here))
        else:
            _each(load, calibration, lambda: folders.read_manifest(here), lambda: registry.layout_of(here))

    return Target(st.sampled_from(files).flatmap(of), run)


_PRETRAIN = """
[tokenizer]
tokenizer = "kmer"
k = 3
[model]
width = 16
n_layers = 1
n_heads = 2
ffn_width = 24
context_length = 64
position = "rotary"
[training]
max_steps = 2
batch_size = 2
learning_rate = 2e-3
mask_rate = 0.15
precision = "32-true"
[genome]
fasta = "g.fa"
valid_contigs = ["2"]
"""
_FINETUNE = """
[finetune]
epochs = 1.5
tune = "lora"
lora_rank = 2
window = 30
[model]
width = 16
"""
_TRACKS = """
[model]
preset = "tiny"
n_blocks = 1
[tracks]
epochs = 1
tune = "full"
"""


def _configs(_: Path) -> Target:
    def run(folder: Path, kind: str, content: bytes) -> None:
        path = folder / "c.toml"
        path.write_bytes(content)
        (folder / "g.fa").write_bytes(FASTA)
        if kind == "pretrain":
            found = PretrainConfig.read(path).with_fastas([folder / "g.fa"])
            if len(str(found.model.get("n_layers", 1))) < 3:
                EncoderConfig.from_dict({"n_vocab": 69, **found.model})
        elif kind == "finetune":
            FinetuneConfig.read(path, epochs=2.0)
        else:
            tracks = TracksConfig.read(path)
            EnformerConfig.from_dict({key: value for key, value in tracks.model.items() if key != "preset"})

    valid = {"pretrain": _PRETRAIN, "finetune": _FINETUNE, "tracks": _TRACKS}

    def of(kind: str) -> st.SearchStrategy[tuple[str, bytes]]:
        values = changed_json(tomllib.loads(valid[kind])).map(lambda table: "\n".join(_toml(table)).encode())
        return st.tuples(st.just(kind), changed(valid[kind].encode()) | values)

    return Target(st.sampled_from(sorted(valid)).flatmap(of), run)


def _toml(table: Any) -> Iterator[str]:
    """Lines of TOML, of JSON values that may be none."""
    if not isinstance(table, dict):
        yield f"x = {json.dumps(table)}"
        return
    for name, value in table.items():
        if not isinstance(value, dict):
            yield f"{json.dumps(name)} = {json.dumps(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield f"[{json.dumps(name)}]"
            for key, inner in value.items():
                yield f"{json.dumps(key)} = {json.dumps(inner)}"


TARGETS: dict[str, Callable[[Path], Target]] = {
    "fasta": _fasta,
    "fasta_index": _fasta_index,
    "vcf": _vcf,
    "bcf": _bcf,
    "score": _score,
    "bed": _bed,
    "gtf": _gtf,
    "genotypes": _genotypes,
    "several_labels": _several_labels,
    "bigwig": _bigwig,
    "bedgraph": _bedgraph,
    "labelled": _labelled,
    "tables": _tables,
    "models": _models,
    "configs": _configs,
}
