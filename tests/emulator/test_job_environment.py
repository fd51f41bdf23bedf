from __future__ import annotations

from packaging.requirements import Requirement

from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage


def test_an_environment_of_which_nothing_is_said_lists_nothing() -> None:
    environment = JobEnvironment(origin="job.yml:3")
    assert (environment.unknown, environment.problems, environment.packages, environment.conda) == ("", (), (), False)


def test_a_package_knows_where_it_is_listed() -> None:
    listed = ListedPackage(Requirement("pandas==1.5.3"), "conda.yml:4")
    assert (str(listed.requirement.specifier), listed.origin) == ("==1.5.3", "conda.yml:4")
