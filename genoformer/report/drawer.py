"""Models of the scores -> figures of variants, and warnings on the models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.formats.context_table import open_contexts
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.wording import without_empty_items
from genoformer.inference import evaluating
from genoformer.inference.runtime import resolve_device
from genoformer.interpretation.allele_ism import Logos
from genoformer.interpretation.explain import Printed, explain
from genoformer.interpretation.figures import draw_explained
from genoformer.models import registry
from genoformer.models.base import SCORES_VARIANTS
from genoformer.models.folders import cautions, training_overlap_note
from genoformer.models.takes_contexts import with_contexts
from genoformer.progress import ProgressCallback
from genoformer.report.canvas import explained_scene
from genoformer.report.cards import Figure
from genoformer.report.landmarks import Landmarks
from genoformer.report.remade import Remade, remade
from genoformer.report.scored import FIXED, Scored
from genoformer.scoring.class_scorer import only_class
from genoformer.scoring.scores import SCORES

_SAMPLED = 200  # alleles around which the training overlap is measured


class Drawing(NamedTuple):
    """Bases on either side of a variant, the kind of logos, and the device of the models."""

    flank: int = 25
    logos: Logos = "auto"
    device: str = "cpu"


class Drawer:
    """Figures of both alleles of a variant, by the reconstructed scorer of a scored file."""

    def __init__(
        self, names: Sequence[str | Path], contexts: Path | None, scored: Scored, genome: Genome, drawing: Drawing
    ) -> None:
        """Load the models. contexts: table of the contexts of the scores; None: those of the training."""
        loaded = [(Path(name).name, model) for name in names for model in registry.load_members(name, SCORES_VARIANTS)]
        table = open_contexts(contexts)
        self._member_names = [name for name, _ in loaded]
        self.models = [with_contexts(model, table) for _, model in loaded]
        self.names, self.scored, self.genome, self.drawing = tuple(names), scored, genome, drawing
        self.of = self._remade(self.models)

    def _remade(self, models: Sequence[Any]) -> Remade:
        made_by = dict(self.scored.made_by).get("model", "")
        return remade(self.scored.options, made_by, models, "+".join(map(str, self.names)), self.genome)

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Keep the models in evaluation mode, on their device, inside the block."""
        device, before = resolve_device(self.drawing.device), self.of
        with ExitStack() as stack:
            models = [stack.enter_context(evaluating(model, device)) for model in self.models]
            if device != "cpu":
                self.of = self._remade(models)
            try:
                yield
            finally:
                self.of = before

    def draw(
        self, variant: Variant, row: Sequence[Any], which: int, landmarks: Landmarks, *, progress: ProgressCallback = None
    ) -> Figure:
        """Return the figure of a variant; the tracks of a track model are on a canvas, with the genes and elements there.

        which: index of the score of its row. progress receives the mutated bases of ISM.
        """
        drawing, printed = self.drawing, self._printed(row, which)
        explained = explain(
            self.of.scorer, variant, flank=drawing.flank, printed=printed, logos=drawing.logos, progress=progress
        )
        scene = None
        if explained.windows:
            low, *_, high = explained.windows[0].edges.astype(int).tolist()
            seen = landmarks.over(variant.chrom, low, high)
            title = f"Predicted tracks around {variant.chrom}:{variant.pos:,} {'>'.join(explained.shown)}"
            scene = explained_scene(explained, title, seen, has_genes=landmarks.genes is not None)
            explained = explained._replace(tracks=None)
        with tempfile.TemporaryDirectory() as folder:
            (path,) = draw_explained(Path(folder) / "figure", explained, ["png"], dpi=200)
            return Figure(explained.meaning, path.read_bytes(), self._described(self._output(row, which)), scene)

    def _printed(self, row: Sequence[Any], which: int) -> Printed | None:
        """Return the score of a row as the file reports it; None for a score that this version does not know."""
        score = SCORES.get(self.scored.scores[which].name)
        if score is None:
            return None
        return Printed(score, row[len(FIXED) + which], self._output(row, which), self.of.same_models)

    def _output(self, row: Sequence[Any], which: int) -> str | None:
        """Return the track or class of a row's score, or the only class of these models; None without one."""
        names = (self.scored.column_index(word, which) for word in ("TRACK", "CLASS"))
        named = next((row[column] for column in names if column is not None), None)
        return only_class(self.of.scorer) if named is None and self.of.same_models else named

    def _described(self, output: str | None) -> str | None:
        """Return the description of a track with its name, such as RNA:liver (ENCFF1); the name alone without one."""
        layout = getattr(self.of.scorer, "layout", None)
        descriptions = None if layout is None or not self.of.same_models else layout.outputs.descriptions
        if descriptions is None or layout is None or output not in layout.names:
            return output
        text = descriptions[list(layout.names).index(output)]
        return f"{without_empty_items(text)} ({output})" if text and text != output else output

    def warnings(self) -> list[str]:
        """Return remarks on the reconstructed scorer, cautions of the models' cards, and notes on overlap with the training."""
        known = " ".join(value for key, value in self.scored.made_by if key == "caution")
        texts = (text.removeprefix("caution: ") for name in self.names for text in cautions(name, self.genome.contigs))
        cards = [text for text in texts if text not in known]
        notes = [
            training_overlap_note(model, name, self._windows(), "the sequence around the alleles of the page")
            for name, model in zip(self._member_names, self.models, strict=True)
            if model.training_sketch is not None
        ]
        return [*self.of.remarks, *cards, *(note for note in notes if note)]

    def _windows(self) -> Iterator[Any]:
        """Yield the windows around a sample of the rows."""
        rows = self.scored.rows[:: max(1, len(self.scored.rows) // _SAMPLED)]
        length = self.of.scorer.window
        names = self.genome.contig_map(dict.fromkeys(row[0] for row in rows))
        starts: dict[str, list[int]] = {}
        for row in rows:
            if (contig := names.get(row[0])) is not None:
                starts.setdefault(contig, []).append(row[1] - 1 - length // 2)
        for contig, of_contig in starts.items():
            yield from self.genome.windows(contig, of_contig, length)
