"""Published benchmarks: files of their authors + models, scores or baselines -> the published metrics with intervals."""

from genoformer.benchmarking.registry import BENCHMARKS, Benchmark, list_benchmarks
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.result import BenchmarkResult
from genoformer.benchmarking.run import run_benchmark

__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkRequest", "BenchmarkResult", "list_benchmarks", "run_benchmark"]
