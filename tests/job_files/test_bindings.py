from __future__ import annotations

import pytest

from pytest_parallelrun.job_files.bindings import (
    Binding,
    BindingError,
    bindings_in,
    split_arguments,
    whole_binding,
    without_missing_options,
)


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("${{inputs.x}}", "inputs", "x"),
        ("${{ inputs.x }}", "inputs", "x"),
        ("${{outputs.the_rows}}", "outputs", "the_rows"),
        ("${{parent.inputs.x}}", "parent.inputs", "x"),
        ("${{parent.outputs.x}}", "parent.outputs", "x"),
        ("${{parent.jobs.clean.outputs.x}}", "parent.jobs", "clean.outputs.x"),
    ],
)
def test_a_binding_has_a_source_and_a_name(text: str, source: str, name: str) -> None:
    assert whole_binding(text) == Binding(source, name, text)


@pytest.mark.parametrize("text", ["--x ${{inputs.x}}", "plain", ""])
def test_a_text_that_is_more_or_less_than_a_binding_is_none(text: str) -> None:
    assert whole_binding(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "${{input.x}}",
            "${{inputs}}",
            "${{}}",
            "${{parent.jobs.x}}",
            "${{inputs..x}}",
            "${{inputs.}}",
            "${{in puts.x}}",
        ),
        *("${{inputs.x}", "$[[--x", "--x]]"),
    ],
)
def test_what_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(BindingError, match=r"write \$\{\{inputs.NAME\}\}"):
        bindings_in(text)


@pytest.mark.parametrize("text", ["${{" + " " * 100_000, "$[[" * 40_000, "${{" * 40_000, "$[[ ${{" * 20_000])
def test_open_brackets_without_end_are_refused_at_once_and_shown_in_short(text: str) -> None:
    # A pattern that tries again at each of them takes hours.
    with pytest.raises(BindingError) as raised:
        bindings_in(text)
    assert len(str(raised.value)) < 300


def test_an_option_goes_with_what_is_missing_in_it() -> None:
    text = "--a 1 $[[--b ${{inputs.b}}]] $[[--c ${{inputs.c}}]]"
    kept = without_missing_options(text, lambda binding: binding.name == "b")
    assert list(split_arguments(kept, lambda binding: "C")) == ["--a", "1", "--c", "C"]


def test_what_is_filled_in_is_never_split() -> None:
    text = """--data ${{ inputs.x }} --in="${{inputs.x}}/part one" 'as it is'"""
    parts = list(split_arguments(text, lambda binding: "/my data/it's"))
    assert parts == ["--data", "/my data/it's", "--in=/my data/it's/part one", "as it is"]
