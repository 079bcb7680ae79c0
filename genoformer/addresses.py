"""Addresses of the web where files are due: refused for what they are, as they were typed."""

from __future__ import annotations

import os
import re

from genoformer.errors import MissingFileError

_ADDRESS = re.compile(
    r"(?P<scheme>https?|ftps?|s3|gs|gcs|az|abfss?|hf|sftp|ssh|file|drs):/{1,3}(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL
)
_GET = {
    "s3": "aws s3 cp {} .", "gs": "gsutil cp {} .", "gcs": "gsutil cp {} .", "hf": "hf download", "az": "az storage copy",
    "sftp": "sftp {}", "ssh": "scp",
}  # fmt: skip


def address_in(given: str | os.PathLike[str]) -> str | None:
    """The address of the web that a path is, as it was typed, or None.

    >>> from pathlib import Path
    >>> address_in(Path("https://a.org/b.bed")), address_in("s3://a/b.vcf.gz"), address_in("a/b.bed")
    ('https://a.org/b.bed', 's3://a/b.vcf.gz', None)
    """
    found = _ADDRESS.fullmatch(os.fspath(given))
    return f"{found['scheme']}://{found['rest']}" if found else None  # Path makes one slash of two


def refuse_address(given: str | os.PathLike[str], *, to_write: bool = False) -> None:
    """MissingFileError for an address of the web where a file is due; NAME=ADDRESS is one as well.

    >>> refuse_address("s3://bucket/a.vcf.gz")
    Traceback (most recent call last):
        ...
    genoformer.errors.MissingFileError: s3://bucket/a.vcf.gz is an address, and only files of this machine are read; ...
    """
    text = os.fspath(given)
    address = address_in(text) or (address_in(text.partition("=")[2]) if "=" in text.partition(":")[0] else None)
    if address is None:
        return
    if to_write:
        raise MissingFileError(f"{address} is an address, and only files of this machine are written; upload it afterwards.")
    scheme = address.partition(":")[0].lower()
    if scheme == "file":
        raise MissingFileError(f"{address} is an address; give the path of the file alone.")
    hub = re.match(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)/?$", address)
    get = f"hf download {hub[1]}" if hub else _GET.get(scheme, "curl -LO {}").format(address)
    raise MissingFileError(
        f"{address} is an address, and only files of this machine are read; download it first ({get}) and give the file."
    )
