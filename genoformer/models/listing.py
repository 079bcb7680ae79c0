"""Models by name: the bundled ones and those of the catalog, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genoformer.catalog import models_here, shipped
from genoformer.catalog.listing import BUNDLED, table_of
from genoformer.models.folders import card_title
from genoformer.models.licences import BUNDLED_LICENCE

if TYPE_CHECKING:
    import pandas as pd


def list_models() -> pd.DataFrame:
    """Return the models by name: "bundled", "downloaded" or "to download" as state, with licence and size in bytes."""
    table = table_of("models", {name: (folder, card_title(folder)) for name, folder in shipped().items()})
    table.loc[table["state"] == BUNDLED, "licence"] = BUNDLED_LICENCE
    table["use"] = table["use"].fillna(table["name"].map(dict(models_here())))
    return table
