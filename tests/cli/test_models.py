"""Long-range models through the command line: what `models` says and writes, and commands that need another model."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from commands import run, run_well
from genoformer_cli.catalog import line_shown
from genoformer_cli.models import convert
from small_models import small_enformer

from genoformer.models import cost, families, registry
from genoformer.models.base import PredictsTracks


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    registry.save(small_enformer(target_bins=10), tmp_path / "tracks", manifest={"seed": 3})
    (tmp_path / "tracks" / "card.md").write_text("# A small one\n")
    return tmp_path / "tracks"


def test_every_layout_can_be_converted_to() -> None:
    (option,) = (p for p in convert.params if p.name == "layout")
    for layout in (families.OWN, "hf", *families.formats()):
        assert layout.removesuffix("-classifier") in (option.help or "")  # type: ignore[attr-defined]


def test_info_says_what_a_long_range_model_reads_and_predicts(tracks) -> None:
    """A window of 256 bases has 32 bins of 8, of which 10 are predicted."""
    found = json.loads(run("models", "info", tracks, "--json").stdout)
    assert found["window"] == 256
    assert found["bins"] == {"of_bases": 8, "in_window": 32, "predicted": 10}
    assert found["tracks"] == {"human": 5, "mouse": 3}
    assert found["parameters"] == cost.count_parameters(small_enformer())
    assert (found["layout"], found["card"], found["manifest"]) == ("genoformer", "# A small one\n", {"seed": 3})
    assert "tokenizer" not in found


def test_info_reads_another_catalog(tmp_path) -> None:
    catalog = tmp_path / "mirror.toml"
    catalog.write_text(
        '[models.theirs]\ntitle = "A"\nlicence = "MIT"\ncitation = "B"\n'
        'files = [{ name = "a.bin", url = "https://example.org/a.bin", about = 6_144 }]\n'
    )
    found = json.loads(run("models", "info", "theirs", "--catalog", catalog).stdout)
    assert (found["state"], found["licence"]) == (f"to download: genoformer models pull theirs --catalog {catalog}", "MIT")
    assert "theirs                to download      6 kB  A\n" in run("models", "list", "--catalog", catalog).stdout


def test_the_list_says_for_what_each_bundled_model_is() -> None:
    lines = {line.split()[0]: line for line in run_well("models", "list").stdout.splitlines()}
    uses = {row["name"]: row["use"] for row in json.loads(run_well("models", "list", "--json").stdout) if "use" in row}
    for name in ("demo", "mini-human", "mini-tracks"):
        assert lines[name].endswith(f"[{uses[name]}]")
        assert f"{name}: " not in lines[name]


def test_a_line_of_the_list_is_wrapped_on_a_terminal_alone(monkeypatch) -> None:
    line = f"{'dnabert6':<22}{'to download':<12}{'360 MB':>9}  DNABERT-6: {'a long title of many words ' * 8}".rstrip()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert line_shown(line) == line
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    first, *others = line_shown(line).splitlines()
    assert first.startswith("dnabert6              to download    360 MB  DNABERT-6: ")
    assert others
    assert all(other.startswith("      ") and len(other) <= 80 for other in others)
    assert " ".join(line_shown(line).split()) == " ".join(line.split())


def test_convert_goes_to_enformer_pytorch_and_back(tracks, tmp_path) -> None:
    there = run("models", "convert", tracks, tmp_path / "there", "--layout", "enformer")
    assert there.exit_code == 0, there.output
    assert "TensorFlow's relative positions" in there.stderr  # which enformer-pytorch does not have for this shape
    assert there.stdout.endswith(f"enformer layout, {cost.count_parameters(small_enformer()):,} parameters\n")
    assert json.loads(run("models", "info", tmp_path / "there", "--json").stdout)["layout"] == "enformer"
    back = run("models", "convert", tmp_path / "there", tmp_path / "back")
    assert back.exit_code == 0, back.output
    assert "TensorFlow's relative positions" in back.stderr
    assert run("models", "convert", tracks, tmp_path / "half", "--half").stderr == ""
    for name in ("config.json", "model.safetensors", "manifest.json"):
        assert (tmp_path / "back" / name).read_bytes() == (tracks / name).read_bytes()
    assert (tmp_path / "half" / "card.md").exists()
    before, half = (registry.load(folder, PredictsTracks).state_dict() for folder in (tracks, tmp_path / "half"))
    assert all(torch.equal(half[n], t.half().float() if t.is_floating_point() else t) for n, t in before.items())


def test_convert_names_the_tracks_of_each_head(tracks, tmp_path, tiny_model_folder) -> None:
    for head, n in (("human", 5), ("mouse", 3)):
        rows = "".join(f"{i}\t{head}{i}\t{i}\n" for i in range(n))
        (tmp_path / f"{head}.tsv").write_text(f"index\tidentifier\tstrand_pair\n{rows}")
    named = [f"--targets={head}={tmp_path / head}.tsv" for head in ("human", "mouse")]
    done = run("models", "convert", tracks, tmp_path / "named", *named)
    assert done.exit_code == 0, done.output
    model = registry.load(tmp_path / "named", PredictsTracks)
    assert {head: [track.identifier for track in table] for head, table in model.targets.items()} == {
        "human": [f"human{i}" for i in range(5)],
        "mouse": [f"mouse{i}" for i in range(3)],
    }
    (tmp_path / "named/targets.mouse.tsv").write_text((tmp_path / "human.tsv").read_text())
    refused = run("models", "info", tmp_path / "named")
    assert (refused.exit_code, "targets.mouse.tsv: 5 tracks for a head of 3" in refused.stderr) == (2, True)
    for arguments, words in (
        ((tracks, f"--targets=mouse={tmp_path / 'human.tsv'}"), "the table has 5 tracks"),
        ((tracks, "--targets=human"), "give HEAD=FILE, where HEAD is one of human, mouse"),
        ((tracks, f"--targets=rat={tmp_path / 'human.tsv'}"), "there is no head 'rat'"),
        ((tiny_model_folder, f"--targets=human={tmp_path / 'human.tsv'}"), "only a track model has tracks to name"),
    ):
        model, *options = arguments
        refused = run("models", "convert", model, tmp_path / "out", *options)
        assert (refused.exit_code, words in refused.stderr) == (2, True), refused.output
        assert not (tmp_path / "out").exists()


def test_a_layout_that_cannot_hold_it_is_refused(tracks, tmp_path, tiny_model_folder) -> None:
    for model, layout, words in (
        (tracks, "dnabert", "BERT's layout holds language models"),
        (tiny_model_folder, "enformer", "enformer-pytorch's layout holds track models"),
    ):
        done = run("models", "convert", model, tmp_path / "out", "--layout", layout)
        assert (done.exit_code, done.stderr) == (
            2,
            f"Error: {words} and no others; save in genoformer's layout instead.\n",
        )


def test_commands_that_need_another_model_say_which(tracks, tmp_path) -> None:
    table = tmp_path / "in.tsv"
    table.write_text("sequence\tlabel\n" + "ACGTACGTAC\ta\nTTGCATTGCA\tb\n" * 20)
    out = tmp_path / "out"
    for command, remedy in (
        (("finetune", table, "-o", out), "give a language model or a model that `finetune` made"),
        (("evaluate", table), "give a model that `finetune` made"),
    ):
        done = run(*command, "-m", tracks)
        said = f"Error: {tracks} is a track model with the heads human, mouse; {remedy}."
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, said), done.output
    assert not list(tmp_path.glob("out*"))
