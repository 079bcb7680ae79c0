"""VCF or BCF at an address -> a local copy: of the whole file, or through its index of the records in some regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from genoformer.addresses import how_to_download
from genoformer.errors import FileFormatError
from genoformer.formats.remote import copy_remote, read_remote
from genoformer.formats.vcf_selection import merged_spans
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.region_text import Interval

_LONGEST = (1 << 31) - 2  # position that htslib can look up in an index


def copy_vcf(address: str, folder: Path, regions: Sequence[Interval] | None = None, contigs: Iterable[str] = ()) -> Path:
    """Copy a VCF or BCF to a folder, and return the path of the copy.

    regions: if the file has an index (.tbi or .csi) next to it, only records that overlap them are copied; otherwise the whole
    file. contigs: names of the genome, by which those of regions and VCF are matched.
    """
    copy = folder / (Path(address.partition("?")[0]).name or "variants.vcf")
    index = _index(address, folder) if regions is not None else None
    if regions is None or index is None:
        copy_remote(address, copy)
        return copy
    copy = copy.with_suffix(".vcf") if copy.suffix == ".vcf" else folder / "selected.vcf"
    import pysam

    verbosity = pysam.set_verbosity(0)  # htslib would print its own messages
    try:
        with (
            pysam.TabixFile(address, index=str(index)) as file,
            copy.open("w", encoding=ENCODING, errors=ERRORS, newline="\n") as out,
        ):
            out.writelines(f"{line}\n" for line in file.header)
            out.writelines(f"{line}\n" for line in _selected(file, regions, list(contigs)))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{address} cannot be read through its index ({error}); {how_to_download(address)}.") from error
    finally:
        pysam.set_verbosity(verbosity)
    return copy


def _index(address: str, folder: Path) -> Path | None:
    """Copy the index of a file into a folder, and return its path; None if there is none, or for a BCF."""
    if address.partition("?")[0].endswith(".bcf"):
        return None
    for suffix in (".tbi", ".csi"):
        content = read_remote(address + suffix)
        if content is not None:
            path = folder / f"index{suffix}"
            path.write_bytes(content)
            return path
    return None


def _selected(file: Any, regions: Sequence[Interval], contigs: Sequence[str]) -> Iterator[str]:
    """Yield the lines of records that overlap regions, each once, in the order of the file."""
    for chrom in file.contigs:
        before = 0  # end of the region before, whose records have been yielded
        for start, end in zip(*merged_spans(chrom, regions, contigs), strict=True):
            for line in file.fetch(chrom, start, min(end, _LONGEST)):
                if int(line.split("\t", 2)[1]) - 1 >= before:
                    yield line
            before = end
