"""Genome + a long-range model -> tracks of regions or whole contigs -> bigWig, Parquet or a figure."""

from genoformer.prediction.plan import PredictionPlan, plan_prediction
from genoformer.prediction.regions import ResolvedRegions, resolve_regions
from genoformer.prediction.run import BinnedTracks, Predicted, TrackSink, predict_tracks, tracks_of
from genoformer.prediction.sinks import new_sink

__all__ = [
    "ResolvedRegions",
    "Predicted",
    "PredictionPlan",
    "BinnedTracks",
    "TrackSink",
    "resolve_regions",
    "new_sink",
    "plan_prediction",
    "predict_tracks",
    "tracks_of",
]
