"""Memory of loading a folder of transformers, compared with the size of its weights; BERT of base size, random weights.

The growth of the largest resident size of a process that imports genoformer, reads a small folder and then the large one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from common import NotHere, Row, script

MIB = 2**20
LOAD = """
import json, sys
from genoformer.models import registry

def peak():  # of this program; getrusage would begin with the peak of the one that started it
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

registry.load(sys.argv[1])
before = peak()
model = registry.load(sys.argv[2])
assert sum(float(p.sum()) for p in model.parameters()) != 0  # every page of the weights has been read
print(json.dumps(peak() - before))
"""


def main() -> list[Row]:
    if not Path("/proc/self/status").is_file():
        raise NotHere("the peak of a process is read in /proc")
    try:
        from transformers import BertConfig, BertForMaskedLM
    except ImportError as error:
        raise NotHere("transformers is not installed (extra: dev)") from error
    from genoformer.tokenizers import KmerTokenizer

    words = KmerTokenizer(6).vocab
    rows = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = {"small": {"num_hidden_layers": 1, "hidden_size": 24, "intermediate_size": 24}, "base": {}}
        for folder, size in sizes.items():
            BertForMaskedLM(BertConfig(vocab_size=len(words), **size)).save_pretrained(f"{name}/{folder}")
            Path(name, folder, "vocab.txt").write_text("\n".join(words) + "\n")
        weights = Path(name, "base", "model.safetensors").stat().st_size
        command = [sys.executable, "-c", LOAD, f"{name}/small", f"{name}/base"]
        growth = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        found = f"{growth / MIB:,.0f} MiB, {growth / weights:.2f}x"
        most = 1.1 * weights + 200 * MIB
        what = "most memory while BERT of base size is loaded"
        rows.append(Row(what, f"its weights, {weights / MIB:,.0f} MiB", found, "<= 1.1x + 200 MiB", growth <= most))
    return rows


if __name__ == "__main__":
    script(main)
