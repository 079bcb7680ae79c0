"""Models and data sets in notebooks: list them, download them, and build sets to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genoformer.api.inputs import Fasta, opened
from genoformer.option_checks import names_unknown_options
from genoformer.progress_bar import shown_progress

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.audit import Audit
    from genoformer.datasets.dataset_files import BuildSummary
    from genoformer.datasets.track_build import BuiltTracks
    from genoformer.simulation import World


def models() -> pd.DataFrame:
    """Return the models by name: "bundled", "downloaded" or "to download" as state, with licence and size in bytes.

    Any of the names is a model for `load`, `score` ...; `pull` downloads one.

    >>> table = models().set_index("name")
    >>> table.loc["demo", ["state", "licence"]].tolist(), table.loc["dnabert6", "family"]
    (['bundled', 'Apache-2.0'], 'BERT')
    """
    from genoformer.models.listing import list_models

    return list_models()


def pull(name: str, *, progress: bool | None = None) -> list[Path]:
    """Download a dataset of the catalog, unless it is present, and return the paths of its files; for a model, its folder.

    The published tables of a model's tracks are downloaded with it. progress: True shows a bar, False none, None
    one if stderr is a terminal.

    Raises CatalogError for a name that is not in the catalog, DownloadError if the download fails or its content is not the
    expected one. `genoformer.data()` and `genoformer.models()` have the names, their content and licence.

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
    with shown_progress(progress, "MB") as report:
        download = catalog.pull(entry, progress=report)
        for tables in catalog.with_tables(entry)[1:]:
            catalog.pull(tables, progress=report)
    return [download.folder] if entry.is_model else download.paths


class Data:
    """Data sets: data() lists those to download; .pull, .build, .tracks and .simulate get or make them, .audit checks one.

    >>> data = Data()
    >>> data().set_index("name").loc["hg38", "assembly"], data
    ('hg38', <genoformer.data: call it for a table of data sets; .pull, .build, .tracks, .simulate, .audit>)
    """

    def __call__(self) -> pd.DataFrame:
        """Return the data sets of the catalog by name, with state, assembly, licence and size in bytes."""
        from genoformer.catalog.listing import table_of

        return table_of("data")

    def __repr__(self) -> str:
        return "<genoformer.data: call it for a table of data sets; .pull, .build, .tracks, .simulate, .audit>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"genoformer.data has no {name!r}; call genoformer.data() for the table, or "
            ".pull, .build, .tracks, .simulate, .audit."
        )

    def pull(self, name: str, *, progress: bool | None = None) -> list[Path]:
        """Download a dataset of the catalog, unless it is present, and return its paths; see `genoformer.pull`."""
        return pull(name, progress=progress)

    @names_unknown_options("data.build")
    def build(self, out: str | Path, fasta: Fasta, positives: Mapping[str, str | Path], **options: Any) -> BuildSummary:
        """Build labelled sequences in the folder `out`, as `genoformer data build`, and return their counts.

        positives: class -> BED, peaks, table, GTF or GFF3. options: negatives ("gc", "dinucleotide", "elsewhere", or None),
        ratio, length, upstream, downstream, valid and test (names of contigs), blacklist, max_n, columns, seed; see
        `DatasetRequest`.

        Raises: ConfigError for a value out of its range, and for a folder with another set.

        >>> import tempfile
        >>> from importlib.resources import files
        >>> demo = files("genoformer_data") / "demo"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = Data().build(folder, demo / "genome.fa.gz", {"peak": demo / "peaks.narrowPeak.gz"}, length=50)
        ...     sorted(made.counts["train"])
        ['negative', 'peak']
        """
        from genoformer.datasets.build import build_dataset
        from genoformer.datasets.request import DatasetRequest

        with opened(fasta) as genome:
            return build_dataset(DatasetRequest(out, genome, dict(positives), **_contigs(options)))

    @names_unknown_options("data.tracks")
    def tracks(
        self, out: str | Path, fasta: Fasta, targets: str | Path, *, progress: bool | None = None, **options: Any
    ) -> BuiltTracks:
        """Build windows with the tracks of a table in the folder `out`, as `genoformer data tracks`.

        options: tracks (a part of the table, such as "CAGE"), windows, length, stride, bin_size, target_bins, valid and test
        (names of contigs), blacklist, max_n; see `TrackSetRequest`. progress: True shows a bar, False none, None one if
        stderr is a terminal.
        """
        from genoformer.datasets.request import TrackSetRequest
        from genoformer.datasets.track_build import build_track_set

        with opened(fasta) as genome, shown_progress(progress, "windows") as report:
            return build_track_set(TrackSetRequest(out, genome, targets, **_contigs(options)), progress=report)

    @names_unknown_options("data.simulate")
    def simulate(self, folder: str | Path, **options: Any) -> World:
        """Write a simulated genome with known regulatory elements and variants; see `genoformer.simulate`."""
        from genoformer.simulation import simulate

        return simulate(folder, **options)

    @names_unknown_options("data.audit")
    def audit(self, data: str | Path | Sequence[str | Path], *, progress: bool | None = None, **options: Any) -> Audit:
        """Look for leaks and shortcuts in a labelled set, as `genoformer data audit`, and return the checks.

        data: the folder of a set, or the files of its splits, the training sequences first. options: fasta, label, seed,
        n_kmer; see `AuditRequest`. progress: as in `genoformer.pull`. The result has `.verdict`, `.checks` and `.to_frame()`.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("train", "test"):
        ...         _ = Path(folder, f"{name}.csv").write_text("sequence,label\\nACGTTGCAAGGCTTAC,1\\n")
        ...     found = Data().audit(folder)
        >>> found.verdict, found.checks[0].found
        ('FAIL', '1 of 1 (100 %)')
        """
        from genoformer.audit import AuditRequest, audit_set

        with shown_progress(progress, "sequences") as report:
            return audit_set(AuditRequest(data, **options), progress=report)


data = Data()
"""Data sets: `data()` lists them; `data.pull`, `.build`, `.tracks` and `.simulate` get or make them, `.audit` checks one."""


def _contigs(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with valid and test as lists of contigs; a text may hold several, separated by commas."""

    def names(value: str | Sequence[str]) -> list[str]:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else list(value)

    return {key: names(value) if key in ("valid", "test") else value for key, value in options.items()}
