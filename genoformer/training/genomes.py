"""Genomes of a pre-training run -> sources of training windows and held-out sources, one for each held-out contig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.files import sha256_of
from genoformer.genome.contigs import canonical_key
from genoformer.genome.reference import Genome
from genoformer.genome.regions import read_on_reference, runs_of_bases
from genoformer.training.config import GenomeConfig
from genoformer.training.windows import Source

_HELD_SHARE = 0.05  # fraction of a genome's only contig
_HELD_WINDOWS = 4  # smallest number of windows that fit into a held-out stretch


class TrainingGenomes(NamedTuple):
    """Genomes of a run: training sources, held-out sources (one per contig), their manifest record, and warnings."""

    train: list[Source]
    held: list[Source]
    record: list[dict[str, Any]]
    warnings: list[str]


def open_genomes(configs: Sequence[GenomeConfig], length: int) -> TrainingGenomes:
    """Open the genomes of a run with windows of `length` bases, and divide them into training and held-out sources."""
    genomes = [Genome(config.fasta) for config in configs]
    held = [[g.resolve(name) for name in c.valid_contigs] for g, c in zip(genomes, configs, strict=True)]
    filled = [name for name, n_bases in genomes[0].contigs.items() if n_bases]
    if not any(held) and len(filled) > 1 and not configs[0].contigs:
        held[0] = filled[-1:]
    names = {canonical_key(name) for contigs in held for name in contigs}  # another genome may name them differently
    train: list[Source] = []
    valid: list[Source] = []
    record: list[dict[str, Any]] = []
    for genome, config, out in zip(genomes, configs, held, strict=True):
        free = [name for name, n_bases in genome.contigs.items() if n_bases and canonical_key(name) not in names]
        used = [genome.resolve(name) for name in config.contigs] or free
        if both := sorted(set(used) & set(out)):
            raise ConfigError(f"{genome.name}: {', '.join(both)} are in contigs and in valid_contigs; keep them in one.")
        if not used:
            raise ConfigError(f"valid_contigs holds out every contig of {genome.name}; leave at least one for training.")
        blacklist = read_on_reference(config.blacklist, genome) if config.blacklist else {}
        regions = read_on_reference(config.regions, genome) if config.regions else None
        train.append(Source(genome, used, blacklist, regions, config.regions_share, config.weight))
        valid += [Source(genome, [name]) for name in out]
        files = {"fasta": config.fasta, "blacklist": config.blacklist, "regions": config.regions}
        record.append(
            {role: {"name": Path(f).name, "sha256": sha256_of(Path(f))} for role, f in files.items() if f}
            | {"train": {name: genome.contigs[name] for name in used}, "valid": {name: genome.contigs[name] for name in out}}
            | {"regions_share": config.regions_share, "weight": config.weight}
        )
    if valid:
        return TrainingGenomes(train, valid, record, [])
    if configs[0].contigs:
        return TrainingGenomes(train, [], record, ["Nothing is held out, so nothing is validated; name valid_contigs."])
    (name,) = train[0].contigs
    where = _end_of(genomes[0], name, length)
    if where is None:
        few = f"{name} is too short to hold out a part of it, so nothing is validated; add contigs, or shorten context_length."
        return TrainingGenomes(train, [], record, [few])
    black = dict(train[0].blacklist)
    black[name] = np.concatenate([black.get(name, np.empty((0, 2), dtype=np.int64)), [where]])
    train[0] = replace(train[0], blacklist=black)
    record[0]["valid_intervals"] = {name: [list(where)]}
    end = Source(genomes[0], [name], {name: np.array([[0, where[0]]])})
    note = f"{genomes[0].name} has a single contig, so its end is held out: {name}:{where[0]:,}-{where[1]:,} (0-based)."
    return TrainingGenomes(train, [end], record, [note])


def _end_of(genome: Genome, contig: str, length: int) -> tuple[int, int] | None:
    """Return the last stretch of a contig with a fraction _HELD_SHARE of the known bases and room for some windows.

    Return None if that would be more than a quarter of the known bases.
    """
    runs = runs_of_bases(genome, contig)
    n_known = int((runs[:, 1] - runs[:, 0]).sum())
    left = max(round(_HELD_SHARE * n_known), _HELD_WINDOWS * length)
    if 4 * left > n_known:
        return None
    for start, end in runs[::-1].tolist():
        if left <= end - start:
            break
        left -= end - start
    return end - left, genome.contigs[contig]
