"""ISM maps of loci, one part for each, computed in this process or in workers; finished maps are kept."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from genoformer import __version__
from genoformer.compute import THREADS, InputParts, MemoryStore, PartedRun, resumable, resumed_threads
from genoformer.files import atomic_write, sha256_of
from genoformer.formats.context_table import open_contexts
from genoformer.formats.track_table import open_targets
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import n_cores, threads
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.request import InterpretationRequest, IsmOptions
from genoformer.resume_folder import ResumeFolder


class MapReader(Protocol):
    """ISM of one model, such as `ism_maps.Ism`."""

    @property
    def genome(self) -> Genome: ...
    @property
    def device(self) -> str: ...
    @property
    def others(self) -> Sequence[Any]: ...  # the other members of an ensemble
    def reader(self, model: Any) -> Any: ...  # a context manager with the function from a locus to its map


@dataclass(frozen=True)
class IsmTask:
    """Map of a locus."""

    ism: MapReader
    model: Any
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.ism.device

    @contextmanager
    def open(self) -> Iterator[Callable[[Locus], Mutagenesis]]:
        """Yield the function from a locus to its map; the models are on their device in the block."""
        with threads(self.threads), self.ism.reader(self.model) as read:
            yield read


class MapFolder(ResumeFolder):
    """Resume folder with ISM maps."""

    ending = ".npz"

    def get(self, i: int) -> Mutagenesis | None:
        """Return the map of a locus; None if it is missing or damaged."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                chrom, start, names = json.loads(arrays["about"].tobytes())
                return Mutagenesis(chrom, start, arrays["codes"], names, arrays["values"])
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, result: Mutagenesis) -> None:
        """Store the map of a locus."""
        about = json.dumps((result.chrom, result.start, result.names)).encode()
        with atomic_write(self._name(i), durable=True) as part, part.open("wb") as file:
            np.savez(file, about=np.frombuffer(about, dtype=np.uint8), codes=result.codes, values=result.values)


MapRun = PartedRun[Locus, Mutagenesis]


@contextmanager
def open_map_run(
    request: InterpretationRequest, options: IsmOptions, ism: MapReader, model: Any, loci: Sequence[Locus]
) -> Iterator[MapRun]:
    """Yield the run that computes the maps of loci; its resume folder is removed when the block ends without an error.

    Maps of a model that is not from a file, and maps that are not written, are not kept.
    """
    compute, out = request.compute, request.out
    n_threads = compute.n_threads(resumed_threads(out), n_cores())
    parts = InputParts(lambda: loci, compute.shard)
    task = IsmTask(ism, model, n_threads)
    sha256s = [one.sha256 for one in (model, *ism.others)]
    if out is None or not all(sha256s):
        compute.refuse_shard("no output folder" if out is None else "a model in memory")
        yield PartedRun(parts, task, MemoryStore(), compute, lambda locus: 1)
        return
    job = {"model": "+".join(sha256s), THREADS: str(n_threads) if ism.device == "cpu" else "any"}
    with resumable(MapFolder(out, job | _fingerprint(request, options, ism, loci)), out, compute) as folder:
        yield PartedRun(parts, task, folder, compute, lambda locus: 1)


def _fingerprint(request: InterpretationRequest, options: IsmOptions, ism: MapReader, loci: Sequence[Locus]) -> dict[str, str]:
    """Return what the maps depend on besides the model."""
    sequences = hashlib.sha256()
    for locus in loci:
        sequences.update(f"{locus.chrom}:{locus.start}:{len(locus.codes)}\0".encode() + locus.codes.tobytes())
    contexts = open_contexts(request.contexts)
    return {
        "FASTA": ism.genome.signature,
        "loci": sequences.hexdigest(),
        "options": repr(replace(options, targets=None)),
        **({"targets": hashlib.sha256(repr(table).encode()).hexdigest()} if (table := open_targets(options.targets)) else {}),
        "genes": sha256_of(Path(request.gtf)) if request.gtf else "",
        "contexts": "" if contexts is None else contexts.sha256,
        "device": ism.device,
        "version": __version__,
    }
