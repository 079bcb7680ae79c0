"""embed_sequences() and probe_embeddings() with a loaded model: notes, progress, and refusals before anything is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import ConfigError
from genoformer.evaluation.embedding_probe import probe_embeddings
from genoformer.genome.codes import encode
from genoformer.inference import sequence_embeddings
from genoformer.inference.embed import EmbeddingRequest, embed_sequences
from genoformer.models import registry
from genoformer.models.transformer.model import Encoder
from genoformer.progress import Progress


@pytest.fixture
def model(tiny_model_folder: Path) -> Encoder:
    return registry.load(tiny_model_folder)


def labelled(texts: list[str], labels: list[str], name: str = "in.csv") -> LabelledSequences:
    names = tuple(map(str, range(len(texts))))
    return LabelledSequences(names, tuple(map(encode, texts)), tuple((label,) for label in labels), ("label",), Path(name))


DATA = labelled(["ACGTACGTTT", "GATTACA" * 20, "GGGCC"] * 10, ["a", "b", "c"] * 10)  # windows of 32 that share 16
VALID = labelled(["ACGTTTT", "GATTACC", "GGGC"], ["a", "b", "c"], "dev.csv")


def test_a_model_in_hand_is_as_good_as_its_name(tmp_path: Path, model: Encoder, tiny_model_folder: Path) -> None:
    for name, given in (("hand", model), ("folder", tiny_model_folder)):
        made = embed_sequences(DATA, EmbeddingRequest(given, layers=(1, 0, 1), output=tmp_path / f"{name}.npy"))
        assert made.notes == [
            "in.csv: 30 sequences, width 8, mean over tokens after layer 1, 0 of 1; 10 longer than the window of 32 bases, "
            "cut into windows that share 16",
            f"{tmp_path / name}.npy: 30 sequences, 2 x 8 numbers each",
        ]
        assert made.values is not None
        assert made.values.shape == (30, 2, 8)
    assert (tmp_path / "hand.npy").read_bytes() == (tmp_path / "folder.npy").read_bytes()
    expected = [sequence_embeddings(model, DATA.sequences, layer=layer).values for layer in (1, 0)]
    assert np.load(tmp_path / "hand.npy").tolist() == np.stack(expected, axis=1).tolist()


def test_listeners_hear_of_each_layer_and_of_the_held_out_data(model: Encoder) -> None:
    heard: list[Progress] = []
    made = probe_embeddings(DATA, EmbeddingRequest(model, layers=(0, 1)), valid=VALID, progress=heard.append)
    assert [one["layer"] for one in made.probes] == [0, 1]
    assert [one["probe"]["n_valid"] for one in made.probes] == [3, 3]
    assert [note.partition(":")[0] for note in made.notes] == ["in.csv", "dev.csv"]
    ends = [(one.stage, one.total) for one in heard if one.done == one.total]
    # 140 bases are 8 windows of 32 that share 16
    assert ends == [("layer 0", 100), ("layer 1", 100), ("valid, layer 0", 3), ("valid, layer 1", 3)]


def test_listeners_hear_of_each_part_where_tokens_have_vectors(tmp_path: Path, model: Encoder) -> None:
    heard: list[Progress] = []
    request = EmbeddingRequest(model, "tokens", output=tmp_path / "x.parquet", part_size=1)
    notes = embed_sequences(VALID, request, progress=heard.append).notes
    assert heard == [Progress("embed", i, 3) for i in (1, 2, 3)]
    assert notes[-1] == f"{tmp_path / 'x.parquet'}: 12 rows"  # 5 + 5 + 2 tokens of 3 bases


def test_a_window_that_is_long_for_the_model_is_noted(tmp_path: Path, model: Encoder) -> None:
    """The model was trained with 32 bases, which is what it gets unless a longer window is named and a sequence fills it."""
    said = "windows have up to 33 bases, but the model was trained with 32, and its vectors may be poor; set a shorter window"
    for data, window, noted in ((DATA, None, False), (DATA, 33, True), (VALID, 33, False)):
        notes = embed_sequences(data, EmbeddingRequest(model, window=window, output=tmp_path / "x.npy")).notes
        assert (said in notes) == noted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "pooling is 'median', expected mean, max, cls or tokens; give one of them"),
        ({"pca": "x.png", "pooling": "tokens"}, "option pca needs one vector per sequence"),
        ({"output": "x.txt"}, "end the name in .npy or .parquet"),
        ({"output": "x.npy", "pooling": "tokens"}, "end the name in .parquet"),
        ({"pca": "x.gif"}, "end the name in .png"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    given = {name: value if name == "pooling" else tmp_path / value for name, value in options.items()}
    with pytest.raises(ConfigError, match=message):
        EmbeddingRequest("demo", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "data", "valid", "message"),
    [
        ({"layers": (1, 2)}, DATA, None, r"layer 2: this model has layers 0 \(the embeddings\) to 1"),
        ({"layers": (-1,)}, DATA, None, "layer -1: this model"),
        ({"window": 2}, DATA, None, "window = 2: a token of this model has 3 bases"),
        ({"pca": True}, labelled(["ACGT"], ["a"]), None, "1 sequences of width 8 have no two;"),
        ({"probe": "regress"}, DATA, None, "label is 'a', but should be a number"),
        ({"probe": "classify"}, DATA, labelled(["ACGT"], ["d"]), "class d is unknown; known are a, b, c"),
        ({"probe": "classify"}, labelled(["ACGT"] * 9, [*"ab" * 4, "a"]), None, "9 sequences are too few"),
        ({"probe": "classify"}, labelled(["ACGT"] * 20, [*"ab" * 10]), None, "16 sequences are too few"),
        ({"probe": "classify"}, VALID, VALID, "3 sequences are too few"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_computed(
    tmp_path: Path,
    model: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, object],
    data: LabelledSequences,
    valid: LabelledSequences | None,
    message: str,
) -> None:
    monkeypatch.setattr(model, "embed", lambda *a, **k: pytest.fail("the model was run"))
    task = options.get("probe")
    files = {"output": tmp_path / "x.npy", "pca": tmp_path / "x.png" if "pca" in options else None}
    request = EmbeddingRequest(model, **{**{name: options[name] for name in options if name != "probe"}, **files})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        probe_embeddings(data, request, task, valid=valid) if task else embed_sequences(data, request)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_vectors_of_tokens_need_a_file_and_no_probe(model: Encoder) -> None:
    with pytest.raises(ConfigError, match=r"option output is None, expected a .parquet for the many vectors of tokens"):
        embed_sequences(DATA, EmbeddingRequest(model, "tokens"))
    with pytest.raises(ConfigError, match="option pooling is tokens, expected one vector per sequence"):
        probe_embeddings(DATA, EmbeddingRequest(model, "tokens"))
