"""genoformer: the group of commands; what a command needs is imported when it runs."""

from __future__ import annotations

import os
import sys

import click

from . import (
    annotate,
    calibrate,
    data,
    demo,
    embed,
    enrich,
    evaluate,
    finetune,
    haplotypes,
    interpret,
    models,
    predict,
    pretrain,
    report,
    score,
)
from .errors import refuse
from .outputs import open_streams
from .talk import Group, wants_traceback, warnings_said


def limit_openmp_spin() -> None:
    """Threads that wait for each other sleep sooner, unless the environment says otherwise; before torch is imported.

    GNU's OpenMP lets them spin 30 times as long: on a machine that others use, too, they spin while the one that they wait
    for has no processor, and a run takes many times as long (RESULTS.md, Hardening).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


class _Commands(Group):
    """A refusal of ours ends in one sentence and status 2; Ctrl-C in 130."""

    def invoke(self, ctx: click.Context) -> object:
        open_streams()
        limit_openmp_spin()
        try:
            with warnings_said():
                return super().invoke(ctx)
        except click.ClickException:
            raise
        except BrokenPipeError:  # the reader of our output, such as head, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except KeyboardInterrupt as stop:
            click.echo("\nInterrupted; what is finished is kept, and the same command goes on from there.", err=True)
            sys.exit(getattr(stop, "status", 130))
        except Exception as error:
            refuse(error, debug=wants_traceback(ctx))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """genoformer and its version, and those of what matters when something is reported."""
    if not value or ctx.resilient_parsing:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    click.echo(f"genoformer {version('genoformer')}")
    click.echo(f"Python {platform.python_version()} ({platform.system()} {platform.machine()})")
    for name in ("torch", "numpy", "pandas", "pyarrow", "pysam", "kipoiseq", "lightning"):
        try:
            click.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"{name} not installed")
    ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Versions of genoformer and of what it stands on, and stop.",
)
def main() -> None:
    """Transformers for regulatory DNA: score variants, pre-train, and look at what they learned.

    \b
    genoformer demo                                   the whole of it on bundled data
    genoformer score in.vcf -f genome.fa -m demo -o out.vcf.gz

    A file that is named, such as out.vcf.gz, is replaced; of a link, what it leads to. Of two runs that would write the same,
    the second is refused. In a folder a command replaces only what the same command made
    there before, and refuses where other files of the same names are in the way; a trained model is never replaced.

    Exit status: 0 when the job was done; 2 for an input or option that is refused, in one sentence; 1 for what went wrong
    otherwise, and where the reader of a pipe has gone; 130 after Ctrl-C, 128 and its number after another signal.
    """


main.add_command(score.score)
main.add_command(score.merge)
main.add_command(calibrate.calibrate)
main.add_command(haplotypes.haplotypes)
main.add_command(haplotypes.pairs)
main.add_command(pretrain.pretrain)
main.add_command(finetune.finetune)
main.add_command(evaluate.evaluate)
main.add_command(embed.embed)
main.add_command(predict.predict)
main.add_command(interpret.interpret)
main.add_command(annotate.annotate)
main.add_command(enrich.enrich)
main.add_command(report.report)
main.add_command(models.models)
main.add_command(data.data)
main.add_command(demo.demo)
