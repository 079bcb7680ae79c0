"""All benchmarks, or those named: `python tests/benchmarks/run.py windows tokenizer [--write]`."""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from common import NotHere, machine, table

BENCHMARKS = {
    "windows": "Windows of a genome",
    "tokenizer": "Tokenizer",
    "scoring": "Scoring SNVs with a model of DNABERT-6's size",
    "classifier_score": "Scoring SNVs with a fine-tuned model of DNABERT-6's size",
    "family_scoring": "Scoring SNVs with blocks of bases and with causal models",
    "score_command": "The whole of `genoformer score` with a very small model",
    "haplotypes": "Haplotypes of many samples",
    "genome_tracks": "Tracks of a language model over a genome",
    "training": "Pre-training, and the batches that it feeds on",
    "human": "The human model that ships",
    "variants": "Scores of variants beside what is known of them",
    "mpra_probe": "A probe of measured effects (MPRA), each locus held out",
    "gue": "Fine-tuning on GUE",
    "promoters": "Promoters of a real genome",
    "longrange": "The long-range model at full size",
    "track_scoring": "Scores of tracks at full size",
    "borzoi": "Borzoi at full size",
    "alphagenome": "AlphaGenome at full size",
    "tracks": "Real tracks: mini-tracks and its baselines",
    "distal": "Distal enhancers of a simulated world, with and without attention",
    "interpretation": "Mutagenesis, and the memory of attention",
    "motifs": "Planted motifs found again",
    "annotation": "Annotation beside bedtools",
    "lookups": "Look-ups of alleles beside bcftools",
    "motif_changes": "Motif changes of alleles",
    "enrichment": "Enrichment: what was planted, and lead SNPs of the GWAS catalog",
    "families": "Forward passes of the published families",
    "loading": "Memory of loading",
    "help": "Help on the command line",
}
HOURS = ("gue", "tracks", "distal", "motifs")  # only when named
RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Benchmarks

Made by `make bench`, that is `python tests/benchmarks/run.py --write`. Ratios are speeds beside a named peer, both in
one process on the same machine, in alternating rounds, the median of each; above 1 we are faster. Absolute times of a
CPU say little about another one and are only printed.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    which = f"of {', '.join(BENCHMARKS)}; all without any, but {', '.join(HOURS)}"
    parser.add_argument("names", nargs="*", metavar="name", help=which)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}")
    asked = parser.parse_args()
    if unknown := set(asked.names) - BENCHMARKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(BENCHMARKS)}")
    sections = _sections(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in asked.names or [name for name in BENCHMARKS if name not in HOURS]:
        title = BENCHMARKS[name]
        print(f"\n## {title}\n", flush=True)
        try:
            module = import_module(f"bench_{name}")
            rows = module.main()
        except NotHere as reason:
            print(f"skipped: {reason}")
            continue
        print(table(rows, seen=True), end="", flush=True)
        figures = "".join(f"\n![{what}]({path.name})\n" for path, what in getattr(module, "FIGURES", {}).items())
        sections[title] = f"{machine()}, {time.strftime('%Y-%m-%d')}\n\n{table(rows, seen=False)}{figures}"
        if asked.write:
            known = [title for title in BENCHMARKS.values() if title in sections]
            known += [title for title in sections if title not in known]  # what was measured by hand
            RESULTS.write_text(HEAD + "".join(f"\n## {title}\n\n{sections[title]}" for title in known))


def _sections(text: str) -> dict[str, str]:
    """Title -> what stands below it."""
    parts = (part.partition("\n\n") for part in text.split("\n## ")[1:])
    return {title: body.rstrip("\n") + "\n" for title, _, body in parts}


if __name__ == "__main__":
    main()
