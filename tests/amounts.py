"""Number of examples: all in `make test-long` and `make fuzz`, a part of them in `make test`, which has eight minutes."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

FULL = "GENOFORMER_FULL" in os.environ


def examples(n: int, **options: Any) -> settings:
    """Settings of a property test with n examples; in `make test` 2 in 5 of them."""
    whole = FULL or os.environ.get("HYPOTHESIS_PROFILE") == "search"
    return settings(max_examples=n if whole else 2 * n // 5, **options)


# Tests of ten seconds to a minute that guard no promise of the README which no other test guards: `make test-long` runs them.
DEFERRED = (
    "benchmarking/test_run.py::test_each_of_several_models_and_files_gives_the_scores_and_options_that_it_has",
    "test_readme.py::test_the_blocks_of_the_how_to_pages_run",
    "test_parts_of_commands.py::test_calls_in_python_take_workers",
    "test_notebooks.py::test_it_runs[08_where_variants_fall]",
    "test_notebooks.py::test_it_runs[09_enhancers_far_away]",
    "test_held_out_cell.py::test_a_held_out_cell_type_is_predicted_better_than_the_mean_of_the_others",
    "test_tracks.py::test_two_processes_are_one_with_twice_the_batch[fsdp]",
    "test_baselines.py::test_a_small_set_is_not_given_up_after_ten_steps",
    "alphagenome/test_tiles.py::test_tiles_need_less_memory",
    "test_pretrain.py::test_the_report_asks_model_and_count_models_for_the_same_bases",
    "cli/test_interpret.py::test_motifs_say_what_each_stage_left",
    "test_loop.py::test_two_small_batches_are_one_large_batch[accumulated]",
    "test_heads_scorer.py::test_recommended_scores_of_several_heads_are_those_of_each_head_alone",
    "test_packaging.py::test_current_jupyterlab_installs_beside_it",
    "test_extras.py::test_the_demo_works_without_pyarrow_and_kipoiseq",
    "test_readme.py::test_a_page_shows_what_its_commands_print[audit.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[published-benchmarks.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[families.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[huggingface.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[tutorial-biologist.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[tutorial-engineer.md]",
    "test_readme.py::test_a_page_shows_what_its_commands_print[tutorial-lecturer.md]",
    "test_readme.py::test_three_lines_for_a_vcf_print_what_the_readme_shows",
    "test_packaging.py::test_the_release_commands_of_the_page_build_a_wheel",
    "test_site.py::test_every_option_of_every_command_is_in_its_page",
    "test_site.py::test_the_search_works_without_a_server",
    "test_site.py::test_every_public_name_is_in_the_reference",
    "test_site.py::test_the_examples_of_the_reference_are_code",
    "test_site.py::test_nothing_is_loaded_from_another_server",
    "test_site.py::test_a_link_to_a_file_of_the_repository_leads_to_its_copy",
    "alphagenome/test_training.py::test_from_scratch_in_bins_of_both_sizes",
    "test_loop.py::test_two_small_batches_are_one_large_batch[ddp]",
    "test_loop.py::test_two_small_batches_are_one_large_batch[fsdp]",
    "test_loop.py::test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes",
    "test_interoperation.py::test_modisco_finds_a_planted_motif",
    "test_notebooks.py::test_it_runs[04_score_a_vcf_and_explain_it]",
    "test_api_requests.py::test_evaluate_gives_what_the_command_prints[words2-options2]",
    "test_workers.py::test_the_part_of_a_killed_process_is_done_again[on_ray]",
    "test_workers.py::test_a_ray_cluster_gives_the_bytes_of_one_process",
    "test_parts_of_commands.py::test_a_ray_cluster_gives_the_same_bytes",
    "test_every_way_gives_the_same_bytes[predict tracks, batches]",
    "test_every_way_gives_the_same_bytes[predict classes]",
    "test_every_way_gives_the_same_bytes[annotate a table]",
    "test_every_way_gives_the_same_bytes[predict bases]",
    "test_every_way_gives_the_same_bytes[annotate motifs]",
    "test_every_way_gives_the_same_bytes[predict sequences]",
    "test_every_way_gives_the_same_bytes[calibrate]",
    "test_every_way_gives_the_same_bytes[pairs]",
    "test_every_way_gives_the_same_bytes[pairs of heads]",
    "test_models_scorer.py::test_workers_and_shards_give_the_same_bytes",
    "test_predict_bases.py::test_an_ensemble_of_two_folders_and_all_phases[2]",
    "test_every_way_gives_the_same_bytes[embed and draw]",
    "test_every_way_gives_the_same_bytes[embed tokens]",
    "test_every_way_gives_the_same_bytes[embed bins]",
    "test_every_way_gives_the_same_bytes[ism]",
    "test_every_way_gives_the_same_bytes[haplotypes]",
    "test_every_way_gives_the_same_bytes[ism of a class]",
    "test_a_command_that_is_killed_resumes_with_the_same_bytes[embed]",
    "test_a_command_that_is_killed_resumes_with_the_same_bytes[haplotypes]",
    "test_a_command_that_is_killed_resumes_with_the_same_bytes[ism]",
    "test_predict_bases.py::test_a_run_that_is_killed_resumes_with_the_same_bytes[two workers]",
    # and further parameters of tests of some seconds, whose first ones stay
    "same_numbers[language-COSINE-options2]",
    "same_numbers[tracks-SAR501-options6]",
    "same_numbers[tracks-SAX-options7]",
    "test_baselines.py::test_labels_and_values[lstm_attention]",
    "test_baselines.py::test_a_planted_motif_is_found[lstm_attention]",
    "test_pretrain.py::test_the_same_seed_gives_the_same_weights[base-causal]",
    "test_finetune.py::test_a_run_that_is_killed_ends_with_the_bytes_of_an_undisturbed_one",
    "test_family_shapes.py::test_a_family_is_trained_in_its_shape[esm]",
    "test_family_shapes.py::test_a_family_is_trained_in_its_shape[nucleotide-transformer]",
    "test_family_shapes.py::test_training_continues_from_published_weights[nucleotide-transformer-v2]",
    "test_family_shapes.py::test_published_weights_are_fine_tuned_with_adapters[esm]",
    "test_family_shapes.py::test_published_weights_are_fine_tuned_with_adapters[nucleotide-transformer]",
    "test_family_shapes.py::test_a_genome_with_n_is_trained_on_with_learned_positions",
    "test_pretrain.py::test_a_causal_model_is_in_the_table_at_the_entropy_of_the_source",
    "test_cost.py::test_a_training_step_takes_the_planned_memory[True]",
    "test_orphans.py::test_no_process_stays_behind_when_only_the_first_is_killed[15]",
    "test_track_families.py::test_ism_is_the_difference_of_whole_windows[alphagenome 128]",
    "test_pretrain.py::test_the_end_of_a_single_contig_is_held_out[causal]",
    "test_api_equals_cli.py::test_track_scores_and_matrices_are_those_of_the_command[words1-options1]",
    "same_numbers[both tracks-SAD-options9]",
    "same_numbers[tracks-D2,SAD-options5]",
    "test_fix_agreement.py::test_a_report_of_a_fixed_file_draws_what_was_scored[tracks-shift]",
    "test_track_contexts.py::test_predict_and_score_new_contexts[attention]",
    "test_tracks.py::test_two_processes_are_one_with_twice_the_batch[ddp]",
    "test_tally.py::test_preflight_and_scorer_count_the_same_with_every_fix_and_any_batch[5]",
    "test_track_contexts.py::test_the_head_is_trained_and_named_by_context[linear]",
)
