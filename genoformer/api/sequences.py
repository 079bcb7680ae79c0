"""Predictions for DNA in notebooks: tracks, classes, embeddings and expected bases of texts, or of regions of a FASTA.

Each function is thin: it opens the inputs, calls the function behind the command, and returns its result. A model is a name, a
folder or a loaded model; a genome is a path or an open Genome.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer.api.inputs import Fasta, Source, loaded_model, named_or_loaded, opened, require_model, warn_of_genome
from genoformer.genome.reference import Genome
from genoformer.option_checks import names_unknown_options, with_strand
from genoformer.progress import Stage
from genoformer.progress_bar import shown_progress

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.inference import Floats
    from genoformer.inference.embedder import Embedder


@names_unknown_options("predict")
def predict(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    progress: bool | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return the predicted tracks or classes for a region ("chr1:1-200,000", 1-based), or several: a row for each bin.

    Call it as predict(fasta, region, model), predict(region, model, fasta=fasta) or predict(texts, model); the contigs of DNA
    as text are sequence_1, sequence_2 ... Columns: chrom, start and end of the bin (0-based half-open), and one for each track
    or class, as in the Parquet of `genoformer predict`. region: also the path of a BED, or a list of both; None: the whole
    genome, or bed or contigs of the options. options: for a track model head (of several with bins of one
    size the columns are HEAD:TRACK), tracks ("0-10", "CAGE", "*liver*") and targets;
    for a language model track ("entropy", "information", "logprob", "constraint"; bins are bases), stride and phases, also
    of a list of models, whose tracks are averaged; for a fine-tuned model classes, context, step, threshold (returns calls,
    one row each) and data (a file of sequences, one row each); strand, device, precision, batch_size; workers, threads and
    engine as in the command; see `PredictionRequest`. progress: True shows a bar, False none, None one if stderr is a terminal.

    >>> from importlib.resources import files
    >>> table = predict(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6400", "mini-tracks", tracks="0-2")
    >>> list(table.columns[:3]), len(table.columns) - 3
    (['chrom', 'start', 'end'], 3)
    >>> list(predict("ACGTTGCATTAGC", "demo", track="entropy").columns)
    ['chrom', 'start', 'end', 'entropy']
    """
    from genoformer.inference import with_runtime
    from genoformer.inference.predict import open_prediction
    from genoformer.inference.prediction_request import PredictionRequest
    from genoformer.models.base import Classifies, has

    source = Source.of(dna, region, model, fasta)
    require_model(source.model)
    values: dict[str, Any] = {"model": named_or_loaded(source.model), "region": source.region}
    with ExitStack() as stack:
        if source.texts is None:
            values["fasta"] = None if source.fasta is None else stack.enter_context(opened(source.fasta))
        else:
            path = source.write_fasta(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            if not isinstance(source.model, list | tuple):
                values["model"] = loaded_model(source.model)
            values |= {"fasta": None, "data": path} if has(values["model"], Classifies) else {"fasta": path}
        if isinstance(values["fasta"], Genome):
            warn_of_genome(source.model, values["fasta"])
        request = with_runtime(PredictionRequest, **with_strand(options) | values)
        prediction = stack.enter_context(open_prediction(request))
        return prediction.table(stack.enter_context(shown_progress(progress, prediction.unit)))


@names_unknown_options("embed")
def embed(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    layer: int | Sequence[int] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Floats:
    """Return one vector for each DNA sequence: [N, D], as `genoformer embed` writes it to a .npy; for one text or region [D].

    Call it as embed(texts, model), embed(fasta, region, model) or embed(region, model, fasta=fasta).

    layer: number of layers, 0 for the embeddings, None for all; several give [N, n_layers, D]. options: pooling ("mean" over
    the tokens, "max" or "cls"), window, overlap, strand, device, precision, batch_size, workers, threads, engine; see
    `EmbeddingRequest`. Vectors of a track model are those of its bins, the input of its heads; head names one of several heads.
    Sequences longer than the window, which is by default that of the model's training, are cut into overlapping windows.
    progress: True shows a bar, False none, None one if stderr is a terminal.

    >>> embed(["ACGTTGCATTAGC", "TTTTTTTTTTTTT"], "demo").shape, embed("ACGTTGCATTAGC", "demo").shape
    ((2, 160), (160,))
    """
    source = Source.of(dna, region, model, fasta)
    embedder = _embedder(source.model, layer, options)
    with shown_progress(progress, "sequences" if embedder.request.compute.is_parallel else "windows") as report:
        values = embedder.vectors_of(source.codes(), report)
    values = values if isinstance(layer, Sequence) and len(embedder.layers) > 1 else values[:, 0]
    return values[0] if source.is_one else values


@names_unknown_options("embed_tokens")
def embed_tokens(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    layer: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Any:
    """Return the vectors of the tokens of each DNA sequence: `.values` [T, D], and `.spans` [T, 2], the bases of each token.

    Calls, layer, progress and options: as in `embed`, without pooling. One text or region gives one result, several give a
    list.

    >>> found = embed_tokens("ACGTTGC", "demo")
    >>> found.values.shape, found.spans.tolist()[:2]
    ((7, 160), [[0, 1], [1, 2]])
    """
    source = Source.of(dna, region, model, fasta)
    embedder = _embedder(source.model, layer, {**options, "pooling": "tokens"})
    tokens, codes = [], source.codes()
    with shown_progress(progress, "sequences") as report:
        stage = Stage(report, "embed", len(codes))
        for (of_layer,) in embedder.tokens(codes):
            tokens.append(of_layer)
            stage.add(1)
    return tokens[0] if source.is_one else tokens


def classify(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the predictions of a fine-tuned model (or the mean of an ensemble): a column for each class or value.

    Call it as classify(texts, model), classify(fasta, region, model) or classify(region, model, fasta=fasta). A row for each
    text, or for each region, whose names are the index. progress: True shows a bar, False none, None one if stderr is a
    terminal.

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

    source = Source.of(dna, region, model, fasta)
    is_named = isinstance(source.model, str | Path)
    members = load_ensemble(source.model) if is_named else [loaded_model(source.model, Classifies)]
    codes, values = source.codes(), []
    with shown_progress(progress, "windows") as report:
        for member in members:
            with evaluating(member, resolve_device(device)) as lent:
                values.append(predictions(lent, codes, progress=report).values)
    return pd.DataFrame(np.mean(values, axis=0), columns=list(members[0].config.classes), index=source.names())


def expected(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> Any:
    """Return log2 P(A, C, G, T) of each base of a region, masked, given the bases around it, mean of both strands: [L, 4].

    Call it as expected(fasta, region, model), expected(region, model, fasta=fasta) or expected(texts, model); several regions
    or texts give a list. `plots.information` converts them to the heights of a logo. progress: True shows a bar, False none,
    None one if stderr is a terminal.

    Raises ConfigError for a region that is not in the FASTA.

    >>> from importlib.resources import files
    >>> found = expected(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6020", "demo")
    >>> found.shape, bool(np.allclose(np.exp2(found).sum(-1), 1, atol=1e-5))
    ((20, 4), True)
    """
    from genoformer.inference import evaluating, resolve_device
    from genoformer.inference.base_probabilities import posteriors_in
    from genoformer.models.base import Embeds

    source = Source.of(dna, region, model, fasta)
    with source.open(on_genome=True) as (genome, loci):
        assert genome is not None
        loaded = loaded_model(source.model, Embeds)
        with evaluating(loaded, resolve_device(device)) as ready, shown_progress(progress, "bases") as report:
            stage = Stage(report, "predict", sum(locus.end - locus.start for locus in loci))
            values = [posteriors_in(ready, genome, locus.chrom, locus.start, locus.end, stage) for locus in loci]
    return values[0] if source.is_one else values


def _embedder(model: Any, layer: int | Sequence[int] | None, options: Mapping[str, Any]) -> Embedder:
    from genoformer.inference import with_runtime
    from genoformer.inference.embed import make_embedder
    from genoformer.inference.embedder import EmbeddingRequest
    from genoformer.models.base import EMBEDS

    if files := [name for name in ("output", "pca") if name in options]:
        raise TypeError(f"genoformer.embed has no option {files[0]!r}; the vectors are returned, and no file is written.")
    layers = () if layer is None else tuple(layer) if isinstance(layer, Sequence) else (layer,)
    return make_embedder(
        with_runtime(EmbeddingRequest, model=loaded_model(model, EMBEDS), layers=layers, **with_strand(options))
    )
