"""genoformer: transformers for regulatory DNA. Score variants, predict tracks, embed, train and interpret, from Python.

    import genoformer as gf

Variants
    gf.score(variants, fasta, model)          a row for each ALT: a VCF, a DataFrame, or "chr20:1050100:A:G"
    gf.annotate(variants, sources, fasta)     a row for each ALT, with elements, genes and values of other files
    gf.enrich(variants, sources, fasta)       overlaps with elements, compared with matched controls
    gf.report(scored_vcf, "page.html")        a page of scored variants; gf.read_scored(scored_vcf) reads their table
    gf.explain(variant, fasta, model)         logos of both alleles, and the strongest track
    gf.browse(model, fasta)                   a local page that predicts regions and variants on request; .url, .stop()
DNA: f(fasta, "chr20:1,001-2,000", model), f(region, model, fasta=fasta) or f("ACGT...", model), for one or several
    gf.predict    tracks, classes or bases    gf.embed, gf.embed_tokens    vectors of sequences or tokens
    gf.classify   fine-tuned model            gf.expected      log2 P(A, C, G, T) of each base
    gf.mutagenesis, gf.attention, gf.attribution               maps of bases, with .plot() and .to_frame()
    gf.sample     new DNA of a causal model
Training
    gf.data.build, gf.data.tracks, gf.data.simulate            sets to train on
    gf.pretrain(fasta, folder), gf.finetune(data, folder, model), gf.evaluate(data, model)
    gf.read_tracks(folder), gf.gene_tracks(data, model, gtf)   a set with tracks; measured and predicted tracks of genes
    gf.correlate(predictions, measured)       Pearson's r with intervals, and differences
    gf.data.audit(set), gf.benchmark(name, data, model)        leaks of a set, published benchmarks
    gf.language_batches(fasta, tokenizer, length)              masked windows for a loop of your own
Models, data and parts
    gf.models(), gf.data()                    tables of names; gf.pull(name) downloads one
    gf.load(name), gf.save(model, folder)     an `Encoder` or another model; its tokenizer is model.tokenizer
    gf.Genome(fasta)["chr20", 1000:1100]      bases as text; gf.KmerTokenizer(6)("ACGTACGT") tokens of text
    gf.SCORES, gf.TOKENIZERS                  tables of scores and tokenizers
    from genoformer import codes, evaluation, motifs, plots    bases as numbers, metrics, motifs of the simulation, figures

Each function takes the options of its command by the same names, with the same defaults; `help` has shapes, units, errors and
an example. The names are imported on first use, so that the import of the package is fast.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.1.0"

_HOME = {  # public name -> module
    "Alleles": "genome.variants",
    "Encoder": "models.transformer.model",
    "EncoderConfig": "models.transformer.model",
    "Encoding": "tokenizers",
    "Genome": "genome.reference",
    "KmerTokenizer": "tokenizers",
    "SCORES": "scoring.scores",
    "ScoringJob": "scoring.job",
    "TOKENIZERS": "tokenizers",
    "Variant": "genome.variants",
    "annotate": "annotation.table",
    "annotate_variants": "annotation.run",
    "attention": "api.maps",
    "attribution": "api.maps",
    "benchmark": "api.benchmarks",
    "browse": "api.pages",
    "classify": "api.sequences",
    "correlate": "evaluation.correlations",
    "data": "api.catalog",
    "embed": "api.sequences",
    "embed_tokens": "api.sequences",
    "enrich": "api.variants",
    "enrich_variants": "annotation.study",
    "evaluate": "api.training",
    "expected": "api.sequences",
    "explain": "api.maps",
    "finetune": "api.training",
    "gene_tracks": "api.training",
    "language_batches": "api.training",
    "load": "models.registry",
    "models": "api.catalog",
    "mutagenesis": "api.maps",
    "place_alleles": "genome.variants",
    "predict": "api.sequences",
    "preflight": "genome.preflight",
    "pretrain": "api.training",
    "pull": "api.catalog",
    "read_annotations": "annotation",
    "read_labelled": "datasets.sequences",
    "read_landmarks": "genome.genes",
    "read_regions": "formats.bed",
    "read_scored": "report.scored",
    "read_tracks": "datasets.track_set",
    "read_variants": "formats.vcf",
    "report": "api.variants",
    "sample": "inference.sampling",
    "save": "models.registry",
    "score": "api.variants",
    "score_variants": "scoring.plan",
    "simulate": "simulation",
}
_PACKAGES = ("browse", "models", "report")  # names of packages, too, which are called like the functions of these names
_MODULES = {  # name in `from genoformer import NAME` -> module, of parts that notebooks use
    "codes": "genome.codes",  # bases as numbers
    "evaluation": "evaluation",  # metrics with their intervals
    "motifs": "simulation.motifs",  # the matrices of the simulated world
    "plots": "plots",  # figures of arrays
}
_COMMANDS = ("demo", "merge")  # which have no call here
_INSTEAD = {  # names that others have for it -> the call here
    "AutoModel": "load(name)",
    "DataCollator": "language_batches(fasta, tokenizer, length)",
    "DataCollatorForLanguageModeling": "language_batches(fasta, tokenizer, length)",
    "Trainer": "pretrain(fasta, folder) or finetune(data, folder, model)",
    "AutoTokenizer": "load(name).tokenizer, or KmerTokenizer(k)",
    "Model": "load(name)",
    "attributions": "attribution(texts, model)",
    "compile": "load(name), which returns a torch.nn.Module",
    "convert": "save(model, folder, layout='hf')",
    "download": "pull(name)",
    "embeddings": "embed(texts, model)",
    "enrichment": "enrich(variants, sources, fasta)",
    "fine_tune": "finetune(data, folder, model)",
    "from_pretrained": "load(name)",
    "interpret": "mutagenesis, attention or attribution",
    "ism": "mutagenesis(fasta, region, model)",
    "list_data": "data()",
    "list_datasets": "data()",
    "list_models": "models()",
    "list_scores": "SCORES.to_frame()",
    "list_tokenizers": "TOKENIZERS",
    "load_genome": "Genome(fasta)",
    "load_model": "load(name)",
    "load_tokenizer": "load(name).tokenizer",
    "logo": "plots.logo(axes, heights)",
    "make_report": "report(scored_vcf, page)",
    "one_hot": "codes.one_hot(genoformer.codes.encode(text))",
    "plot_logo": "plots.logo(axes, heights)",
    "read_fasta": "Genome(fasta)",
    "read_vcf": "read_variants(path)",
    "reverse_complement": "codes.reverse_complement(genoformer.codes.encode(text))",
    "save_model": "save(model, folder)",
    "score_vcf": "score(vcf, fasta, model)",
    "tokenize": "KmerTokenizer(k)(text)",
    "tokenizer": "load(name).tokenizer, or KmerTokenizer(k)",
    "train": "pretrain(fasta, folder) or finetune(data, folder, model)",
    "tune": "finetune(data, folder, model)",
    "variant_effects": "score(variants, fasta, model)",
}

__all__ = [
    "Alleles",
    "Encoder",
    "EncoderConfig",
    "Encoding",
    "Genome",
    "KmerTokenizer",
    "SCORES",
    "ScoringJob",
    "TOKENIZERS",
    "Variant",
    "annotate",
    "annotate_variants",
    "attention",
    "attribution",
    "benchmark",
    "browse",
    "classify",
    "correlate",
    "data",
    "embed",
    "embed_tokens",
    "enrich",
    "enrich_variants",
    "evaluate",
    "expected",
    "explain",
    "finetune",
    "gene_tracks",
    "language_batches",
    "load",
    "models",
    "mutagenesis",
    "place_alleles",
    "predict",
    "preflight",
    "pretrain",
    "pull",
    "read_annotations",
    "read_labelled",
    "read_landmarks",
    "read_regions",
    "read_scored",
    "read_tracks",
    "read_variants",
    "report",
    "sample",
    "save",
    "score",
    "score_variants",
    "simulate",
]


def __getattr__(name: str) -> _Any:
    if name in _MODULES:
        return _import_module(f"genoformer.{_MODULES[name]}")
    if name not in _HOME:
        raise AttributeError(_absent(name))
    module = _import_module(f"genoformer.{name if name in _PACKAGES else _HOME[name]}")
    value = module if name in _PACKAGES else getattr(module, name)
    globals()[name] = value
    return value


def _absent(name: str) -> str:
    """Return a sentence on a name that the package does not have, with the name of the call here, if there is one."""
    from difflib import get_close_matches

    if name in _COMMANDS:
        return f"genoformer has no {name!r}; it is a command: run `genoformer {name}` in a terminal."
    call = _INSTEAD.get(name) or next(iter(get_close_matches(name, _HOME, cutoff=0.75)), "")
    remedy = f"write genoformer.{call}" if call else f"its public names are {', '.join(_HOME)}"
    return f"genoformer has no {name!r}; {remedy}."


def __dir__() -> list[str]:
    return sorted([*_HOME, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
