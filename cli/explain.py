"""Option --explain of genoformer score: scores, statuses and columns, and which scores a model supports."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .verbosity import Command


class ExplainsModels(Command):
    """Command whose --explain knows the models wherever -m stands, before other parameters are checked."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--explain" in args:
            ctx.meta[_MODELS] = self.make_parser(ctx).parse_args(list(args))[0].get("model_names", [])
        return super().parse_args(ctx, args)


_MODELS = "genoformer.models to explain"  # key in the meta of the context


def _explain_models(names: Sequence[str]) -> None:
    """Print the scores that each model supports, and why it refuses the others."""
    from genoformer.models import registry
    from genoformer.scoring.scores import SCORES
    from genoformer.scoring.support import lacking, supported

    for name in names:
        model = registry.load_members(name)[0]  # all members of an ensemble have the same kind
        click.echo(f"{name} supports {', '.join(supported(model)) or 'no score'}.")
        for score in SCORES.values():
            if (reason := lacking(model, score)) is not None:
                click.echo(click.wrap_text(f"{score.name} {reason}.", 78, "    ", "        "))
        click.echo()


def explain(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    _explain_models(ctx.meta.get(_MODELS, ()))
    from genoformer.genome.variants import STATUS_MEANING
    from genoformer.scoring.alignment import INDELS
    from genoformer.scoring.scores import SCORES

    for score in SCORES.values():
        alleles = {"substitution": "SNV and MNV", "indel": "insertions and deletions", "any": "every allele"}[score.alleles]
        sign = "signed" if score.signed else "not signed"
        of = "; of tracks" if score.of_tracks else "; of classes" if score.of_classes else ""
        click.echo(f"{score.name}  (INFO {score.column.key}; {alleles}; {score.unit}; {sign}{of})")
        click.echo(click.wrap_text(score.meaning, 78, "    ", "    "))
        click.echo(click.wrap_text(f"= {score.function.__doc__ or ''}", 78, "    ", "    ") + "\n")
    click.echo("--indels, the alignment of tracks of alleles of different length:")
    for name, meaning in INDELS.items():
        click.echo(f"    {name:10} {meaning}")
    click.echo("\n-s recommended: the scores that the authors of AlphaGenome recommend for the head")
    click.echo("\nColumns of each score X of a track model, or of a fine-tuned model with several classes:")
    click.echo("    GF_X_TRACK    the track with the largest |X|, whose score X is; GF_X_CLASS likewise the class")
    click.echo("\nColumns of each score X of a track model:")
    click.echo("    GF_X_SE       standard error over the shifts, if --shifts names several")
    click.echo("    GF_X_GENE     the gene whose score X is, for scores of genes; GF_X_TRANSCRIPT likewise the transcript")
    click.echo("    GF_X_NOISE    below: |X| is below the noise floor, which the run measures (--noise-places)")
    click.echo("\nGF_STATUS, the reason why an allele has none of the chosen scores:")
    for status, meaning in STATUS_MEANING.items():
        if status.name != "OK":
            click.echo(f"    {status.value:14} {meaning}")
    ctx.exit()
