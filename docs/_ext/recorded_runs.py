"""What was seen in real runs of the service, and the tests that hold the emulator to it.

From saved notebook outputs, logs and public threads. The page on fidelity shows these runs, and for each of its rules
the numbers of the runs in which it was seen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordedRun:
    """A run of the service. tests: names of the tests of the rules that it shows, as the page names them."""

    job: str
    seen: str
    tests: tuple[str, ...]


RUNS = (
    RecordedRun(
        "150 rows of iris as CSV, 2,470 bytes, `mini_batch_size` 1KB, v1, 2 nodes",
        "3 mini-batches, Completed",
        ("test_iris_of_150_rows_in_2470_bytes_at_1KB_makes_3_mini_batches",),
    ),
    RecordedRun(
        "the same rows as a Parquet file of 4,874 bytes",
        "1 mini-batch, whatever the size",
        ("test_iris_as_one_parquet_file_of_4874_bytes_is_1_mini_batch_at_any_size",),
    ),
    RecordedRun(
        "`1.csv` to `100.csv` in one folder, size 5",
        "consecutive parts of the list sorted by name as text (1, 10, 100, 11)",
        ("test_100_csv_files_of_one_folder_at_5_are_cut_from_the_list_sorted_as_text",),
    ),
    RecordedRun(
        "1,000 images in one folder, size 5, 2 nodes with 2 processes",
        "the same",
        ("test_1000_images_of_one_folder_at_5_on_2_nodes_with_2_processes_are_cut_alike",),
    ),
    RecordedRun(
        "the appended output of these runs",
        "rows of a mini-batch stay together, mini-batches are in any order",
        (
            "test_the_output_of_100_files_is_a_permutation_of_whole_mini_batches",
            "test_a_result_that_depends_on_the_worker_is_found",
        ),
    ),
    RecordedRun(
        "DataFrames returned, `append_row`",
        "values separated by a space, no header, no index",
        ("test_recorded_line_of_a_dataframe_row_is_separated_by_spaces_and_quoted_as_csv",),
    ),
    RecordedRun(
        "1,210 rows in 10 partitions of Store and Brand, one row returned for each, `error_threshold` -1",
        "Completed with exactly 10 rows: a short return was not retried and appended again",
        (
            "test_1210_rows_in_10_partitions_of_store_and_brand_with_one_row_each_returned_leave_exactly_10_rows",
            "test_a_documented_short_return_is_retried_and_fails_the_missing_items",
        ),
    ),
    RecordedRun(
        "99 partitions of 14 rows, `[]` returned, `mini_batch_error_threshold` 5, v2, 2024",
        "all 99 left their output, which speaks for `items_only`; the final status was not saved",
        (
            "test_99_partitions_of_14_rows_with_nothing_returned",
            "test_a_documented_short_return_is_retried_and_fails_the_missing_items",
        ),
    ),
    RecordedRun(
        "3 folders with 1 file each, `partition_keys`, `error_threshold` 0",
        "Completed: each folder is a mini-batch of one item",
        ("test_3_folders_with_1_file_each_and_1_result_each_complete_with_error_threshold_0",),
    ),
    RecordedRun(
        "551 files, size 2",
        "276 mini-batches",
        ("test_recorded_run_551_files_are_276_mini_batches_of_2",),
    ),
    RecordedRun(
        "20,000 mini-batches, 4,117 of them processed after 5:02:14",
        "estimated remaining time 19:25:59",
        ("test_the_recorded_estimate",),
    ),
    RecordedRun(
        "the default timeout",
        "RUN_TIMEOUT after 90.259 s",
        ("test_the_default_timeout_cuts_a_run_at_90_seconds_as_observed",),
    ),
    RecordedRun(
        "`None` returned, v1",
        "three attempts, then the job failed",
        (
            "test_none_returned_is_tried_three_times_and_fails_the_job",
            "test_run_max_try_of_v1_counts_all_tries",
        ),
    ),
    RecordedRun(
        "`append_row`, nothing succeeded",
        "NoResultToAppendError at the end of the job",
        ("test_append_row_with_nothing_succeeded_fails_at_the_end_of_the_job",),
    ),
    RecordedRun(
        "a CSV job whose mini-batches were delivered twice",
        "Completed with extra rows, which the counters leave out",
        (
            "test_duplicate_deliveries_of_a_csv_job_add_rows_and_never_counts",
            "test_a_second_delivery_comes_at_the_end_of_the_queue_and_replaces_the_first",
            "test_files_that_a_second_delivery_adds_to_are_found",
        ),
    ),
    RecordedRun(
        "two rows returned for each row",
        "no complaint",
        (
            "test_two_rows_returned_for_each_row_are_no_complaint",
            "test_more_results_than_items_are_capped_and_noted",
        ),
    ),
    RecordedRun(
        "`partition_keys` without a size",
        "the client sends its default size too, and the job runs",
        ("test_partition_keys_alone_send_the_default_size_as_well_and_the_job_runs",),
    ),
    RecordedRun("`mini_batch_size` 1KB", "the driver gets 1024", ("test_1KB_reaches_the_driver_as_1024",)),
    RecordedRun(
        "an environment without pip or `pkg_resources`",
        "exit code 42 before the script is imported, an almost empty log",
        ("test_tables_need_their_reader",),
    ),
    RecordedRun(
        "a v1 script that writes to `./outputs`",
        "the files are missing after the job",
        (
            "test_what_run_leaves_in_its_working_folder_is_known",
            "test_each_worker_has_a_folder_arguments_and_an_environment_of_its_own",
        ),
    ),
    RecordedRun(
        "JSON lines with the four arguments of row mode",
        "`run()` gets dicts",
        ("test_rows_of_json_lines_are_dicts_with_the_index_of_the_first_one",),
    ),
    RecordedRun(
        "a single file as input, v2",
        "*Input format UriFile is not supported*",
        (
            "test_a_single_file_that_is_no_table_is_refused_as_the_service_refuses_it",
            "test_an_input_that_is_a_file_is_a_usage_error_unless_its_lines_are_handed",
        ),
    ),
    RecordedRun(
        "tracebacks in public threads",
        "the script is imported by its dotted name",
        ("test_a_script_is_imported_by_its_dotted_name_below_the_code_root",),
    ),
)
