"""Folder next to an output with the finished parts of its run, from which the same command resumes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from genoformer.errors import GenoformerError
from genoformer.files import resolve_link, write_text


class JobError(GenoformerError):
    """The resume folder cannot be used, for example because it belongs to a run with other settings."""


class ResumeFolder:
    """Finished parts next to the output, in .OUT.parts/; the same job resumes from them, another job is refused.

    job: all that the parts depend on, such as the sha256 of the VCF, the model and the options.
    current: translates the job of a folder that an earlier version wrote.
    """

    ending: str

    def __init__(
        self, output: Path | None, job: dict[str, str], current: Callable[[dict[str, str]], dict[str, str]] = dict
    ) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="genoformer-")) if output is None else folder_of(output)
        try:
            self.path.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise JobError(f"{self.path} is a file, expected a folder for finished parts; remove it.") from error
        self.n_found = len(self.numbers())
        ticket = self.path / "job.json"
        self.is_new = not ticket.is_file()
        if ticket.is_file() or self.n_found:
            before = current(_read(ticket))
            changed = sorted(key for key in {*before, *job} if before.get(key) != job.get(key))
            if changed:
                raise JobError(
                    f"{self.path} holds unfinished work of a run that differs in {', '.join(changed)}; "
                    "repeat that run to finish it, or remove the folder to start over."
                )
        else:
            write_text(ticket, json.dumps(job, indent=1))

    def _name(self, i: int) -> Path:
        return self.path / f"{i:08d}{self.ending}"

    def numbers(self) -> set[int]:
        """Return the numbers of the stored parts, including damaged ones; other files have names that are not numbers."""
        return {int(path.stem) for path in self.path.glob(f"*{self.ending}") if path.stem.isdecimal()}

    def note(self, command: Sequence[str]) -> None:
        """Store the command that started the work and its working directory."""
        write_text(self.path / "command.json", json.dumps({"folder": str(Path.cwd()), "command": list(command)}))

    def remove(self) -> None:
        """Delete the folder, job.json last, so that an interrupted delete can be repeated."""
        for i in sorted(self.numbers()):
            self._name(i).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def folder_of(output: Path) -> Path:
    """Return the folder of the parts of an output: .OUT.parts/ next to it."""
    whole = resolve_link(output)
    return whole.with_name(f".{whole.name}.parts")


def _read(ticket: Path) -> dict[str, str]:
    try:
        job = json.loads(ticket.read_text(encoding="utf-8"))
        if isinstance(job, dict):
            return job
    except (OSError, ValueError):
        pass
    raise JobError(f"{ticket.parent} has no readable job.json, so its run is unknown; remove the folder to start over.")
