"""Lines of model cards: use, contigs and caution, of bundled models and of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.catalog import read_catalog, shipped
from genoformer.catalog.cards import CardLines, card_lines, models_here
from genoformer.errors import CatalogError

CARD = """# tiny: a model

* Use: embeddings of
  short sequences
* Contigs: chrS*, X
* Caution: its LLR is no effect size.

Text.
* Other: nothing
"""


def test_lines_are_read_and_joined() -> None:
    assert card_lines(CARD) == CardLines("embeddings of short sequences", "chrS*, X", "its LLR is no effect size.")
    assert card_lines("# a model\n\nUse: no bullet\n  * Use: indented\n") == CardLines()
    assert card_lines("") == CardLines()


@pytest.mark.parametrize(
    ("contigs", "of_variants", "parts"),
    [
        (["chrS1", "chr2"], True, ["caution: tiny: its LLR is no effect size."]),
        (["X"], False, []),
        ([], False, []),  # without a genome there is none to judge
        (
            ["chr1"],
            False,
            ["caution: tiny is for genomes with contigs such as chrS*, X, found chr1; its values mean nothing there."],
        ),
        (["chr1", "2"], True, ["caution: tiny is for genomes", "caution: tiny: its LLR is no effect size."]),
    ],
)
def test_cautions_are_of_the_genome_and_of_variants(contigs: list[str], of_variants: bool, parts: list[str]) -> None:
    notes = card_lines(CARD).cautions("tiny", contigs, of_variants=of_variants)
    assert len(notes) == len(parts)
    assert all(note.startswith(part) for note, part in zip(notes, parts, strict=True))


def test_each_bundled_model_tells_its_use_and_what_its_scores_do_not_show() -> None:
    uses = dict(models_here())
    assert list(uses)[-3:] == ["demo", "mini-human", "mini-tracks"] == list(shipped())
    lines = {name: card_lines((folder / "card.md").read_text()) for name, folder in shipped().items()}
    assert all(10 < len(uses[name]) <= 90 for name in shipped())
    assert lines["demo"].contigs == "chrS*"
    for name in ("mini-human", "mini-tracks"):
        assert "does not correlate with measured effects" in lines[name].caution


def test_an_entry_of_a_catalog_may_have_a_caution(tmp_path: Path) -> None:
    entry = '[models.a]\ntitle = "t"\nlicence = "l"\ncitation = "c"\nby_hand = "copy it"\nuse = "u"\n'
    path = tmp_path / "c.toml"
    path.write_text(f'{entry}caution = "no effects"\ncontigs = "chrS*"\n')
    assert card_lines(read_catalog(path)["models"]["a"].card) == CardLines("u", "chrS*", "no effects")
    path.write_text(f"{entry}caution = 3\n")
    with pytest.raises(CatalogError, match="caution = 3; give a text"):
        read_catalog(path)
