"""Without transformers: the import names the extra, and folders for transformers are still read and written."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["transformers"] = None  # as if it were not installed
from genoformer.models import registry
model = registry.load("demo")
registry.save(model, sys.argv[1], layout="hf")
assert registry.load(sys.argv[1]).config == model.config
from genoformer.errors import GenoformerError
try:
    import genoformer.huggingface
except ImportError as error:
    assert isinstance(error, GenoformerError)
    print(error)
"""


def test_the_import_names_the_extra(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "genoformer.huggingface needs transformers, which is not installed; install the extra: pip install 'genoformer[hf]'.\n"
    )
