"""The hooks of pytest. Options, entries, fixtures and reports are in the modules next to this one.

pytest loads it in every run: what a gate needs is imported only if there is one.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pytest_parallelrun._fixtures import MARKER, parametrize_entries
from pytest_parallelrun._fixtures import parallelrun as parallelrun
from pytest_parallelrun._fixtures import parallelrun_baseline as parallelrun_baseline
from pytest_parallelrun._fixtures import parallelrun_check as parallelrun_check
from pytest_parallelrun._fixtures import parallelrun_entry as parallelrun_entry
from pytest_parallelrun._fixtures import parallelrun_examples as parallelrun_examples
from pytest_parallelrun._fixtures import parallelrun_factory as parallelrun_factory
from pytest_parallelrun._fixtures import parallelrun_golden as parallelrun_golden
from pytest_parallelrun._fixtures import parallelrun_observations as parallelrun_observations
from pytest_parallelrun._fixtures import parallelrun_replay as parallelrun_replay
from pytest_parallelrun._options import add_options, any_option_set, command_line_values, flag, option_values


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    add_options(parser)
    # No user sees an assert of this package, and rewriting them makes it slower to load. There is no public switch.
    hook = getattr(pluginmanager, "rewrite_hook", None)
    getattr(hook, "_must_rewrite", set[str]()).discard(__name__.partition(".")[0])


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """--parallelrun-explain and --parallelrun-plan print and exit before anything is collected."""
    if config.option.help:
        return None
    if checks := option_values(config, "explain"):
        from pytest_parallelrun._show import print_pages

        print_pages(checks)
        return pytest.ExitCode.OK
    if not flag(config, "plan"):
        return None
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun._show import print_plan

    print_plan(entries_of(config), config.get_verbosity())
    return pytest.ExitCode.OK


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    # --help must work with wrong options too.
    if not any_option_set(config) or config.option.help:
        return
    from pytest_parallelrun._collection import Collection, SampleNeedsUse, add_to_arguments
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun.emulator.sandbox.process_exit import terminations_as_interrupts

    entries = entries_of(config)
    configuration = entries.configuration
    stack = ExitStack()
    stack.enter_context(terminations_as_interrupts())
    config.add_cleanup(stack.close)
    if configuration.engine == "ray":
        from pytest_parallelrun.emulator.engines.ray import cluster

        # All jobs of the run use one cluster, joined or started by the first of them.
        cluster.keep_open()
        config.add_cleanup(cluster.close)
    if not entries.plans and command_line_values(config, "input") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SampleNeedsUse(), "parallelrun-sample-needs-use")
    if config.getoption("parallelrun_update_golden") and not hasattr(config, "workerinput"):
        from pytest_parallelrun._golden import UpdateWatch

        config.pluginmanager.register(UpdateWatch(), "parallelrun-update-watch")
    if entries.gated:
        add_to_arguments(config, entries.gated)
        config.pluginmanager.register(Collection(entries.gated), "parallelrun-collection")
    # Editors list tests often, and nothing is run.
    if entries.gated and not config.option.collectonly:
        from pytest_parallelrun._check_hooks import CheckHooks, OuterTimeout
        from pytest_parallelrun._reporting import Reporting

        config.pluginmanager.register(OuterTimeout(configuration.budget), "parallelrun-outer-timeout")
        config.pluginmanager.register(CheckHooks(config, configuration), "parallelrun-check-hooks")
        forecasting = None
        if configuration.forecast is not None:
            from pytest_parallelrun._forecasting import Forecasting

            forecasting = Forecasting(configuration.forecast)
            config.pluginmanager.register(forecasting, "parallelrun-forecasting")
        config.pluginmanager.register(Reporting(config, entries, forecasting), "parallelrun-reporting")


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not any_option_set(config):
        return []
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun._show import header_lines

    return header_lines(entries_of(config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_entries(metafunc)
