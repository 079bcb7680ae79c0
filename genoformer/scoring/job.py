"""Jobs: frozen descriptions of what the user requested; the command line and notebooks build the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoformer.annotation import Annotations
from genoformer.annotation.motif_changes import MotifAnnotation, motif_annotation
from genoformer.compute import IN_PROCESS, Compute
from genoformer.compute.settings import Shard
from genoformer.errors import ConfigError
from genoformer.formats.bed import Region
from genoformer.genome.preflight import fixes_named
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions
from genoformer.genome.variant_input import VariantSource
from genoformer.models import folders
from genoformer.models.base import SCORES_HAPLOTYPES, SCORES_VARIANTS, Model, Need
from genoformer.scoring.calibration import FILE, Calibration, calibration_file
from genoformer.scoring.command_options import CalibrateOptions, PairsOptions, ScoreOptions, TableOptions
from genoformer.scoring.each_model import read_scoring_of_each
from genoformer.scoring.options import (
    ModelName,
    NamedModels,
    Options,
    load_models,
    models_with_contexts,
    parse_options,
    read_calibration,
    read_elements,
)
from genoformer.scoring.scoring_choices import read_scoring
from genoformer.scoring.settings import ON_CPU, Runtime, Scoring
from genoformer.scoring.support import cautions
from genoformer.writers import Field, Sink, Source


@dataclass(frozen=True)
class Outputs:
    """Files of a scoring run, and the columns that are added to the scores."""

    sink: str | Path | Sink  # .vcf, .vcf.gz, .tsv, .parquet, or "-" for VCF on standard output
    matrix: str | Path | None = None  # .parquet or .h5ad for the scores of every track or class; the sink has only some
    calibration: Calibration | None = None  # adds the quantile of each score among those of a background
    annotations: Annotations | None = None  # adds the elements and genes that each record overlaps
    motifs: MotifAnnotation | None = None  # adds the motifs that each allele changes

    @property
    def fields(self) -> list[Field]:
        """Fields of the annotations and motifs."""
        return [field for source in (self.annotations, self.motifs) if source is not None for field in source.fields]

    @property
    def sources(self) -> list[Source]:
        """Files of the fields."""
        of_motifs = [self.motifs.source] if self.motifs is not None else []
        return [*(self.annotations.sources if self.annotations is not None else []), *of_motifs]


@dataclass(frozen=True)
class Checks:
    """Checks of the input and of the scores."""

    force: bool = False  # continue if the preflight fails
    fix: tuple[str, ...] = ()  # corrections ("swap", "strand", "shift") for records whose REF differs; see `preflight`
    n_noise: int | None = None  # positions for the noise floor of track scores; None: see ScoreOptions; 0: no floor
    n_verify: int = 0  # random records to score again with the reference implementation


@dataclass(frozen=True)
class ScoringJob:
    """Description of a scoring run: the ALTs of a VCF, scored and written with every record.

    >>> import tempfile
    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = ScoringJob.from_names("chrS1:6000:G:A", demo / "genome.fa.gz", "demo", f"{folder}/out.tsv", scores="LLR")
    >>> job.model_name, [score.name for score in job.scoring.scores]
    ('demo', ['LLR'])
    """

    vcf: VariantSource  # VCF, BCF, table of variants or ids such as chr20:1050100:A:G; "-" is standard input
    genome: Genome
    scoring: Scoring
    outputs: Outputs
    runtime: Runtime = ON_CPU
    checks: Checks = Checks()
    region: Regions | None = None  # score only records whose REF overlaps it, or one of several
    shard: Shard | None = None  # compute only these parts, without output
    assemble: bool = False  # refuse to run if a part is missing
    command: tuple[str, ...] = ()  # command line to store with the parts
    name: str | Path | None = None  # name of the VCF in messages, if `vcf` is a copy
    model_name: str = "model"
    cautions: tuple[str, ...] = ()  # of the models' cards, for the notes and the header
    member_names: tuple[str, ...] = ()  # name of each of the models of `scoring`, for notes on one of them

    @property
    def caution(self) -> str:
        """Text of the cautions in a header, whose key says that it is a caution."""
        return " ".join(text.removeprefix("caution: ") for text in self.cautions)

    @property
    def named_models(self) -> list[tuple[str, Model]]:
        """Name and model of each of the models of `scoring`."""
        names = self.member_names or (self.model_name,) * len(self.scoring.models)
        return list(zip(names, self.scoring.models, strict=True))

    @classmethod
    def from_names(
        cls,
        vcf: VariantSource,
        genome: str | Path | Genome,
        models: ModelName | Sequence[ModelName],
        output: str | Path | Sink,
        **options: Any,
    ) -> ScoringJob:
        """Build a job from names, paths and text, as `genoformer score` takes them.

        models: a name, a folder or a loaded model, or several for an ensemble, or with each_model each on its own. options:
        fields of `ScoreOptions`.
        Raises ConfigError for options that the model does not have, TypeError for unknown options.

        >>> from importlib.resources import files
        >>> demo = files("genoformer_data") / "demo"
        >>> job = ScoringJob.from_names(demo / "variants.vcf.gz", demo / "genome.fa.gz", "demo", "scored.vcf", strand="forward")
        >>> job.scoring.names, job.scoring.both_strands, job.model_name
        ('LLR,PLL', False, 'demo')
        """
        opened, named, parsed, scoring = _read(ScoreOptions, genome, models, options)
        calibration = read_calibration(parsed.calibration, named, scoring)
        motifs = None if parsed.motifs is None else motif_annotation(parsed.motifs, opened, parsed.motif_p)
        return cls(
            vcf,
            opened,
            scoring,
            Outputs(output, parsed.matrix, calibration, read_elements(parsed.annotations), motifs),
            parsed.runtime,
            Checks(parsed.force, fixes_named(parsed.fix), parsed.noise_places, parsed.verify),
            parsed.region,
            parsed.compute.shard,
            model_name=",".join(name for name, _ in scoring.of_models) or named.label,
            cautions=(*named.cautions(opened.contigs), *cautions(scoring)),
            member_names=tuple(named.member_names),
        )


@dataclass(frozen=True)
class CalibrationJob:
    """Description of a calibration: the scores of a background VCF, kept as quantiles in a file."""

    background: str | Path
    genome: Genome
    scoring: Scoring  # all tracks of the head, or all classes, are scored, also if `scoring` selects some
    output: Path
    runtime: Runtime = ON_CPU
    checks: Checks = Checks(n_noise=0)
    model_name: str = "model"
    shard: Shard | None = None  # compute only these parts
    assemble: bool = False  # refuse to run if a part is missing
    command: tuple[str, ...] = ()  # command line to store with the parts
    region: Regions | None = None  # score only records whose REF overlaps it, or one of several

    @classmethod
    def from_names(
        cls,
        background: str | Path,
        genome: str | Path | Genome,
        models: ModelName | Sequence[ModelName],
        output: str | Path | None = None,
        **options: Any,
    ) -> CalibrationJob:
        """Build a job from names, paths and text, as `genoformer calibrate` takes them; see `ScoringJob.from_names`.

        output: None is a file in the folder of the model; ConfigError for an ensemble, which has no folder.
        """
        opened, named, parsed, scoring = _read(CalibrateOptions, genome, models, options)
        if output is None and len(named.names) != 1:
            raise ConfigError("the calibration of an ensemble belongs to none of its models; name an output file.")
        if output is None and named.has_other_contexts:
            raise ConfigError(
                "the calibration of other contexts does not belong into the folder of the model; name an output file."
            )
        path = calibration_path(named.names[0], scoring) if output is None else Path(output)
        name = "+".join(map(str, named.names)) or "model"
        return cls(
            background,
            opened,
            scoring,
            path,
            parsed.runtime,
            model_name=name,
            shard=parsed.compute.shard,
            region=parsed.region,
        )


@dataclass(frozen=True)
class HaplotypeJob:
    """Description of a haplotype table: the joint effect of a sample's variants in a window around each region."""

    vcf: Path
    genome: Genome
    scoring: Scoring
    regions: tuple[Region, ...]
    output: Path
    samples: tuple[str, ...] | None = None  # None: all
    runtime: Runtime = ON_CPU
    checks: Checks = Checks()
    compute: Compute = IN_PROCESS

    @classmethod
    def from_names(
        cls,
        vcf: str | Path,
        genome: str | Path | Genome,
        models: ModelName | Sequence[ModelName],
        regions: Sequence[Region],
        output: str | Path,
        *,
        samples: Sequence[str] | None = None,
        **options: Any,
    ) -> HaplotypeJob:
        """Build a job from names, paths and text, as `genoformer haplotypes` takes them; options: fields of `TableOptions`."""
        opened, _, parsed, scoring = _read(TableOptions, genome, models, options, SCORES_HAPLOTYPES)
        checks = Checks(parsed.force, fixes_named(parsed.fix))
        chosen = tuple(samples) if samples is not None else None
        return cls(Path(vcf), opened, scoring, tuple(regions), Path(output), chosen, parsed.runtime, checks, parsed.compute)


@dataclass(frozen=True)
class PairsJob:
    """Description of a table of pairs: each ALT alone, both together, and the difference from the sum of the two."""

    vcf: VariantSource
    genome: Genome
    scoring: Scoring
    within: int | None  # maximum distance of the two ALTs in bases; None: 500, and at most a quarter of the window
    output: Path
    runtime: Runtime = ON_CPU
    checks: Checks = Checks()
    compute: Compute = IN_PROCESS
    region: Regions | None = None  # score only pairs of records whose REF overlaps it, or one of several

    @classmethod
    def from_names(
        cls,
        vcf: VariantSource,
        genome: str | Path | Genome,
        models: ModelName | Sequence[ModelName],
        within: int | None,
        output: str | Path,
        **options: Any,
    ) -> PairsJob:
        """Build a job from names, paths and text, as `genoformer pairs` takes them; options: fields of `PairsOptions`."""
        opened, _, parsed, scoring = _read(PairsOptions, genome, models, options, SCORES_HAPLOTYPES)
        checks = Checks(parsed.force, fixes_named(parsed.fix))
        return cls(vcf, opened, scoring, within, Path(output), parsed.runtime, checks, parsed.compute, parsed.region)


def _read(
    kind: type[Options],
    genome: str | Path | Genome,
    models: ModelName | Sequence[ModelName],
    options: Mapping[str, Any],
    need: Need = SCORES_VARIANTS,
) -> tuple[Genome, NamedModels, Options, Scoring]:
    """Return the open genome, the models, the options as an object, and the settings that the scores depend on."""
    opened = genome if isinstance(genome, Genome) else Genome(genome)
    named = load_models(models, need)
    parsed = parse_options(kind, options, named.models)
    named = models_with_contexts(named, parsed.contexts)
    if parsed.is_of_each_model and len(named.sizes) > 1:
        return opened, named, parsed, read_scoring_of_each(opened, named, parsed)
    return opened, named, parsed, read_scoring(opened, named.models, parsed)


def calibration_path(model: str | Path, scoring: Scoring | None = None) -> Path:
    """Return the path of the calibration that a model's folder gets; without scores that of the first one."""
    folder = folders.resolve_model(model)
    return folder / FILE if scoring is None else calibration_file(folder, scoring.head, scoring.names.split(","))
