"""Models and data sets of others: catalog.toml -> address, checksum, licence -> download, check -> one folder per entry."""

from genoformer.catalog.cache import folder_of, is_here, pulled_model, shipped
from genoformer.catalog.cards import models_here
from genoformer.catalog.entries import Entry, Remote, entry_named, read_catalog
from genoformer.catalog.pull import pull
from genoformer.catalog.tables import PublishedTable, published_tables, with_tables

__all__ = [
    "Entry",
    "PublishedTable",
    "Remote",
    "entry_named",
    "folder_of",
    "is_here",
    "models_here",
    "published_tables",
    "pull",
    "pulled_model",
    "read_catalog",
    "shipped",
    "with_tables",
]
