"""The command line offers what the request objects of Python have."""

from __future__ import annotations

from dataclasses import fields

import click
import pytest
from genoformer_cli.annotate import annotate
from genoformer_cli.audit import audit
from genoformer_cli.benchmark import run
from genoformer_cli.data import build, tracks
from genoformer_cli.enrich import enrich

from genoformer.annotation.request import AnnotationRequest, EnrichmentRequest
from genoformer.audit import AuditRequest
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.datasets.request import DatasetRequest, TrackSetRequest

OF_ANNOTATION = {"variants": "vcf", "annotations": "files", "breakdown": "figures", "genome": "fasta", "compute": "workers"}


@pytest.mark.parametrize(
    ("command", "request_type", "other_names"),
    [
        (annotate, AnnotationRequest, OF_ANNOTATION),
        (enrich, EnrichmentRequest, {"annotations": "files", "genome": "fasta", "match_on": "match"}),
        (build, DatasetRequest, {"genome": "fasta"}),
        (tracks, TrackSetRequest, {"genome": "fasta"}),
        (audit, AuditRequest, {}),
        (run, BenchmarkRequest, {"options": "spec"}),
    ],
)
def test_every_field_of_a_request_is_an_option(command: click.Command, request_type: type, other_names: dict[str, str]) -> None:
    options = {parameter.name for parameter in command.params}
    assert {other_names.get(field.name, field.name) for field in fields(request_type)} <= options


@pytest.mark.parametrize(
    ("command", "request_type"),
    [
        (enrich, EnrichmentRequest),
        (build, DatasetRequest),
        (tracks, TrackSetRequest),
        (audit, AuditRequest),
        (run, BenchmarkRequest),
    ],
)
def test_defaults_are_the_same(command: click.Command, request_type: type) -> None:
    defaults = {parameter.name: parameter.default for parameter in command.params}
    for field in fields(request_type):
        default = defaults.get(field.name)
        if isinstance(default, str | int | float):
            assert default == field.default, field.name
