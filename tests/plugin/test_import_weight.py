from __future__ import annotations

from pathlib import Path

import pytest


def loaded_modules(pytester: pytest.Pytester, *arguments: str) -> set[str]:
    """Modules that a pytest of its own has loaded in the end, with this plugin and those of pytest alone."""
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure(config):
            with open("modules.txt", "w") as file:
                file.write("\\n".join(sys.modules))
        """
    )
    result = pytester.runpytest_subprocess("-p", "pytest_parallelrun.plugin", "-p", "no:cacheprovider", *arguments)
    assert result.ret == pytest.ExitCode.OK
    return set((pytester.path / "modules.txt").read_text().split())


@pytest.fixture
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other plugins, that of Hypothesis first, import what they like.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(): pass")


@pytest.mark.usefixtures("alone")
def test_a_run_without_a_gate_loads_neither_libraries_nor_the_emulator(pytester: pytest.Pytester) -> None:
    loaded = loaded_modules(pytester)
    assert "pytest_parallelrun.plugin" in loaded
    assert not loaded & {"pandas", "numpy", "hypothesis", "yaml"}
    rings = ("emulator", "strategies", "contract", "report", "job_files")
    inner = tuple(f"pytest_parallelrun.{ring}" for ring in rings)
    assert not [name for name in loaded if name.startswith(inner)]


@pytest.mark.usefixtures("alone")
def test_the_gate_of_a_script_for_files_loads_no_pandas(pytester: pytest.Pytester, project: Path) -> None:
    loaded = loaded_modules(pytester, "--parallelrun-entry=score.py", "--parallelrun-input=data")
    assert "pytest_parallelrun.emulator.job" in loaded
    assert not loaded & {"pandas", "numpy"}


@pytest.mark.usefixtures("alone")
def test_where_no_file_may_be_a_job_definition_none_is_parsed(pytester: pytest.Pytester, project: Path) -> None:
    (project / "mkdocs.yml").write_text("site_name: Docs\n", encoding="utf-8")
    loaded = loaded_modules(pytester, "--parallelrun-entry=score.py", "--collect-only")
    assert "pytest_parallelrun.job_files.discovery" in loaded
    assert not loaded & {"yaml", "pytest_parallelrun.job_files.job_file"}
    # Editors list tests at every change.
    assert not loaded & {"pandas", "pytest_parallelrun._check_hooks", "pytest_parallelrun.emulator.job"}


def test_its_modules_are_loaded_without_rewriting_their_asserts(pytester: pytest.Pytester) -> None:
    # As for an installed package, pytest marks what it is told to load.
    config = pytester.parseconfig("-p", "pytest_parallelrun", "-p", "tests.plugin.counts")
    marked = getattr(config.pluginmanager.rewrite_hook, "_must_rewrite")  # noqa: B009 - private
    assert "tests.plugin.counts" in marked
    assert "pytest_parallelrun" not in marked


def test_the_public_names_are_resolved_late(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        probe="""
        import sys
        import pytest_parallelrun

        assert not [name for name in sys.modules if name.startswith("pytest_parallelrun.")]
        for name in pytest_parallelrun.__all__:
            assert getattr(pytest_parallelrun, name).__name__.rpartition(".")[2] == name
            assert name in dir(pytest_parallelrun)
        assert not sys.modules.keys() & {"pandas", "numpy", "hypothesis", "pytest"}
        try:
            pytest_parallelrun.ParalelJob
        except AttributeError as error:
            assert "ParalelJob" in str(error)
        else:
            raise AssertionError
        """
    )
    assert pytester.runpython(pytester.path / "probe.py").ret == 0


def test_a_public_name_that_does_not_exist_is_an_attribute_error() -> None:
    import pytest_parallelrun

    with pytest.raises(AttributeError, match="has no attribute 'ParalelJob'"):
        pytest_parallelrun.ParalelJob  # noqa: B018 - asked for on purpose
    assert set(pytest_parallelrun.__all__) <= set(dir(pytest_parallelrun))
