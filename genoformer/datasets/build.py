"""A genome and files of positives -> train, valid and test tables with negatives, and a manifest of how they were built."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genoformer import __version__
from genoformer.datasets.leakage import Leakage, leakage
from genoformer.datasets.negatives import GC_BINS, CandidateStarts, draw, gc_bin
from genoformer.datasets.shuffle import dinucleotide_shuffle
from genoformer.datasets.sites import Site, codes_of, notes_of, positive_sites, spans_of
from genoformer.datasets.targets import NEGATIVE
from genoformer.errors import ConfigError, MissingFileError
from genoformer.files import atomic_write, check_overwrite, make_folder, sha256_of
from genoformer.genome.codes import Codes, decode, gc_share
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import read_on_reference, split_by_contig

SPLITS = ("train", "valid", "test")
TABLES = tuple(f"{split}.tsv" for split in SPLITS)
NEGATIVES = ("gc", "dinucleotide", "elsewhere")
COLUMNS = ("sequence", "label", "chrom", "start", "end", "strand", "name")
MANIFEST = "manifest.json"
KIND = "labelled windows"
_ADVICE = {  # by the most frequent reason, if all windows of a class were dropped
    "no_contig": "are file and FASTA of one assembly?",
    "outside": "are the windows too long, or file and FASTA of two assemblies?",
    "blacklist": "is it the right blacklist?",
    "too_many_n": "allow more N, or give a FASTA with these bases.",
    "ambiguous": "its windows lie on those of another class; give classes that lie apart, or shorter windows.",
}


@dataclass
class BuildSummary:
    """Results of `build`.

    counts[split][class]; gc[split][class], mean GC fraction; dropped[class][reason]; leakage["train, test"], leakage from train
    into test; notes, sentences.
    """

    out: Path
    length: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    gc: dict[str, dict[str, float]] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    leakage: dict[str, Leakage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def build(
    out: str | os.PathLike[str],
    genome: Genome,
    positives: Mapping[str, str | os.PathLike[str]],
    *,
    columns: Sequence[str] = (),
    length: int | None = None,
    upstream: int | None = None,
    downstream: int | None = None,
    negatives: str | None = "gc",
    ratio: float = 1.0,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    blacklist: str | os.PathLike[str] | None = None,
    max_n: float = 0.05,  # a window with more N has little sequence; assembly gaps give all N or none
    seed: int = 0,
) -> BuildSummary:
    """Build labelled windows of a genome, split by contig: OUT/train.tsv, valid.tsv, test.tsv and manifest.json.

    Positives are BED, peaks, tables (centred on the summit, or on the middle of the row without one) or GTF or GFF3 (around
    each TSS of transcripts, or of genes if there are no transcripts). All windows have the same length and the direction of
    their strand, so that the TSS is base number `upstream` of its window on either strand.

    * Windows are dropped, and counted by the first reason that applies: `no_contig` (not in the FASTA), `outside` (beyond
      the contig's ends), `blacklist` (overlaps it), `too_many_n` (fraction of N above max_n), `ambiguous` (overlaps a window
      of another class by half or more; both are dropped), `repeated` (overlaps a kept window of its class by more than half;
      from left to right on the contig, on either strand).
    * Negatives: `ratio` times the positives of each split, on the contigs of the split, in proportion to the positives there.
      "elsewhere": random windows outside the blacklist, at least `length` bases from any row of the positives' files, kept or
      not, without overlaps, with the positives' fraction of - strands. "gc": the same, matched to the positives' GC in bins
      of 2 % points; windows that are not found are left out and counted. "dinucleotide": shuffles of the positives that keep
      every dinucleotide count.

    Parameters: positives, class name -> file; columns, roles of a file's columns, as in `--columns`; length in bases, default
    300; upstream and downstream of the TSS, summit or middle, both together instead of length (with length alone, GTF windows
    have 5/6 and 1/6 of it, as -250 .. +50, and others half and half); valid, test, names of contigs; seed, the same seed gives
    the same bytes.

    A call with the same options and inputs replaces an existing set; any other call is refused.

    Raises: ConfigError, FileFormatError, ContigError; then nothing is written.
    """
    out = Path(out)
    _check(positives, negatives, ratio, max_n)
    spans = spans_of(positives, length, upstream, downstream)
    width = sum(next(iter(spans.values())))
    split_of = split_by_contig(genome, valid, test)
    options = {
        "length": width,
        "spans": {name: list(span) for name, span in spans.items()},
        "negatives": negatives,
        "ratio": ratio,
        "valid": list(valid),
        "test": list(test),
        "max_n": max_n,
        "seed": seed,
    }
    if columns:
        options["columns"] = list(columns)
    inputs = {"genome": genome.path, **{f"positives {name}": Path(path) for name, path in positives.items()}}
    if blacklist is not None:
        inputs["blacklist"] = Path(blacklist)
    if changed := _changed(out, options, inputs):
        raise ConfigError(
            f"{out} holds a set that was built with other settings or files ({', '.join(changed)}); give those again, "
            "or name another folder."
        )
    check_overwrite(out, (MANIFEST, *TABLES), MANIFEST, lambda found: _is_same(found, out, options, inputs))
    built = BuildSummary(out, width, notes=notes_of(positives, columns))
    masked = read_on_reference(blacklist, genome) if blacklist is not None else {}

    positive = positive_sites(genome, positives, spans, masked, max_n, columns)
    kept, built.dropped = positive.kept, positive.dropped
    built.notes += positive.notes
    _refuse_empty(kept, split_of, built, valid, test, positive.outside)

    everything = dict[str, list[tuple[Site, Codes]]]()
    order = {chrom: i for i, chrom in enumerate(genome.contigs)}
    rooms: CandidateStarts | None = None
    if negatives in ("gc", "elsewhere"):
        hidden = {
            chrom: np.concatenate([rows + np.array([-width, width]), masked.get(chrom, rows[:0])])
            for chrom, rows in positive.covered.items()
        }
        chroms = list(dict.fromkeys(site.chrom for sites in kept.values() for site in sites))
        rooms = CandidateStarts.around(genome, chroms, hidden, width, max_n)
    missing: Counter[str] = Counter()
    for i, split in enumerate(SPLITS):
        found = [site for sites in kept.values() for site in sites if split_of[site.chrom] == split]
        found.sort(key=lambda site: (order[site.chrom], site.start, site.label))
        if not found:
            continue
        random = np.random.default_rng([seed, i])
        codes = codes_of(genome, found, width)  # [n, L]
        extra, shuffled = _negatives(negatives, rooms, found, codes, ratio, random, missing)
        every = list(zip(found, codes, strict=True))
        every += zip(extra, codes_of(genome, extra, width), strict=True)
        every.sort(key=lambda row: (order[row[0].chrom], row[0].start))
        everything[split] = every + shuffled
    if missing:
        built.dropped[NEGATIVE] = dict(missing)
    _measure(built, everything)
    _write(built, everything, options, inputs, split_of)
    return built


# --- options


def _check(positives: Mapping[str, Any], negatives: str | None, ratio: float, max_n: float) -> None:
    if not positives:
        raise ConfigError("there are no positives; give at least one class with its file.")
    for name in positives:
        if not name.strip() or any(mark in name for mark in ";\t\n\r"):
            raise ConfigError(f"class name {name!r}: give a name without semicolon, tab and line end.")
        if name == NEGATIVE and negatives is not None:
            raise ConfigError(f"a class is named {NEGATIVE}, as the negatives are; name it otherwise, or make no negatives.")
    if negatives not in (None, *NEGATIVES):
        raise ConfigError(f"negatives {negatives!r} are unknown; known are {', '.join(NEGATIVES)} and none.")
    if negatives is None and len(positives) < 2:
        raise ConfigError("one class and no negatives: there is nothing to tell apart; add a class or negatives.")
    if not 0 < ratio <= 1000:
        raise ConfigError(f"ratio {ratio}: give negatives per positive, above 0 and at most 1000.")
    if not 0 <= max_n < 1:
        raise ConfigError(f"max_n {max_n}: give a share of N from 0 to below 1.")


def _refuse_empty(
    kept: dict[str, list[Site]],
    split_of: dict[str, str],
    built: BuildSummary,
    valid: Sequence[str],
    test: Sequence[str],
    outside: Mapping[str, str],
) -> None:
    for name, sites in kept.items():
        if not sites:
            dropped = built.dropped[name]
            why = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
            reason = max(dropped, key=lambda reason: dropped[reason])
            first = f" {outside[name]};" if reason == "outside" and name in outside else ""
            raise ConfigError(f"no window of class {name} is left (dropped: {why});{first} {_ADVICE[reason]}")
    where: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for sites in kept.values():
        for site in sites:
            where[split_of[site.chrom]][site.chrom] += 1
    found = ", ".join(f"{chrom} {n:,}" for counts in where.values() for chrom, n in counts.items())
    for split, contigs in (("train", None), ("valid", valid), ("test", test)):
        if not where[split] and (contigs is None or contigs):
            named = "the other contigs" if contigs is None else join_names(contigs)
            raise ConfigError(f"{split} ({named}) has no positive; the windows lie on: {found}. Split otherwise.")
    built.notes += [f"there is no {split} set, as no contigs were named for it." for split in SPLITS[1:] if not where[split]]


# --- sequences


def _negatives(
    kind: str | None,
    rooms: CandidateStarts | None,
    found: list[Site],
    codes: Codes,
    ratio: float,
    random: np.random.Generator,
    missing: Counter[str],
) -> tuple[list[Site], list[tuple[Site, Codes]]]:
    """Return negatives that lie in the genome, as sites, and shuffled negatives with their bases."""
    if kind is None:
        return [], []
    n_wanted = round(ratio * len(found))
    if kind == "dinucleotide":
        whole, rest = divmod(n_wanted, len(found))
        more = np.sort(random.permutation(len(found))[:rest])
        rows = np.sort(np.concatenate([np.tile(np.arange(len(found)), whole), more]))
        made = dinucleotide_shuffle(codes[rows], random)
        names = [f"shuffled:{found[row].chrom}:{found[row].start}" for row in rows]
        return [], [(Site(".", 0, ".", NEGATIVE, name), new) for name, new in zip(names, made, strict=True)]
    assert rooms is not None
    per_bin = np.bincount(gc_bin(gc_share(codes)), minlength=GC_BINS) if kind == "gc" else np.array([len(found)])
    until = np.rint(np.cumsum(per_bin) * ratio).astype(np.int64)
    wanted = until - np.append(0, until[:-1])  # sums to ratio times the positives
    places, n_missing = draw(rooms, Counter(site.chrom for site in found), wanted, random)
    if n_missing:
        missing["not_found"] += n_missing
    strands = random.choice([site.strand for site in found], size=len(places))
    return [Site(chrom, start, str(strand), NEGATIVE, "") for (chrom, start), strand in zip(places, strands, strict=True)], []


# --- results


def _measure(built: BuildSummary, everything: Mapping[str, list[tuple[Site, Codes]]]) -> None:
    codes: dict[str, Codes] = {}
    label: dict[str, list[str]] = {}
    for split, rows in everything.items():
        codes[split] = np.stack([row for _, row in rows])
        share = gc_share(codes[split])
        label[split] = [site.label for site, _ in rows]
        labels = np.array(label[split])
        names = dict.fromkeys([*built.dropped, *labels.tolist()])
        built.counts[split] = {name: int((labels == name).sum()) for name in names}
        built.gc[split] = {name: round(float(share[labels == name].mean()), 6) for name in names if (labels == name).any()}
    for first, second in combinations(codes, 2):
        built.leakage[f"{first}, {second}"] = leakage(codes[first], codes[second], label[second])


def _write(
    built: BuildSummary,
    everything: Mapping[str, list[tuple[Site, Codes]]],
    options: dict[str, Any],
    inputs: Mapping[str, Path],
    split_of: Mapping[str, str],
) -> None:
    """Write the tables and the manifest to temporary files, and move them into place together, the manifest last."""
    make_folder(built.out)
    with ExitStack() as parts:
        manifest = parts.enter_context(atomic_write(built.out / MANIFEST))  # entered first, so written last
        files = {}
        for split, rows in everything.items():
            part = parts.enter_context(atomic_write(built.out / f"{split}.tsv"))
            _write_table(part, rows, built.length)
            files[f"{split}.tsv"] = sha256_of(part)
        content = _manifest(built, everything, options, inputs, split_of, files)
        manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_table(path: Path, rows: list[tuple[Site, Codes]], length: int) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(COLUMNS)
        for site, codes in rows:
            end = site.start + length if site.chrom != "." else 0
            name = site.name or f"{site.chrom}:{site.start}-{end}"
            table.writerow((decode(codes), site.label, site.chrom, site.start, end, site.strand, name))


def _manifest(
    built: BuildSummary,
    everything: Mapping[str, list[tuple[Site, Codes]]],
    options: dict[str, Any],
    inputs: Mapping[str, Path],
    split_of: Mapping[str, str],
    files: dict[str, str],
) -> dict[str, Any]:
    chroms = {split: sorted({site.chrom for site, _ in rows} - {"."}) for split, rows in everything.items()}
    return {
        "genoformer": __version__,
        "kind": KIND,
        "options": options,
        "contigs": {split: [chrom for chrom in split_of if chrom in chroms[split]] for split in everything},
        "counts": built.counts,
        "dropped": built.dropped,
        "gc": built.gc,
        "leakage": {pair: found.as_dict() for pair, found in built.leakage.items()},
        "notes": built.notes,
        "inputs": {name: {"path": str(path), "sha256": sha256_of(path)} for name, path in inputs.items()},
        "files": files,
    }


def _changed(out: Path, options: dict[str, Any], inputs: Mapping[str, Path]) -> list[str]:
    """Return the names of options and inputs that differ from the set in the folder; an empty list without a set."""
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        before = {name: one["sha256"] for name, one in found["inputs"].items()}
        if found["kind"] != KIND:
            return []
        mine = json.loads(json.dumps(options))
        changed = [name for name in {**mine, **found["options"]} if mine.get(name) != found["options"].get(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    for path in inputs.values():
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist or is no file; give what the set is to be built from.")
    now = {name: sha256_of(path) for name, path in inputs.items()}
    other = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if "spans" in changed:  # they follow from length and files, unless given explicitly
        given = "length" not in changed and not any(name.startswith("positives") for name in other)
        changed = [name for name in changed if name != "spans"] + ["upstream", "downstream"] * given
    return changed + other


def _is_same(found: dict[str, Any], out: Path, options: dict[str, Any], inputs: Mapping[str, Path]) -> bool:
    """True if a manifest without changes (see `_changed`) is from `build` and has the checksums of the tables in its folder."""
    try:
        if found["kind"] != KIND or found["options"] != json.loads(json.dumps(options)):
            return False
        if found["inputs"].keys() != inputs.keys():
            return False
        there = [name for name in TABLES if (out / name).exists()]
        return all(found["files"].get(name) == sha256_of(out / name) for name in there)
    except (KeyError, TypeError, AttributeError):
        return False
