"""pretrain(): FASTA -> windows -> masked or causal objective -> a model folder with its manifest and its report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch

from genoformer import __version__
from genoformer.config import checked
from genoformer.errors import ConfigError
from genoformer.files import sha256_of
from genoformer.genome.contigs import canonical_key
from genoformer.genome.minhash import GENOME_SCALE, Sketch
from genoformer.genome.reference import Genome
from genoformer.genome.regions import read_on_reference, runs_of_bases
from genoformer.models import registry
from genoformer.models.base import Embeds
from genoformer.models.transformer.model import Encoder, EncoderConfig
from genoformer.progress import Progress, ProgressCallback
from genoformer.tokenizers import BPETokenizer
from genoformer.training import report, resume, run_checks
from genoformer.training.bits_per_base import VALIDATION_BASES, asked_bases, bits_of, why_no_bits
from genoformer.training.config import GenomeConfig, PretrainConfig, model_fields, tokenizer_of
from genoformer.training.language import LanguageModelBatches, language_model_loss
from genoformer.training.log import LOG, read_log
from genoformer.training.loop import fit
from genoformer.training.objectives import OBJECTIVES, CausalLM, MaskedLM
from genoformer.training.optimizer import windows_per_step
from genoformer.training.windows import RandomWindows, Source, iter_unmasked

_BPE_WINDOWS = 2_000  # windows from which a BPE vocabulary is learned
_LARGE, _DENSE = 1e8, 100  # the sketch keeps one training k-mer in 100 below so many bases, and one in 1,000 above
_HELD_SHARE = 0.05  # fraction of a genome's only contig
_HELD_WINDOWS = 4  # smallest number of windows that fit into a held-out stretch


def _learned(windows: RandomWindows, n_vocab: int) -> BPETokenizer:
    """Learn a BPE vocabulary of n_vocab tokens from the first training windows."""
    batches = windows.batches(math.ceil(_BPE_WINDOWS / windows.batch_size))
    return BPETokenizer.train((row for batch in batches for row in batch), n_vocab)


class _Data(NamedTuple):
    """Genomes of a run: training sources, held-out sources (one per contig), their manifest record, and warnings."""

    train: list[Source]
    held: list[Source]
    record: list[dict[str, Any]]
    warnings: list[str]


def _data(configs: Sequence[GenomeConfig], length: int) -> _Data:
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
        return _Data(train, valid, record, [])
    if configs[0].contigs:
        return _Data(train, [], record, ["Nothing is held out, so nothing is validated; name valid_contigs."])
    (name,) = train[0].contigs
    where = _end_of(genomes[0], name, length)
    if where is None:
        few = f"{name} is too short to hold out a part of it, so nothing is validated; add contigs, or shorten context_length."
        return _Data(train, [], record, [few])
    black = dict(train[0].blacklist)
    black[name] = np.concatenate([black.get(name, np.empty((0, 2), dtype=np.int64)), [where]])
    train[0] = replace(train[0], blacklist=black)
    record[0]["valid_intervals"] = {name: [list(where)]}
    end = Source(genomes[0], [name], {name: np.array([[0, where[0]]])})
    said = f"{genomes[0].name} has a single contig, so its end is held out: {name}:{where[0]:,}-{where[1]:,} (0-based)."
    return _Data(train, [end], record, [said])


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


def pretrain(
    config: PretrainConfig,
    folder: Path,
    *,
    start: str | Path | None = None,
    command: str = "",
    progress: ProgressCallback = None,
) -> dict[str, Any]:
    """Train a language model on genomes, write the model folder, and return its manifest.

    Contigs in `valid_contigs` are held out (default: the last contig, or the end of an only contig). Validation is bits per
    base on them, from the exact single-base posterior, or given the bases before for a causal model. A killed run is resumed
    from its last saved state and ends with the weights of an undisturbed run; `progress` receives the step of that state.
    start: a model whose weights, shape and tokenizer are used; [model] and [tokenizer] must then be left out.
    "notes" in the manifest are the reasons for a failed run (collapse, divergence); "warnings" are other remarks.

    Raises ConfigError for settings that cannot be trained, TrainingError when the loss is not finite.
    """
    plan = config.training
    begun = registry.load(start, Embeds) if start is not None else None
    if begun and (config.model or config.tokenizer != PretrainConfig().tokenizer):
        raise ConfigError(f"the shape and the tokenizer are those of {start}; leave out [model] and [tokenizer].")
    if begun and begun.config.causal != (plan.objective == "causal"):
        raise ConfigError(f"{start} is {'causal' if begun.config.causal else 'masked'}; set objective to that.")
    table = model_fields(config.model, "transformer")
    if set(table) & {"n_vocab", "causal"}:
        raise ConfigError("[model]: n_vocab follows from the tokenizer and causal from the objective; leave them out.")
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder} holds a finished model; name another folder, or remove it.")
    checked(EncoderConfig, table, "[model]")

    L.seed_everything(plan.seed, verbose=False)
    shape = asdict(begun.config) if begun else table
    length = int(shape.get("context_length", EncoderConfig.context_length))
    data = _data(config.genome, length)
    windows = RandomWindows(data.train, length, plan.batch_size, plan.seed, both_strands=plan.both_strands)
    tokenizer = begun.tokenizer if begun else tokenizer_of(config.tokenizer, partial(_learned, windows))
    encoder = {"max_tokens": max(EncoderConfig.max_tokens, tokenizer.n_tokens(length)), **table}
    fixed = {"n_vocab": tokenizer.n_vocab, "causal": plan.objective == "causal"}
    model = begun or Encoder(EncoderConfig.from_dict(encoder | fixed))
    model.tokenizer = tokenizer
    objective: Any = (
        MaskedLM(tokenizer, plan.mask_rate, plan.span_tokens)
        if plan.objective == "masked"
        else OBJECTIVES[plan.objective](tokenizer)
    )
    manifest: dict[str, Any] = {
        "command": command,
        "version": __version__,
        "genomes": data.record,
        "start": {"sha256": model.sha256, "manifest": registry.read_manifest(start)} if start is not None else None,
        "tokenizer": {field: value for field, value in tokenizer.to_dict().items() if field != "model"},
        "model": asdict(model.config),
        "training": asdict(plan),
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    resume.begin(folder, manifest)
    asked, no_bits = None, why_no_bits(tokenizer, model.config.causal)
    warnings = list(data.warnings)
    if no_bits:
        warnings.append(
            f"There are no bits per base and no comparison with count models: {no_bits}. Nothing is validated, and only the "
            "training loss says whether something was learned."
        )
    elif data.held:
        held_out = RandomWindows(data.held, length, plan.batch_size, plan.seed + 1)
        asked = asked_bases(held_out, VALIDATION_BASES)

    def validate(trained: Any) -> dict[str, float]:
        assert asked is not None
        return {"valid_bits_per_base": float(np.nanmean(bits_of(trained, asked, plan.batch_size)))}

    fitted = fit(
        model,
        LanguageModelBatches(windows, tokenizer, objective, plan.soft_masked_weight),
        lambda trained, batch: language_model_loss(trained, batch, objective.label_rate),
        folder,
        plan,
        validate=validate if asked is not None else None,
        progress=progress,
    )
    if fitted is None:  # the first process has the result
        return manifest
    final = Encoder(model.config)  # a plain copy, because the trained model may be sharded over processes
    final.tokenizer = tokenizer
    final.load_state_dict(fitted.weights)
    final.eval()
    manifest["metrics"] = {name: round(value, 4) for name, value in fitted.metrics.items() if name != "learning_rate"}
    if progress is not None:
        progress(Progress("report", 0, None))
    found = report.compare(final, folder.resolve().name, data.train, data.held, plan) if asked is not None else None
    if found is not None:
        manifest |= report.in_manifest(found)
        manifest["metrics"]["valid_bits_per_base"] = manifest["held_out"]["model"]["bits"]  # from more bases than in the log
        warnings += run_checks.baseline_warnings(found)
    manifest["notes"] = run_checks.failures(
        found,
        [row["valid_bits_per_base"] for row in read_log(folder / LOG) if "valid_bits_per_base" in row],
        fitted.metrics["train_loss"],
        run_checks.unigram_nats(LanguageModelBatches(windows, tokenizer, CausalLM(tokenizer), plan.soft_masked_weight)),
        single_bases=tokenizer.masks_bases and tokenizer.min_bases == 1,
    )
    manifest["warnings"] = warnings
    rows = found.rows if found is not None else []
    report.write(folder, rows, tokens_per_step=windows_per_step(plan) * tokenizer.n_tokens(length))
    _seen(windows, start).save(folder / registry.SKETCH)
    registry.save(final, folder, manifest=manifest)
    resume.finished(folder)
    return manifest


def _seen(windows: RandomWindows, start: str | Path | None) -> Sketch:
    """Return a sketch of the k-mers that the model was trained on, including those of the model that it started from."""
    scale = _DENSE if windows.n_bases < _LARGE else GENOME_SCALE
    seen = Sketch.of(iter_unmasked(windows.sources, windows.length), scale=scale)
    before = registry.read_sketch(start) if start is not None else None
    return seen if before is None else seen.joined(before)
