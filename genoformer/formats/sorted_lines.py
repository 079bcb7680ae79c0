"""VCF, BCF or table of positions (plain, gzip, bgzip) -> whole lines in large pieces, with jumps where there is an index."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError
from genoformer.formats.tabix_index import TabixIndex, index_path
from genoformer.formats.vcf_text import ENCODING, ERRORS, VcfText

Integers = NDArray[np.int64]

_CHUNK = 1 << 20  # bytes read at a time
_FIRST_CHUNK = 1 << 16  # after a jump; each of the next is twice as large
FAR = 1 << 18  # bytes of a compressed file that take longer to read than a jump takes
_BCF_BYTES = 8  # bytes assumed per base, for jumps in a BCF
_N_BCF = 4_096  # records read at a time
_LONGEST = 1 << 27  # bytes of a line


class SortedLines(Protocol):
    """Lines of a file, header lines left out."""

    @property
    def contigs(self) -> tuple[str, ...] | None:
        """Contigs with records, if an index tells."""
        ...

    def read(self) -> bytes:
        """Return the next whole lines, of which some may be empty; b"" at the end."""
        ...

    def offsets(self, contig: str, starts: Integers) -> Integers | None:
        """Return roughly the byte of the file at which each position is found; None without an index."""
        ...

    @property
    def offset(self) -> int:
        """Roughly the byte of the file that is read next."""
        ...

    def jump(self, contig: str, start: int) -> None:
        """Continue with lines that hold every record of a contig which ends behind a position."""
        ...

    def close(self) -> None: ...


class TextLines:
    """Lines of a text file; plain, gzip or bgzip, the last with jumps if it has an index.

    n_header: lines at the top that are no data, in addition to those that begin with #.
    """

    def __init__(self, path: Path, n_header: int = 0) -> None:
        self.path, self._closing = path, ExitStack()
        self._pending, self._size = b"", _CHUNK
        self._file: Any = None
        self._chunks: Iterator[bytes] = iter(())
        with ExitStack() as if_refused:
            if_refused.callback(self._closing.close)
            self._open(n_header)
            if_refused.pop_all()

    def _open(self, n_header: int) -> None:
        text, index = VcfText(self.path, str(self.path), self._closing), index_path(self.path)
        if text.format == "bgzip":
            import pysam

            self._file = self._closing.enter_context(pysam.BGZFile(str(self.path), "rb", None))
        else:
            self._chunks = text.chunks
        self._index = TabixIndex(index) if index is not None and self._file is not None else None
        self.contigs = self._index.contigs if self._index else None
        self._skip_header(n_header)

    def _skip_header(self, n_header: int) -> None:
        text, n = self._lines(), 0
        while text:
            end = text.find(b"\n") + 1
            if not text.startswith(b"#"):
                if n >= n_header:
                    break
                n += 1
            text = text[end:] or self._lines()
        self._first = text

    def read(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._lines()

    def _lines(self) -> bytes:
        while True:
            chunk = self._chunk()
            if not chunk:
                text, self._pending = self._pending, b""
                return _unix(text if not text or text.endswith(b"\n") else text + b"\n")
            cut = chunk.rfind(b"\n") + 1
            if not cut:
                self._pending += chunk
                if len(self._pending) > _LONGEST:
                    raise FileFormatError(f"{self.path} has a line of more than {_LONGEST:,} bytes; give a VCF or a table.")
                continue
            text, self._pending = self._pending + chunk[:cut], chunk[cut:]
            return _unix(text)

    def _chunk(self) -> bytes:
        if self._file is None:
            return next(self._chunks, b"")
        size, self._size = self._size, min(2 * self._size, _CHUNK)
        try:
            return bytes(self._file.read(size))
        except (OSError, ValueError, zlib.error) as error:
            raise FileFormatError(f"{self.path} is truncated or damaged ({error}); copy or download it again.") from error

    def offsets(self, contig: str, starts: Integers) -> Integers | None:
        return None if self._index is None else self._index.offsets(contig, starts) >> 16

    @property
    def offset(self) -> int:
        return int(self._file.tell()) >> 16

    def jump(self, contig: str, start: int) -> None:
        assert self._index is not None
        self._pending = self._first = b""
        self._size = _FIRST_CHUNK
        self._file.seek(int(self._index.offsets(contig, np.array([start]))[0]))

    def close(self) -> None:
        self._closing.close()


class BcfLines:
    """Records of a BCF as lines of VCF, with jumps if it has an index."""

    def __init__(self, path: Path) -> None:
        import pysam

        self.path, self._last = path, 0
        verbosity = pysam.set_verbosity(0)  # htslib would print that there is no index
        try:
            self._file = pysam.VariantFile(str(path))
            has_index = index_path(path) is not None
        finally:
            pysam.set_verbosity(verbosity)
        self.contigs = tuple(map(str, self._file.header.contigs)) if has_index else None
        self._records: Iterator[Any] = iter(self._file)

    def read(self) -> bytes:
        lines: list[str] = []
        try:
            for record in self._records:
                lines.append(str(record))
                if len(lines) == _N_BCF:
                    break
            if lines:
                self._last = record.pos
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{self.path} is truncated or damaged ({error}); copy or download it again.") from error
        return "".join(lines).encode(ENCODING, ERRORS)

    def offsets(self, contig: str, starts: Integers) -> Integers | None:
        return None if self.contigs is None else np.asarray(starts) * _BCF_BYTES

    @property
    def offset(self) -> int:
        return self._last * _BCF_BYTES

    def jump(self, contig: str, start: int) -> None:
        self._last = start
        try:
            self._records = iter(self._file.fetch(contig, max(start, 0), None))
        except (OSError, ValueError) as error:
            raise FileFormatError(
                f"the index of {self.path} is damaged ({error}); make it again (bcftools index -f)."
            ) from error

    def close(self) -> None:
        self._file.close()


def _unix(text: bytes) -> bytes:
    """Return lines that end in LF."""
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text
