"""Run the same commands in two checkouts and compare what they write, byte by byte.

    python tests/benchmarks/compare_outputs.py OLD NEW [--only score] [--keep FOLDER] [--reuse] [--old-kernels]

OLD and NEW are checkouts whose `.venv` holds them. Both run in a folder of the same path, with one thread, so that paths in
manifests and the order of sums agree. Exit status 1 if anything differs that `EXPECTED` does not list.

On a processor of Intel, NEW computes float32 matrix products with MKL where OLD took oneDNN's convolution, and on one with AMX
bfloat16 likewise, so the last digits of values differ there. `--old-kernels` makes NEW take the convolution as OLD did: then
all bytes must agree. Without it, files that differ are compared by value: each number of an array, a table, a tensor or a text
must agree within `TOLERANCE`, and the largest difference is printed.

Commands are written as NEW spells them; `OLD_SPELLING` translates them for OLD.
"""

from __future__ import annotations

import argparse
import fnmatch
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from file_values import compare_files, with_plain_ids

# Words of commands and of TOML files that OLD spells otherwise: NEW -> OLD; "file:line" is a line of one file.
OLD_SPELLING: dict[str, str] = {
    "ffn_width": "hidden",
    "max_steps": "steps",
    "eval_every": "valid_every",
    "crop_bins": "bins",
    "context_bins": "flank",
    "pretrain.toml:[model]": "[encoder]",
    "tracks.toml:[model]": "[longrange]",
}

# Sentences in outputs that were reworded: OLD -> NEW; OLD's files are compared as if they had the new sentence.
REWORDED: dict[str, str] = {
    "the best count model, ": "the best k-mer or Markov baseline, ",
    "left of each strand: the chain rule); negative": (
        "left of each strand: the chain rule; of a causal model, for every allele, from the likelihood of the window); negative"
    ),
    "over equally many bases of both; negative": (
        "over equally many bases of both (of BPE, for every allele: each token, in bits per base); negative"
    ),
    "bases to the nearest start site": "bases to the nearest TSS",
    "Bases from that start site to REF": "Bases from that TSS to REF",
    "Gene of the nearest start site of a transcript of": "Gene of the nearest TSS of a transcript of",
    "Bases from the nearest start site of": "Bases from the nearest TSS of",
    "from the model's posterior of the hidden base (of several": "from the model's posterior of the masked base (of several",
    "each base of the allele and near it is hidden in turn": "each base of the allele and near it is masked in turn",
    "posterior at the place of the variant (of several": "posterior at the position of the variant (of several",
    "of accessibility, of transcription start sites and factors).": "of accessibility, of TSSs and of transcription factors).",
    "on either side; of a model of tracks, over the bins": "on either side; of a track model, over the bins",
    "Of the two tracks of a strand pair together it is the square root of the sum of both squares.": (
        "The score of a strand pair is the square root of the sum of the two squares."
    ),
    "How much the shape of the track changes: mean of both Kullback-Leibler divergences between alt and ref, each with "
    "the 25th percentile of ref added and divided by its sum (baskerville's JS).": (
        "Change of the shape of the track: mean of the Kullback-Leibler divergences of alt from ref and of ref from alt. The "
        "25th percentile of ref is added to both tracks, and each is divided by its sum (baskerville's JS)."
    ),
}

# Files that must differ, as patterns, each with its reason.
EXPECTED: dict[str, str] = {
    "model/config.json": "fields were renamed (genoformer.config.RENAMED)",
    "tuned/config.json": "fields were renamed",
    "lora/config.json": "fields were renamed",
    "trained_tracks/config.json": "fields were renamed",
    "*/manifest.json": "fields were renamed",
    "models.stdout": "fields were renamed",
    "evaluat*/metrics.json": "kind is called task",
    "evaluate.stdout": "kind is called task",
    "enrich/enrichment.json": "sentences on the comparisons were reworded",
    "enrich/enrichment.png": "its title says TSS where OLD said start site",
    "*.svg": "ids of clip paths were drawn at random in OLD; labels were reworded",
    "attention/*_matrix.png": "labels were reworded",
    "evaluated/calibration.png": "labels were reworded",
    "model/bits_per_base.png": "labels were reworded",
    "report.html": "headings were reworded",
    "*/tensorboard/*": "the name of the file is the time of the run",
    "*.tbi": "an index holds positions in the compressed file, which move with the sentences of its header",
    "*.toml": "inputs, with the names of fields that each checkout reads",
}

TOLERANCE = 1e-6, 1e-4  # absolute, and relative to the larger number

# Python's arguments that start NEW's command line with the matrix products of OLD, whatever the processor. Commands that
# start worker processes would compute with NEW's kernels there; none of COMMANDS is large enough for workers.
OLD_KERNELS = [
    "-c",
    "from genoformer.models import cpu_kernels; cpu_kernels.is_intel = cpu_kernels.has_matrix_unit = lambda: False; "
    "from genoformer_cli.main import main; main()",
]

PRETRAIN = """
[tokenizer]
tokenizer = "kmer"
k = 3
[model]
width = 32
n_layers = 2
n_heads = 2
ffn_width = 64
context_length = 96
position = "rotary"
[training]
max_steps = 30
batch_size = 8
learning_rate = 1e-3
eval_every = 10
seed = 3
"""
FINETUNE = """
[finetune]
epochs = 1
batch_size = 16
learning_rate = 1e-3
"""
TRACKS = """
[model]
preset = "tiny"
[tracks]
epochs = 1
learning_rate = 1e-3
crop_bins = 16
context_bins = 8
"""
FILES = {"pretrain.toml": PRETRAIN, "finetune.toml": FINETUNE, "tracks.toml": TRACKS}

DEMO = "score demo/variants.vcf.gz -f demo/genome.fa.gz -m demo"
OF_TRACKS = "-f demo/genome.fa.gz -m mini-tracks"
MINI = "score few.vcf -f demo/genome.fa.gz -m mini-tracks"
REGIONS = "head.bed -f demo/genome.fa.gz"
COMMANDS: dict[str, str] = {
    "score": f"{DEMO} -s LLR,PLL -r chrS1:1-200000 -o score.vcf.gz",
    "score_table": f"{DEMO} -s LLR,PLL,ENTROPY,COSINE,L2 -r chrS1:1-60000 -o score.tsv",
    "score_parquet": f"{DEMO} -s LLR -r chrS1:1-60000 -o score.parquet",
    "score_stdout": "score few.vcf -f demo/genome.fa.gz -m demo -o -",
    "score_human": "score few.vcf -f demo/genome.fa.gz -m mini-human -s LLR,PLL --force -o human.vcf",
    "score_tracks": f"{MINI} -s SAD,SAR501,D2,JS,COSINE --tracks 0-5 --matrix tracks_matrix.parquet --force -o tracks.vcf",
    "score_shifts": f"{MINI} -s SAD501 --tracks 3 --shifts -32,0,32 --strand forward --force -o shifts.tsv",
    "score_real": "score real.vcf -f real.fa.gz -m mini-human -m mini-human -s LLR -r 20:1000001-1015000 -o real.vcf.gz",
    "score_real_tracks": "score real.vcf -f real.fa.gz -m mini-tracks -s SAD -r 20:1100000-1101500 -o real_tracks.vcf.gz",
    "calibrate": "calibrate few.vcf -f demo/genome.fa.gz -m mini-tracks -s SAD --tracks 0-3 -o calibration.npz",
    "haplotypes": f"haplotypes phased.vcf {OF_TRACKS} -b head.bed --tracks 0-3 --force -o haplotypes.tsv",
    "pairs": "pairs few.vcf -f demo/genome.fa.gz -m mini-tracks --within 2000 --tracks 0-3 --force -o pairs.tsv",
    "predict": "predict -f demo/genome.fa.gz -m mini-tracks -r chrS1:50,001-60,000 --tracks 0-3 -o predict",
    "predict_table": "predict -f demo/genome.fa.gz -m mini-tracks -b head.bed --tracks 0-3 -o predict.parquet",
    "embed": f"embed {REGIONS} -m demo --layer 1 --layer 4 -o embed.npy",
    "embed_tokens": f"embed {REGIONS} -m mini-human --pooling tokens -o embed.parquet",
    "ism": f"interpret ism {REGIONS} -m demo --length 40 --figures 1 -o ism",
    "ism_tracks": f"interpret ism {REGIONS} -m mini-tracks -s SAD501 --tracks 5 --length 8 --figures 0 -o ism_tracks",
    "attention": f"interpret attention {REGIONS} -m demo --length 100 --profile rollout --figures 1 -o attention",
    "attention_motifs": f"interpret attention {REGIONS} -m mini-human --length 100 --negative tail.fa --figures 0 -o viz",
    "attention_tracks": f"interpret attention {REGIONS} -m mini-tracks --length 16384 --profile cls --figures 0 -o contacts",
    "attribution": f"interpret attribution {REGIONS} -m mini-tracks --tracks 5 --length 2048 --figures 0 -o attribution",
    "filters": f"interpret filters {REGIONS} -m mini-tracks --length 2048 -o filters",
    "annotate": "annotate demo/variants.vcf.gz -a P=demo/peaks.narrowPeak.gz -a STATE=demo/states.bed.gz"
    " --gtf demo/genes.gtf.gz -o annotated.vcf.gz",
    "annotate_table": "annotate demo/variants.vcf.gz -a P=demo/peaks.narrowPeak.gz -o annotated.tsv",
    "enrich": "enrich demo/variants.vcf.gz -a STATE=demo/states.bed.gz --gtf demo/genes.gtf.gz -f demo/genome.fa.gz"
    " --background auto --controls 5000 --resamplings 100 -o enrich",
    "report": "report score.vcf.gz -f demo/genome.fa.gz -m demo -o report.html",
    "evaluate_variants": "evaluate variants score.vcf.gz demo/truth.tsv.gz --truth truth --positive MOTIF_BREAKING",
    "simulate": "data simulate world --seed 1 --contigs 3 --contig-length 120000 --variants 300 --tracks",
    "data_build": "data build set -f world/genome.fa.gz -p promoter=world/genes.gtf.gz --length 100 --valid chrS2 --test chrS3",
    "data_tracks": "data tracks trackset -f world/genome.fa.gz -t world/targets.tsv --length 16384 --target-bins 64"
    " --valid chrS2 --test chrS3",
    "pretrain": "pretrain -f world/genome.fa.gz -c pretrain.toml -o model",
    "finetune": "finetune set/train.tsv --valid set/valid.tsv -m model -c finetune.toml --seed 5 -o tuned",
    "finetune_lora": "finetune set/train.tsv --valid set/valid.tsv -m demo -c finetune.toml --tune lora --seed 5 -o lora",
    "finetune_tracks": "finetune trackset --task tracks -c tracks.toml --seed 5 -o trained_tracks",
    "evaluate": "evaluate set/test.tsv -m tuned -o evaluated",
    "ism_classes": "interpret ism set/test_head.tsv -m tuned -f world/genome.fa.gz --length 30 --figures 0 -o ism_classes",
    "attribution_classes": "interpret attribution set/test_head.tsv -m tuned -f world/genome.fa.gz --figures 0 -o attributed",
    "motifs": "interpret motifs filters/motifs.meme filters/motifs.meme",
    "models": "models info demo",
}


class Difference(NamedTuple):
    path: str
    detail: str
    reason: str | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", help="a pattern of names of commands; those that make their inputs run too")
    parser.add_argument("--keep", type=Path, help="folder for the outputs; without it they are deleted")
    parser.add_argument("--reuse", action="store_true", help="take the outputs of OLD that the folder of --keep has")
    parser.add_argument("--old-kernels", action="store_true", help="NEW multiplies matrices as OLD did; all bytes must agree")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kept = args.keep or Path(scratch)
        for side, checkout in (("old", args.old), ("new", args.new)):
            target = kept / side
            if args.reuse and side == "old" and target.is_dir():
                continue
            shutil.rmtree(target, ignore_errors=True)
            program = OLD_KERNELS if side == "new" and args.old_kernels else ["-m", "genoformer_cli"]
            run_all(checkout.resolve(), program, kept / "run", args.only, spelling_of(checkout))
            (kept / "run").rename(target)
        differences = compare(kept / "old", kept / "new", by_value=not args.old_kernels)
    for difference in differences:
        print(f"{difference.path}: {difference.detail}" + (f" (expected: {difference.reason})" if difference.reason else ""))
    unexpected = sum(difference.reason is None for difference in differences)
    print(f"{len(differences)} files differ, {unexpected} of them unexpectedly")
    sys.exit(unexpected > 0)


def spelling_of(checkout: Path) -> dict[str, str]:
    """Return how a checkout spells the words that it does not know; those since the renaming know them all."""
    config = checkout / "genoformer" / "config.py"
    return {} if config.is_file() and "RENAMED" in config.read_text() else OLD_SPELLING


def run_all(checkout: Path, arguments: Sequence[str], folder: Path, only: str | None, spelling: dict[str, str]) -> None:
    """Run the commands of `checkout` in `folder`; each command's stdout and exit status become files there.

    arguments: of Python, which start the command line.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_inputs(folder, checkout, spelling)
    # `python -P`: the current folder holds inputs, not code.
    program = [str(checkout / ".venv" / "bin" / "python"), "-P", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
    for name, command in COMMANDS.items():
        if only and not fnmatch.fnmatch(name, only):
            continue
        if "real" in name and not (folder / "real.vcf").exists():
            print(f"{name}: skipped, real data not found")
            continue
        words = [spelling.get(word, word) for word in command.split()]
        done = subprocess.run([*program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        (folder / f"{name}.stdout").write_text(done.stdout)
        (folder / f"{name}.status").write_text(f"{done.returncode}\n")
        if name == "data_build":
            lines = (folder / "set" / "test.tsv").read_text().splitlines(keepends=True)
            (folder / "set" / "test_head.tsv").write_text("".join(lines[:4]))
        reason = f" {done.stderr.strip()[-300:]}" if done.returncode else ""
        print(f"{checkout.name} {name}: {done.returncode}{reason}", flush=True)


def write_inputs(folder: Path, checkout: Path, spelling: dict[str, str]) -> None:
    """Write the bundled world, small pieces of it, phased genotypes made from it, TOML files, and real data if present."""
    shutil.copytree(checkout / "data" / "demo", folder / "demo")
    for name, text in FILES.items():
        for new, old in spelling.items():
            file, _, line = new.rpartition(":")
            if file in ("", name):
                text = re.sub(rf"^{re.escape(line)}(?= =|$)", old, text, flags=re.M)
        (folder / name).write_text(text)
    with gzip.open(folder / "demo" / "variants.vcf.gz", "rt") as variants:
        lines = variants.read().splitlines()
    header, records = [x for x in lines if x.startswith("##")], [x for x in lines if not x.startswith("#")]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    few = [record for record in records if record.startswith("chrS1\t")][100:140]
    (folder / "few.vcf").write_text("\n".join([*header, columns, *few, ""]))
    phased = [f"{record}\tGT\t{i % 2}|{(i // 2) % 2}" for i, record in enumerate(few) if "," not in record.split("\t")[4]]
    made = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
    (folder / "phased.vcf").write_text("\n".join([*header, made, f"{columns}\tFORMAT\tS1", *phased, ""]))
    starts = [int(record.split("\t")[1]) for record in few[::10]]
    (folder / "head.bed").write_text("".join(f"chrS1\t{start - 100}\t{start + 100}\tr{i}\n" for i, start in enumerate(starts)))
    letters = ["ACGTTGCAAC" * 10, "GGCATTACGA" * 10, "TTTACAGGCA" * 10, "CCATATGGAC" * 10] * 4
    (folder / "tail.fa").write_text("".join(f">n{i}\n{sequence}\n" for i, sequence in enumerate(letters)))
    named = os.environ.get("GENOFORMER_TEST_DATA")
    real = Path(named) if named else checkout.parent / "shared" / "data"
    if (real / "hg19").is_dir():
        for suffix in ("", ".fai", ".gzi"):
            (folder / f"real.fa.gz{suffix}").symlink_to(real / "hg19" / f"hg19.sparse.fa.gz{suffix}")
        with gzip.open(real / "hg19" / "1000G.chr20_1000001-2000000.vcf.gz", "rb") as source:
            (folder / "real.vcf").write_bytes(source.read())


def compare(old: Path, new: Path, *, by_value: bool) -> list[Difference]:
    """Compare two folders of outputs, file by file; by_value: numbers have to agree within TOLERANCE, not in their bytes."""
    names = {str(path.relative_to(side)) for side in (old, new) for path in side.rglob("*") if path.is_file()}
    differences = []
    for name in sorted(names):
        first, second = old / name, new / name
        reason = next((why for pattern, why in EXPECTED.items() if fnmatch.fnmatch(name, pattern)), None)
        if not (first.exists() and second.exists()):
            differences.append(Difference(name, f"only in {'old' if first.exists() else 'new'}", reason))
            continue
        contents = with_new_words(first, first.read_bytes()), with_new_words(second, second.read_bytes())
        if contents[0] == contents[1]:
            continue
        comparison = compare_files(first, second, contents, *TOLERANCE)
        if by_value and comparison.distance <= 1:
            reason = f"within the tolerance, {comparison.distance:.2g} of it: {comparison.largest or 'rounding'}"
        elif np.isfinite(comparison.distance):
            comparison = comparison._replace(detail=f"{comparison.detail}; largest difference: {comparison.largest}")
        differences.append(Difference(name, comparison.detail, reason))
    return differences


def with_new_words(path: Path, content: bytes) -> bytes:
    """Return the text of a file with the sentences of `REWORDED` replaced and the ids of figures numbered."""
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    for old, new in REWORDED.items():
        content = content.replace(old.encode(), new.encode())
    return with_plain_ids(content) if path.suffix == ".svg" else content


if __name__ == "__main__":
    main()
