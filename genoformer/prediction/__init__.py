"""Genome + a long-range model -> tracks of regions or whole contigs -> bigWig, Parquet or a figure."""

from genoformer.prediction.plan import PredictionPlan, plan_prediction
from genoformer.prediction.regions import Asked, asked_regions
from genoformer.prediction.run import Predicted, Stretch, TrackSink, predict_tracks, tracks_of
from genoformer.prediction.sinks import new_sink

__all__ = [
    "Asked", "Predicted", "PredictionPlan", "Stretch", "TrackSink", "asked_regions", "new_sink", "plan_prediction",
    "predict_tracks", "tracks_of",
]  # fmt: skip
