"""Functions for notebooks, one call per task: paths, names and text in; tables and arrays out.

Each function is thin: it opens the inputs, calls the function behind the command, and returns its result. A model is a name, a
folder or a loaded model; a genome is a path or an open Genome.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genoformer.api_inputs import Fasta, loaded_model, named_or_loaded, one_region, opened
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import encode_texts
from genoformer.genome.variants import Variant
from genoformer.option_checks import check_choice, with_strand

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.genome.region_sources import Regions
    from genoformer.inference import Floats, TokenEmbeddings
    from genoformer.inference.embedder import Embedder
    from genoformer.interpretation.ism import Mutagenesis
    from genoformer.models.base import Model
    from genoformer.models.heads import SequenceClassifier
    from genoformer.models.token_model import TokenModel
    from genoformer.training.finetune import Finetuned
    from genoformer.training.track_recipe import TrainedTracks


def pull(name: str) -> list[Path]:
    """Download a dataset of the catalog, unless it is present, and return the paths of its files; for a model, its folder.

    Raises CatalogError for a name that is not in the catalog, DownloadError if the download fails or its content is not the
    expected one. `genoformer data list` and `genoformer models list` show the names, their content and licence.

    >>> pull("mini-human")[0].name
    'mini-human'
    """
    from genoformer import catalog

    entries = catalog.read_catalog()
    if name in catalog.shipped():
        return [catalog.shipped()[name]]
    near = get_close_matches(name, [*entries["models"], *entries["data"]], n=1)
    kind: Literal["models", "data"] = "models" if (near or [name])[0] in entries["models"] else "data"
    entry = catalog.entry_named(name, kind)
    download = catalog.pull(entry)
    return [download.folder] if entry.is_model else download.paths


def score(
    variants: str | Path | Iterable[Variant | str] | pd.DataFrame,
    fasta: Fasta,
    model: str | Path | Model | Sequence[str | Path | Model] = "mini-human",
    scores: str | Sequence[str] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Score variants and return a table with a row for each ALT, as `genoformer score -o x.tsv` writes it, scores unrounded.

    variants: a VCF, BCF or table of variants, a text such as "chr20:1050100:A:G" or several, `Variant(chrom, pos, ref, alt)`
    objects, pos 1-based, or a DataFrame with these columns or others of docs/files.md, whose further columns are kept. model:
    one model, or several for an ensemble. scores: names of `SCORES`, as a list or comma-separated; by default LLR and PLL for a
    language model, SAD and SAR501 for a track model, LOGIT and DIFF for a fine-tuned model. options: those of the command, such
    as region, strand, tracks, gtf, shifts, classes, tile, matrix, noise_places, fix, force, device (see
    `scoring.options.ScoreOptions`); a file may also be the object read from it.

    The column status has the reason if an allele has no score. Text is returned as in the VCF, also an ID "NA"; a dot in the
    VCF, and a score that an allele does not have, are missing. Warns about contigs and records that do not match the FASTA.
    Raises PreflightError if no contig matches (force=True continues), ConfigError for scores and options that the model does
    not have, TypeError for unknown options.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> table = score([Variant("chrS1", 6_000, "G", "A"), Variant("chrS1", 6_100, "T", "TG")], demo / "genome.fa.gz", "demo")
    >>> list(table.columns[:5]), table[["LLR", "PLL"]].notna().to_numpy().tolist()
    (['chrom', 'pos', 'id', 'ref', 'alt'], [[True, False], [False, True]])
    """
    from dataclasses import replace

    from genoformer.formats.score_tables import read_score_table
    from genoformer.genome.preflight import warn_of_findings
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants
    from genoformer.writers.tables import EXACT, TSVSink
    from genoformer.writers.variants import variants_of

    if options.get("shard") is not None:
        raise OptionError("shard", "keeps its parts next to an output, found a table in memory; leave it out.")
    with tempfile.TemporaryDirectory() as folder, opened(fasta) as genome:
        source = variants_of(variants, Path(folder, "in.vcf"), genome)
        out = Path(folder, "out.tsv")
        job = ScoringJob.from_names(source, genome, model, TSVSink(out, EXACT), scores=scores, **options)
        job = job if source is variants else replace(job, name="the variants given")
        score_variants(job, on_preflight=warn_of_findings)
        return read_score_table(out)


def predict(fasta: Fasta | None, region: Regions | None, model: Any, **options: Any) -> pd.DataFrame:
    """Return the predicted tracks or classes for a region ("chr1:1-200,000", 1-based), or several: a row for each bin.

    Columns: chrom, start and end of the bin (0-based half-open), and one for each track or class, as in the Parquet of
    `genoformer predict`. region: also the path of a BED, or a list of both; None: the whole genome, or bed or contigs of the
    options. options: for a track model head, tracks ("0-10", "CAGE", "*liver*") and targets; for a language model track
    ("entropy", "information", "logprob", "constraint"; bins are bases), stride and phases, also of a list of models, whose
    tracks are averaged; for a fine-tuned model classes, context,
    step, threshold (returns calls, one row each) and data (a file of sequences, one row each); strand, device, precision,
    batch_size; workers, threads and engine as in the command; see `PredictionRequest`.

    >>> from importlib.resources import files
    >>> table = predict(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6400", "mini-tracks", tracks="0-2")
    >>> list(table.columns[:3]), len(table.columns) - 3
    (['chrom', 'start', 'end'], 3)
    >>> list(predict(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6002", "demo", track="entropy").columns)
    ['chrom', 'start', 'end', 'entropy']
    """
    from genoformer.inference import with_runtime
    from genoformer.inference.predict import open_prediction
    from genoformer.inference.prediction_request import PredictionRequest

    options = with_strand(options) | {
        "model": named_or_loaded(model),
        "region": region,
    }
    with ExitStack() as stack:
        genome = None if fasta is None else stack.enter_context(opened(fasta))
        request = with_runtime(PredictionRequest, fasta=genome, **options)
        return stack.enter_context(open_prediction(request)).table()


def embed(
    sequences: Sequence[str],
    model: str | Path | Model,
    *,
    layer: int | Sequence[int] | None = None,
    **options: Any,
) -> Floats:
    """Return one vector for each DNA sequence: [N, D], as `genoformer embed` writes it to a .npy.

    layer: number of layers, 0 for the embeddings, None for all; several give [N, n_layers, D]. options: pooling ("mean" over
    the tokens, "max" or "cls"), window, overlap, strand, device, precision, batch_size, workers, threads, engine; see
    `EmbeddingRequest`. Vectors of a track model are those of its bins, the input of its heads; head names one of several heads.
    Sequences longer than the window, which is by default that of the model's training, are cut into overlapping windows.

    >>> embed(["ACGTTGCATTAGC", "TTTTTTTTTTTTT"], "demo").shape
    (2, 160)
    """
    embedder = _embedder(model, layer, options)
    values = embedder.vectors_of(encode_texts(sequences))
    return values if isinstance(layer, Sequence) and len(embedder.layers) > 1 else values[:, 0]


def embed_tokens(
    sequences: Sequence[str], model: str | Path | Model, *, layer: int | None = None, **options: Any
) -> list[TokenEmbeddings]:
    """Return the vectors of the tokens of each DNA sequence: `.values` [T, D], and `.spans` [T, 2], the bases of each token.

    layer and options: as in `embed`, without pooling.

    >>> (found,) = embed_tokens(["ACGTTGC"], "demo")
    >>> found.values.shape, found.spans.tolist()[:2]
    ((7, 160), [[0, 1], [1, 2]])
    """
    embedder = _embedder(model, layer, {**options, "pooling": "tokens"})
    return [of_layer for (of_layer,) in embedder.tokens(encode_texts(sequences))]


def classify(sequences: Sequence[str], model: str | Path | SequenceClassifier, *, device: str = "auto") -> pd.DataFrame:
    """Return the predictions of a fine-tuned model (or the mean of an ensemble): a column for each class or value.

    >>> from genoformer.models import registry
    >>> from genoformer.models.heads import SequenceClassifier, ClassifierConfig
    >>> encoder = registry.load("demo")
    >>> untrained = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=128))
    >>> untrained.tokenizer = encoder.tokenizer
    >>> list(classify(["ACGTTGCATTAGC", "TTTTTTTTTTTTT"], untrained).columns)
    ['no', 'yes']
    """
    import pandas as pd

    from genoformer.inference import evaluating, resolve_device
    from genoformer.inference.classes import predictions
    from genoformer.models.base import Classifies
    from genoformer.models.registry import load_ensemble

    members = load_ensemble(model) if isinstance(model, str | Path) else [loaded_model(model, Classifies)]
    values = []
    for member in members:
        with evaluating(member, resolve_device(device)) as lent:
            values.append(predictions(lent, encode_texts(sequences)).values)
    return pd.DataFrame(np.mean(values, axis=0), columns=list(members[0].config.classes))


def expected(fasta: Fasta, region: str, model: str | Path | TokenModel = "mini-human") -> Floats:
    """Return log2 P(A, C, G, T) of each base of a region, masked, given the bases around it, mean of both strands: [L, 4].

    `plots.information` converts them to the heights of a logo. Raises ConfigError for a region that is not in the FASTA.

    >>> from importlib.resources import files
    >>> found = expected(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6020", "demo")
    >>> found.shape, bool(np.allclose(np.exp2(found).sum(-1), 1, atol=1e-5))
    ((20, 4), True)
    """
    from genoformer.inference.base_probabilities import posteriors_in
    from genoformer.models.base import Embeds

    with opened(fasta) as genome:
        chrom, start, end = one_region(genome, region)
        return posteriors_in(loaded_model(model, Embeds), genome, chrom, start, end)


def mutagenesis(
    fasta: Fasta,
    region: str,
    model: str | Path | Model = "mini-human",
    score: str | None = None,
    *,
    gtf: str | Path | None = None,
    device: str = "auto",
    **options: Any,
) -> Mutagenesis:
    """Run ISM: score every single-base change of a region as `score` does; `.values` [1, L, 4], `.importance` for a logo.

    score: a name of `SCORES`; by default LLR, SAD for a track model (the sum over tracks), and for a fine-tuned model the
    change of the logit of a class (`output`) for the region alone. gtf: genes, for scores of genes. options: the other fields
    of `IsmOptions`, such as tracks, output, strand, context, shifts and tile, as in `genoformer interpret ism`.

    >>> from importlib.resources import files
    >>> found = mutagenesis(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6010", "demo")
    >>> found.names, found.values.shape, found.importance.shape
    (['LLR'], (1, 10, 4), (1, 10, 4))
    """
    from genoformer.interpretation.ism_maps import open_ism
    from genoformer.interpretation.loci import Locus
    from genoformer.interpretation.request import InterpretationRequest, IsmOptions
    from genoformer.interpretation.session import open_session
    from genoformer.models.base import Classifies, Embeds, PredictsTracks

    loaded = model if isinstance(model, str | Path) else loaded_model(model, (Embeds, PredictsTracks, Classifies))
    with opened(fasta) as genome:
        chrom, start, end = one_region(genome, region)
        loci = [Locus(region, chrom, start, genome.window(chrom, start, end - start))]
        genes = Path(gtf) if gtf is not None else None
        request = InterpretationRequest(loci, loaded, fasta=genome, gtf=genes, device=device)
        session, ism = open_ism(open_session(request, with_ensembles=True), IsmOptions(score, **options))
        (result,) = ism.maps(session.model, session.loci)
    return result


def attention(sequences: Sequence[str], model: str | Path | Model, *, device: str = "auto", **options: Any) -> list[Floats]:
    """Return attention profiles over the bases of DNA sequences: [L] for each, as `genoformer interpret attention` maps them.

    options: the fields of `AttentionOptions`. profile: "viz" (default), DNABERT-viz's projection of "cls"; "cls" (default of a
    track model), attention from [CLS] or the middle bin; "received", attention to a base; "rollout", attention rollout through
    all layers; "entropy", entropy of the attention from a base. layers: numbers from 0, negative numbers count from the last.
    heads: numbers from 0, all by default. query: the query token or bin.

    >>> [of.shape for of in attention(["ACGTTGCATTAGC", "TTTTTTTT"], "demo")]
    [(13,), (8,)]
    """
    from genoformer.interpretation.attention_maps import compute_attention
    from genoformer.interpretation.loci import Locus
    from genoformer.interpretation.request import AttentionOptions, InterpretationRequest
    from genoformer.interpretation.session import open_session
    from genoformer.models.base import Attends, Classifies

    loci = [Locus(f"sequence {i + 1}", "", 0, codes) for i, codes in enumerate(encode_texts(sequences))]
    session = open_session(InterpretationRequest(loci, loaded_model(model, (Attends, Classifies)), device=device))
    return compute_attention(session, AttentionOptions(**options), session.loci)


def evaluate(data: str | Path, model: str | Path | Sequence[str | Path], **options: Any) -> dict[str, Any]:
    """Return metrics of a fine-tuned model on labelled sequences, each with its 95 % interval, as `genoformer evaluate` prints.

    data: CSV, TSV, FASTA, or a BED with `fasta`. model: the name of a model or its folder; predictions of several are averaged.
    options: the options of the command: fasta, label, train, baselines, out, device, precision, seed. With train, the training
    sequences of the model, the baselines are trained on them and compared with the model; by default these are
    "kmer_regression", "cnn" and "lstm_attention". See `evaluation.run.EvaluationJob`.

    >>> from genoformer.models import registry
    >>> from genoformer.models.heads import SequenceClassifier, ClassifierConfig
    >>> encoder = registry.load("demo")
    >>> untrained = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=128))
    >>> untrained.tokenizer = encoder.tokenizer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry.save(untrained, Path(folder, "model"))
    ...     _ = Path(folder, "test.csv").write_text("sequence,label\\nACGTTGCATTAGC,no\\nTTTTTTTTTTTTT,yes\\n")
    ...     metrics = evaluate(Path(folder, "test.csv"), Path(folder, "model"))
    >>> sorted(metrics["models"][0]["accuracy"])
    ['high', 'low', 'value']
    """
    from genoformer.evaluation.run import EvaluationJob, evaluate_models

    models = [model] if isinstance(model, str | Path) or not isinstance(model, Sequence) else list(model)
    for name in models:
        if not isinstance(name, str | Path):
            raise ConfigError(f"model is a {type(name).__name__}; give the name of a model or its folder.")
    return evaluate_models(EvaluationJob(data, [str(name) for name in models], **options))


def finetune(
    data: str | Path,
    output: str | Path,
    model: str | Path | Sequence[str | Path] = (),
    task: Literal["classify", "regress", "tracks"] = "classify",
    **options: Any,
) -> Finetuned | TrainedTracks | None:
    """Train a model for labelled sequences or tracks, write its folder, and return its metrics, as `genoformer finetune`.

    data: CSV, TSV, FASTA, or a BED with `fasta`; for tracks the folder of a set. model: to start from, several for an ensemble;
    none trains from scratch with the tables of `config`. options: those of the command, such as config, valid, label, seeds,
    epochs, learning_rate and tune; see `FinetuneJob.from_names` and `TrackTrainingJob.from_names`. Needs the extra "train".

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = [f"{'ACGT'[i % 4] * 12},{'yes' if i % 4 else 'no'}\\n" for i in range(40)]
    ...     _ = Path(folder, "train.csv").write_text("sequence,label\\n" + "".join(rows))
    ...     done = finetune(Path(folder, "train.csv"), Path(folder, "run"), "demo", epochs=1, tune="frozen")
    ...     done.reported, (done.members[0].folder / "config.json").is_file()
    (['mcc'], True)
    """
    from genoformer.training import finetune as sequences
    from genoformer.training.jobs import FinetuneJob, TrackTrainingJob
    from genoformer.training.tracks import train_tracks

    check_choice("task", task, ("classify", "regress", "tracks"))
    if task == "tracks":
        return train_tracks(TrackTrainingJob.from_names(data, output, model, **options))
    return sequences.finetune(FinetuneJob.from_names(data, output, model, task, **options))


def _embedder(model: Any, layer: int | Sequence[int] | None, options: Mapping[str, Any]) -> Embedder:
    from genoformer.inference import with_runtime
    from genoformer.inference.embed import make_embedder
    from genoformer.inference.embedder import EmbeddingRequest
    from genoformer.models.base import EMBEDS

    if files := [name for name in ("output", "pca") if name in options]:
        raise TypeError(f"got an unexpected keyword argument {files[0]!r}: the vectors are returned, and no file is written")
    layers = () if layer is None else tuple(layer) if isinstance(layer, Sequence) else (layer,)
    return make_embedder(
        with_runtime(EmbeddingRequest, model=loaded_model(model, EMBEDS), layers=layers, **with_strand(options))
    )
