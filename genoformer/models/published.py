"""Published tables of tracks: heads of a model without a table -> the tables of the catalog, if they are downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genoformer.catalog import PublishedTable, published_tables
from genoformer.errors import CheckpointError, ConfigError, OptionError
from genoformer.formats.alphagenome_metadata import is_metadata, read_metadata
from genoformer.formats.squashed_scale import Scale, squashed_scale
from genoformer.formats.track_table import TrackTable, read_targets
from genoformer.models.base import TRACKS, Head, PredictsPairs, has


def with_published(kind: Any, config: Any, heads: Mapping[str, Head], folder: Path) -> dict[str, Head]:
    """Return the heads of a model; those without a table have the published one of the catalog, if there is one.

    kind, config: class and configuration of the model. A head whose table is not downloaded names its data set (`published`).

    Raises: CheckpointError for a downloaded table with another number of tracks.
    """
    made, of_layout = dict(heads), kind.heads_of(config)
    for published in published_tables(folder):
        of_table = [name for name in kind.heads_of_table(config, published.head) if name in heads]
        bare = [name for name in of_table if heads[name].table is getattr(of_layout.get(name), "table", None)]
        if not bare:
            continue
        if not published.is_here:
            made |= {name: made[name]._replace(published=published.data) for name in bare}
            continue
        tables = _read(kind, config, bare, published)
        made |= {name: made[name]._replace(table=tables[name]) for name in bare if name in tables}
    return made


def add_published(model: Any, folder: Path) -> None:
    """Give the heads of a track model without a table the published ones of the catalog, if they are downloaded."""
    heads = {**model.track_heads, **(model.pair_heads if has(model, PredictsPairs) else {})}
    made = with_published(type(model), model.config, heads, folder)
    model.targets.update({name: head.table for name, head in made.items() if head.table is not heads[name].table})
    model.published = {name: head.published for name, head in made.items() if head.published}


def _read(kind: Any, config: Any, bare: list[str], published: PublishedTable) -> dict[str, TrackTable]:
    """Return the tables of heads from a published file; none for a model of that name with other tracks."""
    try:
        if is_metadata(published.path):
            tables: dict[str, TrackTable] = kind.tables_of_metadata(config, published.head, read_metadata(published.path))
            return tables
        table = read_targets(published.path)
        n = kind.heads_of(config)[published.head].n_tracks
        if len(table) != n:
            raise ConfigError(f"{published.path} has {len(table):,} tracks, but head {published.head} has {n:,}.")
        return dict.fromkeys(bare, table)
    except ConfigError as error:
        if published.of_name:  # the user's own model, in a folder of that name
            return {}
        raise CheckpointError(f"{error} Download {published.data} again.") from error


def require_table(head: Head, table: TrackTable | None, *, both_strands: bool, scale: Scale) -> None:
    """Raise OptionError if the strand or the scale needs a table of the tracks of a head, and there is none.

    table: the one to use. scale: all but "model" undo the squashed scale of a head that has one.
    """
    pairs = both_strands and head.kind == TRACKS
    undone = bool(head.squashed_scale) and scale != "model"
    if table is not None or not (pairs or undone):
        return
    pull = f"run genoformer data pull {head.published}, or give targets" if head.published else "give targets"
    if pairs and undone:
        raise OptionError(
            "targets",
            "is missing, and the model has no table of its tracks: strand both needs their strand pairs, and scale "
            f"{scale} their scale, clip_soft and sum_stat; {pull}, or strand forward with scale model.",
        )
    if pairs:
        raise OptionError("strand", f"is both, but no table has the strand pairs of the tracks; {pull}, or strand forward.")
    if head.published:
        raise OptionError(
            "scale",
            f"is {scale}, which undoes the squashed scale of the tracks with scale, clip_soft and sum_stat of their table, and "
            f"the table is not downloaded; {pull}, or scale model.",
        )
    squashed_scale(head.squashed_scale, None, None, scale)
