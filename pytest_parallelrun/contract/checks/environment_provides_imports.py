"""The job's environment lacks packages that the script imports or the runtime needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from packaging.version import Version

from pytest_parallelrun.contract.environment.imports import imports_of
from pytest_parallelrun.contract.environment.names import PROVIDERS
from pytest_parallelrun.contract.environment.packages import NAMESPACES, InstalledPackages, Packages, gate_python
from pytest_parallelrun.contract.environment.runtime import PKG_RESOURCES, needs_of
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.emulator.service import STAND_IN_PACKAGES

if TYPE_CHECKING:
    from packaging.specifiers import Specifier

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.environment.imports import Import
    from pytest_parallelrun.contract.environment.runtime import Need
    from pytest_parallelrun.emulator.job_environment import ListedPackage

OF_THE_RUNTIME = {*STAND_IN_PACKAGES, PKG_RESOURCES} - {"azureml"}
"""Modules that the service provides, and one that is checked with all who import it."""
SERVICE = (
    "ModuleNotFoundError where the import stands; without what the runtime needs, exit code 42 before the script is "
    "imported, with an almost empty log"
)
INSIDE = "run the gate inside the environment of the job"


def test_environment_provides_imports(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """The environment contains what the script imports and the runtime needs."""
    __tracebackhide__ = True
    environment = parallelrun_entry.environment
    assert environment is not None, "without an environment there is no such check"
    named = f"the environment ({environment.origin})"
    if environment.unknown:
        parallelrun_check.cannot_decide(
            f"{named} {environment.unknown}: give its conda or requirements file with --parallelrun-environment=FILE"
        )
    if environment.problems:
        parallelrun_check.advise(
            Finding(
                what="\n".join(["The environment of the job cannot be made.", *environment.problems]),
                service="the environment is refused, or its image cannot be built; no machine runs the script",
            )
        )
        return
    packages = Packages(environment, InstalledPackages())
    settings = parallelrun_entry.settings
    imports = imports_of(parallelrun_entry.entry, settings.environment_variables.get("PYTHONPATH", ""))
    asked = _by_module(one for one in imports if one.top not in OF_THE_RUNTIME)
    needs = list(needs_of(packages, imports, settings.profile, reads_tables=parallelrun_entry.reads_tables))
    lacking = {name: one for name, one in asked.items() if packages.provides(one) == "missing"}
    needed = [need for need in needs if need.answer == "missing"]
    open_questions = [
        *(f"{name} ({one.origin})" for name, one in asked.items() if packages.provides(one) == "unknown"),
        *_listed(need for need in needs if need.answer == "unknown"),
    ]
    versions = list(_other_versions(packages, asked.values()))
    if versions:
        parallelrun_check.note(
            f"the gate ran with other versions than {named} has: {', '.join(versions)}; {INSIDE} to judge those"
        )
    if lacking or needed:
        parallelrun_check.advise(
            Finding(
                what="\n".join(
                    [
                        f"The environment of the job ({environment.origin}) lacks what the script needs.",
                        *(
                            f"{name}, imported by {one.origin}, is in no package of it."
                            for name, one in lacking.items()
                        ),
                        *(need.why for need in needed),
                    ]
                ),
                service=SERVICE,
                fix="list " + ", ".join([*(_to_list(packages, one) for one in lacking.values()), *_listed(needed)]),
            )
        )
    if open_questions:
        text = (
            f"whether {named} has {', '.join(open_questions)} cannot be determined: it may come with what is listed "
            f"and not installed here ({', '.join(packages.open_sources)}). Install them, or {INSIDE}"
        )
        if not (lacking or needed):
            parallelrun_check.cannot_decide(text)
        parallelrun_check.note(text)


def _listed(needs: Iterable[Need]) -> list[str]:
    return [need.listed_as for need in needs]


def _by_module(imports: Iterable[Import]) -> dict[str, Import]:
    """The first import of each module, by the name that identifies its package."""
    found: dict[str, Import] = {}
    for one in imports:
        found.setdefault(one.module if one.top in NAMESPACES else one.top, one)
    return found


def _to_list(packages: Packages, imported: Import) -> str:
    """The package of a module as a requirement, with the installed version, if any."""
    here = packages.installed.with_module(imported)
    if here:
        return f"{here[0]}=={packages.installed.by_name[here[0]].version}"
    return next((PROVIDERS[name][0] for name in (imported.module, imported.top) if name in PROVIDERS), imported.top)


def _other_versions(packages: Packages, imports: Iterable[Import]) -> Iterator[str]:
    """Directly imported packages, and Python, whose listed version differs from the installed one."""
    python = packages.environment.python
    if python is not None:
        yield from _difference("Python", python, gate_python())
    names = dict.fromkeys(name for one in imports for name in packages.candidates(one))
    for name in names:
        version = packages.installed.version(name)
        if name in packages.listed and version is not None:
            yield from _difference(name, packages.listed[name], version)


def _difference(name: str, listed: ListedPackage, here: Version) -> Iterator[str]:
    """The note on a package; nothing if major and minor version are allowed."""
    broken = [one for one in listed.requirement.specifier if not one.contains(here, prereleases=True)]
    if any(_release(one) != here.release[:2] for one in broken):
        yield f"{name} {here} where {listed.requirement.specifier} is listed ({listed.origin})"


def _release(specifier: Specifier) -> Sequence[int]:
    return (*Version(specifier.version.removesuffix(".*")).release, 0)[:2]
