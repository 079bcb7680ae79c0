"""Tests mirror the library: tests/scoring/test_parts.py tests genoformer/scoring/parts.py; exceptions are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIBRARY, COMMANDS = TESTS.parent / "genoformer", TESTS.parent / "cli"
FULL_PACKAGES = ("scoring", "inference", "formats", "writers")  # every module has its file, or a row in TESTED_IN

OF_NO_MODULE = {  # a test of several modules or of a property of all -> the subject
    "annotation/test_any_annotation.py": "arbitrary bytes in every format of annotations",
    "annotation/test_fast_and_careful.py": "formats that are read in two ways, which agree",
    "huggingface/test_absent.py": "the package without transformers",
    "interpretation/test_interoperation.py": "models in tangermeme, captum and modisco-lite",
    "interpretation/test_track_families.py": "maps of the families of track models",
    "models/alphagenome/test_commands.py": "AlphaGenome in the commands",
    "models/alphagenome/test_parity.py": "AlphaGenome against its two PyTorch ports",
    "models/alphagenome/test_training.py": "AlphaGenome in finetune",
    "models/borzoi/test_commands.py": "Borzoi in the commands",
    "models/borzoi/test_parity.py": "Borzoi and Prime against borzoi-pytorch",
    "models/borzoi/test_training.py": "the Borzoi family in finetune",
    "models/enformer/test_parity.py": "Enformer against enformer-pytorch",
    "models/test_add_a_model.py": "the toy package of docs/add_a_model.md",
    "models/test_autocast.py": "track models in mixed precision on a CPU",
    "models/test_hostile_models.py": "model folders that were made to do harm",
    "models/test_mini_tracks.py": "the bundled mini-tracks and its card",
    "models/test_other_special_ids.py": "a tokenizer with other special ids, in every module that reads tokens",
    "models/transformer/test_contig_ends.py": "windows with more tokens than positions",
    "models/transformer/test_families.py": "published families against transformers, in every layout of weights/",
    "models/transformer/test_naive_families.py": "published families against formulas in float64",
    "models/transformer/test_plain_families.py": "the plain modules of the benchmark of families",
    "models/transformer/test_parity.py": "encoders against transformers and DNABERT's own code",
    "scoring/test_published_scale.py": "the squashed scale that the script of each score undoes",
    "scoring/test_family_scores.py": "scores of blocks, BPE and causal models against naive loops",
    "tokenizers/test_tokenizers.py": "k-mers, single bases and BPE, with the same checks",
    "training/test_held_out_cell.py": "a head with contexts and a cell type of the simulated world that was held out",
    "training/test_family_shapes.py": "published shapes in pretrain and finetune",
    "writers/test_busy.py": "two processes and one output, with every writer",
    "test_any_file.py": "arbitrary bytes in every file that a command reads",
    "test_architecture.py": "the direction of imports",
    "test_bombs.py": "files that expand beyond their size",
    "test_compared_outputs.py": "the script that compares the outputs of two checkouts",
    "test_figures_page.py": "the page on figures",
    "test_found_by_fuzzing.py": "files that fuzzing found",
    "test_language.py": "the language of docstrings, messages and pages",
    "test_layout.py": "this file",
    "test_notebooks.py": "the notebooks",
    "test_numbers_agree.py": "one number by different commands",
    "test_packaging.py": "wheels and installs",
    "test_readme.py": "the commands of the README and of docs/",
    "test_site.py": "the documentation site and its pages that are made from the code",
    "test_two_resolutions.py": "a model with two bin sizes, through every command",
    "test_workflows.py": "the rules for Snakemake and Nextflow in docs/workflows",
    "cli/test_bad_input.py": "wrong input of every command",
    "cli/test_every_command.py": "properties of all commands",
    "cli/test_files_of_others.py": "files of other programs in the place of outputs",
    "cli/test_fix.py": "--fix of score",
    "cli/test_fix_agreement.py": "--fix of score against corrected files",
    "cli/test_held_outputs.py": "outputs that another process writes",
    "cli/test_killed.py": "runs that are killed and resume",
    "cli/test_region_options.py": "-r and -R of all commands that take them",
    "cli/test_parts_of_commands.py": "workers, shards and resumed runs of all long commands",
    "cli/test_orphans.py": "workers whose parent is killed",
    "cli/test_requests.py": "options of commands against the fields of their requests",
    "cli/test_structural_variants.py": "scores of structural variants, by commands and in Python",
    "cli/test_surroundings.py": "terminals, locales, temporary folders and closed pipes",
    "cli/test_tables_of_variants.py": "variants without a VCF, in every command that takes variants",
}
TESTED_IN = {  # module without a file of its own -> the file with its tests
    "formats/arrays": "models/test_hostile_models.py",
    "formats/bed": "formats/test_bed_kinds.py",
    "formats/bed_columns": "formats/test_bed_kinds.py",
    "formats/bed_layout": "formats/test_bed_kinds.py",
    "formats/bed_shapes": "formats/test_bed_kinds.py",
    "formats/bigwig": "formats/test_tracks.py",
    "formats/fasta_bytes": "formats/test_fasta.py",
    "formats/fasta_index": "formats/test_fasta.py",
    "formats/motif_matrix": "formats/test_motif_files.py",
    "formats/motif_tables": "formats/test_motif_files.py",
    "formats/ucsc_tables": "formats/test_bed_kinds.py",
    "formats/vcf_text": "formats/test_vcf.py",
    "inference/base_prediction": "cli/test_predict_bases.py",
    "inference/base_probabilities": "models/test_base.py",
    "inference/base_readers": "inference/test_base_tracks.py",
    "inference/base_windows": "inference/test_base_tracks.py",
    "inference/class_prediction": "inference/test_class_windows.py",
    "inference/classes": "models/test_heads.py",
    "inference/embedder": "inference/test_embed.py",
    "inference/embedding_parts": "inference/test_embed.py",
    "inference/predict": "inference/test_class_windows.py",
    "inference/prediction_request": "test_api_predict_embed.py",
    "inference/regions": "inference/test_track_prediction.py",
    "inference/sequence_prediction": "cli/test_predict_classes.py",
    "inference/set_windows": "evaluation/test_gene_tracks.py",
    "inference/shared_prefix": "scoring/test_family_scores.py",
    "inference/track_plan": "inference/test_throughput.py",
    "inference/tracks": "inference/test_track_prediction.py",
    "scoring/allele_contacts": "scoring/test_allele_junctions.py",
    "scoring/allele_tracks": "scoring/test_track_scorer.py",
    "scoring/assembly": "writers/test_base.py",
    "scoring/background": "scoring/test_calibration.py",
    "scoring/block_likelihoods": "scoring/test_family_scores.py",
    "scoring/carriers": "scoring/test_haplotypes.py",
    "scoring/causal_likelihoods": "scoring/test_family_scores.py",
    "scoring/class_evidence": "scoring/test_class_scorer.py",
    "scoring/command_options": "test_api_equals_cli.py",
    "scoring/each_model": "scoring/test_models_scorer.py",
    "scoring/effect_table": "scoring/test_haplotypes.py",
    "scoring/evidence_scores": "scoring/test_track_scorer.py",
    "scoring/gene_inputs": "scoring/test_borzoi_scores.py",
    "scoring/job": "test_api_equals_cli.py",
    "scoring/masked_likelihoods": "scoring/test_allele_features.py",
    "scoring/matrix": "scoring/test_track_scorer.py",
    "scoring/noise": "scoring/test_track_scorer.py",
    "scoring/options": "test_api_equals_cli.py",
    "scoring/pairs": "scoring/test_haplotypes.py",
    "scoring/piece_likelihoods": "scoring/test_family_scores.py",
    "scoring/plan": "scoring/test_workers.py",
    "scoring/score_inputs": "scoring/test_allele_features.py",
    "scoring/score_types": "scoring/test_allele_features.py",
    "scoring/scored_heads": "scoring/test_allele_junctions.py",
    "scoring/scorers": "scoring/test_class_scorer.py",
    "scoring/scores": "scoring/test_allele_features.py",
    "scoring/scoring_choices": "scoring/test_heads_scorer.py",
    "scoring/sequence_scorer": "scoring/test_allele_features.py",
    "scoring/settings": "scoring/test_class_scorer.py",
    "scoring/track_scores": "scoring/test_track_scorer.py",
    "scoring/variant_scorer": "scoring/test_models_scorer.py",
    "scoring/worker": "scoring/test_workers.py",
    "writers/calls": "inference/test_class_windows.py",
    "writers/class_tables": "cli/test_predict_classes.py",
    "writers/tables": "writers/test_base.py",
    "writers/track_figure": "writers/test_tracks.py",
}


def modules(folder: Path) -> set[str]:
    """Modules and packages of a folder: scoring/plan, models."""
    found = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py")}
    return {name.removesuffix("/__init__") for name in found}


def test_files() -> list[str]:
    files = (path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))
    return sorted(name for name in files if not name.startswith("benchmarks/"))


MODULES = modules(LIBRARY) | {f"cli/{name}" for name in modules(COMMANDS)}
FILES = test_files()
test_files.__test__ = False  # type: ignore[attr-defined]


def subject(file: str) -> str:
    """Return the module that a test file names: test_plan.py or, with an aspect of it, test_plan_of_shards.py; else ""."""
    folder, _, name = file.removesuffix(".py").rpartition("/")
    words = name.removeprefix("test_").split("_")
    names = ["/".join(filter(None, (folder, "_".join(words[:n])))) for n in range(len(words), 0, -1)]
    return next((name for name in names if name in MODULES), "")


@pytest.mark.parametrize("file", FILES)
def test_a_test_file_has_the_name_of_its_module(file: str) -> None:
    assert bool(subject(file)) != (file in OF_NO_MODULE), "name it after a module, or list it with its subject"


def test_the_lists_name_files_that_exist() -> None:
    assert set(OF_NO_MODULE) <= set(FILES)
    assert set(TESTED_IN) <= MODULES
    assert set(TESTED_IN.values()) <= set(FILES)


@pytest.mark.parametrize("package", FULL_PACKAGES)
def test_every_module_has_its_tests(package: str) -> None:
    """In a file of its name, or in that of TESTED_IN, but not in both."""
    tested = {subject(file) for file in FILES}
    own = {name for name in MODULES if name.startswith(f"{package}/")}
    assert own - tested == {name for name in TESTED_IN if name.startswith(f"{package}/")}


def test_ci_names_paths_that_exist() -> None:
    script = (TESTS.parent / ".ci" / "platform").read_text()
    paths = {word.strip("'\"\\") for word in script.split() if word.strip("'\"").startswith("tests/")}
    assert len(paths) > 5
    for path in paths:
        assert list(TESTS.parent.glob(path)), path
