"""Published benchmarks in notebooks: their metrics for models, files of scores and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.option_checks import names_unknown_options
from genoformer.progress_bar import shown_progress

if TYPE_CHECKING:
    from genoformer.benchmarking.result import BenchmarkResult


@names_unknown_options("benchmark")
def benchmark(
    name: str,
    data: str | Path | None = None,
    model: str | Path | Sequence[str | Path] = (),
    fasta: str | Path | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> BenchmarkResult:
    """Return the published metrics of a benchmark for models, files of scores and baselines, as `genoformer benchmark run`.

    name: traitgym-mendelian, traitgym-complex, mpra, gue, genomic-benchmarks, nucleotide-transformer, clinvar-noncoding,
    eqtl-pairs, caqtl, dsqtl, cagi5 or crispri. data: the folder or file that the authors publish. model: one or several; for
    sequences, folders of fine-tuned models, in which {task} stands for the name of a task. fasta: genome, to score variants
    with models. options: scores, score_files (name -> file), tasks, baselines, ensemble, sign, motifs, out, resamplings, seed,
    device, and options (those of `score`); see `benchmarking.request.BenchmarkRequest`. progress: True shows a bar,
    False none, None one if stderr is a terminal.

    The result has `.rows`, `.differences` (paired bootstrap), `.notes`, `.to_frame()` and `.to_dict()`.

    Raises MissingFileError, with the address of the files, if they are missing; OptionError for unknown names.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, n in (("train", 60), ("test", 40)):
    ...         rows = [f"{'AC' if i % 2 else 'GT'}{'ACGT'[i % 4] * 10},{i % 2}" for i in range(n)]
    ...         path = Path(folder, "tf_0", f"{name}.csv")
    ...         path.parent.mkdir(exist_ok=True)
    ...         _ = path.write_text("\\n".join(["sequence,label", *rows, ""]))
    ...     found = benchmark("gue", folder, baselines="kmer_regression", resamplings=20)
    >>> found
    BenchmarkResult(gue: mcc of tf/0: kmer_regression 1.000)
    """
    from genoformer.benchmarking.request import BenchmarkRequest
    from genoformer.benchmarking.run import run_benchmark

    models = [str(one) for one in ([model] if isinstance(model, str | Path) else model)]
    with shown_progress(progress, "items") as report:
        return run_benchmark(BenchmarkRequest(name, data, models, fasta, **options), progress=report)
