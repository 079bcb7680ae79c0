"""Configuration of a run on tracks: fields in the wrong table are named with the right one."""

from __future__ import annotations

import pytest

from genoformer.errors import ConfigError
from genoformer.training.track_config import TracksConfig


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tracks]\nfamily = "borzoi"\npreset = "tiny"\n', r"family, preset are fields of \[model\]; move them there"),
        ("[tracks]\nn_upsamples = 2\n", r"n_upsamples is a field of \[model\]; move it there"),  # of Borzoi alone
        ("[tracks]\nepoch = 2\n", "unknown fields epoch; known are .*epochs"),
    ],
)
def test_a_field_of_the_model_belongs_to_its_table(tmp_path, text, message) -> None:
    (tmp_path / "tracks.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"tracks.toml, \[tracks\]: " + message):
        TracksConfig.read(tmp_path / "tracks.toml")


def test_the_right_tables_are_read(tmp_path) -> None:
    (tmp_path / "tracks.toml").write_text('[model]\nfamily = "borzoi"\n[tracks]\nepochs = 2\n')
    config = TracksConfig.read(tmp_path / "tracks.toml", seed=3)
    assert (config.model, config.tracks.epochs, config.tracks.seed) == ({"family": "borzoi"}, 2, 3)


def test_files_of_motifs_lie_next_to_the_configuration(tmp_path) -> None:
    """A file that is named in a call is relative to the current folder."""
    text = '[tracks]\nmotifs = "a.meme"\n[distil]\ncomposition = 0.5\nmotifs = "b.meme"\n'
    (tmp_path / "tracks.toml").write_text(text)
    config = TracksConfig.read(tmp_path / "tracks.toml")
    assert config.distil is not None
    assert (config.tracks.motifs, config.distil.motifs) == (str(tmp_path / "a.meme"), str(tmp_path / "b.meme"))
    assert TracksConfig.read(tmp_path / "tracks.toml", motifs="c.meme").tracks.motifs == "c.meme"
    assert TracksConfig.read({"tracks": {"motifs": "d.meme"}}).tracks.motifs == "d.meme"
