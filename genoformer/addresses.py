"""Web addresses in place of files: where htslib reads them they are accepted, elsewhere refused as they were typed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from genoformer.errors import MissingFileError

_SCHEMES = "https?|ftps?|s3|gs|gcs|az|abfss?|hf|sftp|ssh|file|drs"
_ADDRESS = re.compile(rf"(?P<scheme>{_SCHEMES}):/{{1,3}}(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)
_TYPED = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://.+", re.IGNORECASE | re.DOTALL)  # C:/ has one letter
_SHORTENED = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)
_WITH_FIELDS = re.compile(r"(?P<address>[a-z][a-z0-9+.-]+:/{1,3}[^/]+/([^/]*/)*[^/:?]+\.[^/:?]+):[^/]+", re.IGNORECASE)
_READABLE = frozenset({"http", "https", "s3", "s3+http", "s3+https"})  # schemes that htslib reads, in ranges
_GET = {
    "http": "curl -LO {}",
    "https": "curl -LO {}",
    "ftp": "curl -LO {}",
    "ftps": "curl -LO {}",
    "s3": "aws s3 cp {} .",
    "gs": "gsutil cp {} .",
    "gcs": "gsutil cp {} .",
    "sftp": "sftp {}",
    "scp": "scp {} .",
}


def address_in(path: str | os.PathLike[str]) -> str | None:
    """Return the web address that a path contains, as it was typed, or None.

    >>> from pathlib import Path
    >>> address_in(Path("https://a.org/b.bed")), address_in("dx://a/b.vcf.gz"), address_in("a/b.bed")
    ('https://a.org/b.bed', 'dx://a/b.vcf.gz', None)
    """
    text = os.fspath(path)
    if _TYPED.fullmatch(text):
        return text
    match = _ADDRESS.fullmatch(text) or _SHORTENED.fullmatch(text)
    if match is None or (match.re is _SHORTENED and Path(text.partition("/")[0]).exists()):
        return None
    slashes = ":///" if match["scheme"].lower() == "file" else "://"  # Path merges several slashes into one
    return f"{match['scheme']}{slashes}{match['rest']}"


def without_fields(path: str | os.PathLike[str]) -> str:
    """Return ADDRESS or NAME=ADDRESS without the fields of a look-up (ADDRESS:FIELD,...); other texts as they are.

    >>> without_fields("K=http://a.org:80/x.vcf.gz:AF,ID"), without_fields("dx://project-1:/x.vcf.gz")
    ('K=http://a.org:80/x.vcf.gz', 'dx://project-1:/x.vcf.gz')
    """
    text = os.fspath(path)
    name, sign, file = text.partition("=") if "=" in text.partition(":")[0] else ("", "", text)
    match = _WITH_FIELDS.fullmatch(file)
    return f"{name}{sign}{match['address']}" if match else text


def _command_for(address: str, scheme: str) -> str | None:
    """Return the command that downloads an address; None if no command is known."""
    hub = re.match(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)/?$", address)
    of_hub = re.match(r"hf://(?P<data>datasets/)?(?P<name>[\w.-]+/[\w.-]+)/?(?P<file>.*)$", address, re.IGNORECASE)
    if hub:
        return f"hf download {hub[1]}"
    if of_hub:
        kind = "--repo-type dataset" if of_hub["data"] else ""
        return " ".join(part for part in ("hf download", of_hub["name"], of_hub["file"], kind) if part)
    if scheme == "ssh":
        host, _, path = address.partition("://")[2].partition("/")
        return f"scp {host}:/{path} ."
    if scheme == "dx":
        return f"dx download {address.partition('://')[2]}"
    return _GET[scheme].format(address) if scheme in _GET else None


def readable_address(path: str | os.PathLike[str]) -> str | None:
    """Return the web address that a path contains if htslib can read it (https, http, s3), or None.

    >>> from pathlib import Path
    >>> readable_address(Path("https://a.org/g.fa")), readable_address("gs://b/g.fa"), readable_address("g.fa")
    ('https://a.org/g.fa', None, None)
    """
    address = address_in(path)
    return address if address is not None and address.partition(":")[0].lower() in _READABLE else None


def how_to_download(address: str) -> str:
    """Return half a sentence on downloading an address.

    >>> how_to_download("s3://bucket/g.fa")
    'download it first (aws s3 cp s3://bucket/g.fa .) and give the file'
    """
    command = _command_for(address, address.partition(":")[0].lower())
    return f"download it first{f' ({command})' if command else ''} and give the file"


def refuse_address(
    path: str | os.PathLike[str], *, to_write: bool = False, expected: str = "file", readable: bool = False
) -> None:
    """Raise MissingFileError for a web address, also as NAME=ADDRESS, in place of a file or a folder (`expected`).

    readable: addresses that htslib reads are accepted.

    >>> refuse_address("s3://bucket/a.vcf.gz")
    Traceback (most recent call last):
        ...
    genoformer.errors.MissingFileError: s3://bucket/a.vcf.gz is an address, and only local files can be read; ...
    """
    text = os.fspath(path)
    address = address_in(text) or (address_in(text.partition("=")[2]) if "=" in text.partition(":")[0] else None)
    if address is None or (readable and not to_write and readable_address(address) is not None):
        return
    if to_write:
        raise MissingFileError(
            f"{address} is an address, and only local files can be written; write a file and upload it afterwards."
        )
    scheme = address.partition(":")[0].lower()
    if scheme == "file":
        raise MissingFileError(f"{address} is an address; give the path of the {expected} alone.")
    command = _command_for(address, scheme)
    how = f" ({command})" if command else ""
    what = "only local files and https, http and s3 can be read" if readable else "only local files can be read"
    raise MissingFileError(f"{address} is an address, and {what}; download it first{how} and give the {expected}.")
