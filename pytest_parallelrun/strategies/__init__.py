"""Strategies for Hypothesis: mini-batches of a sample, faults, settings, and whole jobs.

They draw recipes: small frozen values whose repr creates them again after `from pytest_parallelrun.strategies import
*`.
"""

from __future__ import annotations

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.strategies.files import Files, Item
from pytest_parallelrun.strategies.frames import Cell, Rows
from pytest_parallelrun.strategies.jobs import JobCase, fault_plans, job_settings, jobs
from pytest_parallelrun.strategies.mini_batches import mini_batches, recipes
from pytest_parallelrun.strategies.sample import Sample

__all__ = [
    "Cell",
    "Fault",
    "Files",
    "Item",
    "JobCase",
    "JobSettings",
    "Rows",
    "Sample",
    "fault_plans",
    "job_settings",
    "jobs",
    "mini_batches",
    "recipes",
]
