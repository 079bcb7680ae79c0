"""Families of other packages: one that is broken is named once and left out, and bundled models load without a look at any."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genoformer.errors import CheckpointError, PackageWarning
from genoformer.models import families, registry
from genoformer.models.families import OWN, Family
from genoformer.models.transformer.model import Encoder

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a package: its name, the text of its module, and its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(package: str, module: str, **entries: str) -> None:
        (tmp_path / f"{package}.py").write_text(module)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}:{attribute}\n" for name, attribute in entries.items()]
        (info / "entry_points.txt").write_text("[genoformer.families]\n" + "".join(lines))
        families.families.cache_clear()

    yield installed
    families.families.cache_clear()
    for name in [name for name in sys.modules if name.startswith("package_")]:
        del sys.modules[name]


GOOD = "from genoformer.models.families import Family\nFAMILY = Family('package_good:Nothing')\n"


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [
        ("import package_that_is_missing", "odd", "ModuleNotFoundError: No module named 'package_that_is_missing'"),
        ("raise RuntimeError('no GPU')", "odd", "RuntimeError: no GPU"),
        ("FAMILY = 3", "odd", "is a int, expected a genoformer.models.families.Family"),
        ("OTHER = 3", "odd", "AttributeError"),
        (GOOD, "enformer", "takes the name of another family"),
        (GOOD.replace("')", "', {'dnabert': 'a:b'})"), "odd", "takes the name of another layout, dnabert"),
    ],
)
def test_a_broken_package_is_named_once_and_left_out(install: Install, module: str, name: str, reason: str) -> None:
    install("package_bad", module, **{name: "FAMILY"})
    install("package_good", GOOD, good="FAMILY")
    with pytest.warns(PackageWarning, match=f"family '{name}' of the package package_bad is left out: .*{reason}") as caught:
        known = families.families()
    assert len(caught) == 1
    assert known == {**families.FAMILIES, "good": Family("package_good:Nothing")}
    assert "dnabert" in families.formats()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        families.families()


def test_models_load_although_a_package_is_broken(install: Install, tmp_path: Path) -> None:
    install("package_bad", "raise RuntimeError('no GPU')", odd="FAMILY")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # other packages are not imported for genoformer's own models
        assert isinstance(registry.load("demo"), Encoder)
        assert registry.layout_of("mini-tracks") == OWN
        families.class_of(registry.load_config("demo"))
    assert "package_bad" not in sys.modules
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "esm", "hidden_size": 8}))
    with pytest.warns(PackageWarning, match="package_bad is left out"):
        assert registry.layout_of(tmp_path) == "esm"


def test_a_layout_that_cannot_be_imported_detects_nothing(install: Install, tmp_path: Path) -> None:
    install("package_bad", GOOD.replace("')", "', {'strange': 'package_bad:NO_SUCH_FORMAT'})"), odd="FAMILY")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard of"}))
    with (
        pytest.warns(PackageWarning, match=r"layout 'strange' \(package_bad:NO_SUCH_FORMAT\)"),
        pytest.raises(CheckpointError, match="genoformer does not read it"),
    ):
        registry.load(tmp_path)


def test_the_command_line_prints_a_note(install: Install, tmp_path: Path) -> None:
    install("package_bad", "raise RuntimeError('no GPU')", odd="FAMILY")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard of"}))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from genoformer_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "models", "info", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("the family 'odd' of the package package_bad is left out: RuntimeError: no GPU;") == 1


@pytest.mark.parametrize("words", [["models", "info", "demo"], ["score", "--help"]])
def test_own_models_and_help_import_no_foreign_layouts(words: list[str]) -> None:
    code = (
        "import sys\nfrom genoformer_cli.main import main\n"
        f"try:\n    main({words})\nexcept SystemExit:\n    pass\n"
        "print(*[name for name in sys.modules if '.weights.' in name or name.endswith('enformer.weights')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.strip() == ""
