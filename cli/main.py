"""Define the genoformer command group; each command imports its dependencies when it runs."""

from __future__ import annotations

import os
import sys

import click

from . import (
    annotate,
    benchmark,
    browse,
    calibrate,
    data,
    demo,
    embed,
    enrich,
    evaluate,
    finetune,
    haplotypes,
    interpret,
    merge,
    models,
    predict,
    pretrain,
    report,
    sample,
    score,
)
from .errors import refuse
from .output_lock import LOG, open_streams
from .verbosity import Group, wants_traceback, warnings_as_notes, write_log


def limit_openmp_spin() -> None:
    """Make waiting OpenMP threads sleep sooner, unless the environment sets a policy; call it before torch is imported.

    GNU's OpenMP lets waiting threads spin 30 times as long. On a shared machine they spin while the thread that they wait
    for has no processor, and a run takes many times as long (RESULTS.md, Hardening).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


class _Commands(Group):
    """Command group that prints a refusal as one sentence and exits with status 2; Ctrl-C exits with 130."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a study, not of the alphabet: variants first, then training."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        open_streams()
        limit_openmp_spin()
        try:
            with warnings_as_notes():
                return super().invoke(ctx)
        except click.ClickException as error:
            write_log(f"Error: {error.format_message()}", ctx.meta.get(LOG))
            raise
        except BrokenPipeError:  # the reader of our output, such as head, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except KeyboardInterrupt as stop:
            click.echo("\nInterrupted; finished parts are kept, and the same command resumes.", err=True)
            sys.exit(getattr(stop, "status", 130))
        except Exception as error:
            refuse(error, debug=wants_traceback(ctx), log=ctx.meta.get(LOG))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print the versions of genoformer and its main dependencies, then exit."""
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
    help="Show the versions of genoformer and its main dependencies, then exit.",
)
def main() -> None:
    """Transformers for regulatory DNA: score variants, train models, and interpret them.

    \b
    genoformer demo                                   run the full pipeline on bundled data
    genoformer models list                            list the models, and what each is good for
    genoformer score in.vcf.gz -f hg38.fa -m borzoi -o out.vcf.gz

    An existing output file is overwritten; symbolic links are followed. A second run with the same output is refused. In an
    output folder, a command replaces only files that the same command wrote before. It refuses other files of the same
    names, and it never replaces a trained model.

    Exit status: 0 on success; 2 for an invalid input or option, with a one-sentence error; 1 for any other failure, and if
    the reader of a pipe closes it; 130 after Ctrl-C; 128 plus the signal number after another signal.
    """


main.add_command(score.score)
main.add_command(merge.merge)
main.add_command(calibrate.calibrate)
main.add_command(haplotypes.haplotypes)
main.add_command(haplotypes.pairs)
main.add_command(pretrain.pretrain)
main.add_command(finetune.finetune)
main.add_command(evaluate.evaluate)
main.add_command(benchmark.benchmark)
main.add_command(embed.embed)
main.add_command(predict.predict)
main.add_command(sample.sample)
main.add_command(interpret.interpret)
main.add_command(annotate.annotate)
main.add_command(enrich.enrich)
main.add_command(report.report)
main.add_command(browse.browse)
main.add_command(models.models)
main.add_command(data.data)
main.add_command(demo.demo)
