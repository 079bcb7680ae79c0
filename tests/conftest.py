"""Shared by all tests: where the real data lie, and small files made on the spot."""

from __future__ import annotations

import gc
import inspect
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from amounts import DEFERRED, FULL
from catalog_server import Server, serving
from hypothesis import settings

# A slow example is no bug, so there is no deadline. `make test` tries the same examples each time; `make fuzz` searches.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: one thread for each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])  # numba gives OpenMP its own, so torch too

# Behind an "&" a shell lets its processes ignore Ctrl-C; tests of Ctrl-C need it as it is in a terminal.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Seed the global generators before the fixtures of a test, so that its numbers do not depend on the tests before it."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def threads_stay_as_they_were() -> Iterator[None]:
    """In a worker: a test that lets torch have more threads makes all after it wait for cores that other workers have."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and "PYTEST_XDIST_WORKER" in os.environ:
        assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


LONG = ("test_readme.py", "test_notebooks.py", "training/test_tracks.py", "test_loop.py", "test_killed.py", "test_demo.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first: what waits behind them can go to another worker, and none of them is begun when all else is done."""
    names = {name for item in items for name in (item.nodeid, item.nodeid.partition("[")[0])}
    if config.args == config.getini("testpaths") and (
        unknown := [x for x in DEFERRED if not any(n.endswith(x) for n in names)]
    ):
        raise pytest.UsageError(f"no test ends with {', '.join(unknown)}; correct DEFERRED in tests/amounts.py.")
    if not FULL:
        reason = "needs ten seconds or more: `make test-long` runs it"
        for item in items:
            if item.nodeid.endswith(DEFERRED) or item.nodeid.partition("[")[0].endswith(DEFERRED):
                item.add_marker(pytest.mark.skip(reason=reason))
    if find_spec("pyarrow") is None:
        for item in items:
            if isinstance(item, pytest.Function) and "parquet" in inspect.getsource(item.function).lower():
                item.add_marker(pytest.mark.skip(reason="Parquet is an extra: pip install genoformer[parquet]"))
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if item.path.as_posix().endswith(name)), len(LONG)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Number bytes that are no text: compressed ones can hold the time, and workers that collect other names refuse to run."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_collection_finish() -> None:
    """Let the garbage collector skip the collected tests, which stay to the end: it saves a twentieth of the time."""
    gc.collect()
    gc.freeze()


def real_data_folder() -> Path | None:
    """`GENOFORMER_TEST_DATA`, else `../shared/data` beside the checkout, else None."""
    named = os.environ.get("GENOFORMER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server of downloads without files, a cache of our own, and no proxy."""
    running_server.files.clear()
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return running_server


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = real_data_folder()
    if folder is None:
        pytest.skip("real data not found: set GENOFORMER_TEST_DATA to the folder that holds hg19/, hg38/ ...")
    return folder


COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of 3-mers, one layer 8 wide, with random weights; windows of 32 bases, so alleles of up to 22."""
    torch = pytest.importorskip("torch", reason="models need torch")
    from small_models import small_encoder

    from genoformer.models import registry
    from genoformer.tokenizers import KmerTokenizer

    with torch.random.fork_rng(devices=[]):
        model = small_encoder(
            KmerTokenizer(3),
            width=8,
            n_layers=1,
            ffn_width=16,
            position="learned",
            max_tokens=64,
            context_length=32,
            init_std=0.3,  # large enough for every score to differ from 0
        )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    registry.save(model, folder)
    return folder


@pytest.fixture
def make_fasta(tmp_path: Path) -> Callable[..., Path]:
    """make_fasta(chr1="ACGT...", chr2=...) writes genome.fa, or another `name`, in lines of `width` bases."""

    def make(name: str = "genome.fa", *, width: int = 60, newline: str = "\n", **contigs: str) -> Path:
        lines = []
        for contig, bases in contigs.items():
            lines += [f">{contig}", *(bases[i : i + width] for i in range(0, len(bases), width))]
        path = tmp_path / name
        path.write_bytes("".join(line + newline for line in lines).encode())
        return path

    return make


@pytest.fixture
def make_vcf(tmp_path: Path) -> Callable[..., Path]:
    """make_vcf("chr1 5 . A T", ...) writes in.vcf: columns between blanks, "." for those left out up to INFO."""

    def make(*rows: str, name: str = "in.vcf", header: tuple[str, ...] = (), columns: str = COLUMNS) -> Path:
        lines = ["##fileformat=VCFv4.2", *header, columns]
        lines += ["\t".join([*row.split(), *["."] * (8 - len(row.split()))]) for row in rows]
        path = tmp_path / name
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return make
