"""Sphinx: `python -m sphinx -W --keep-going -b html docs build/docs`, with the extra `docs`."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "pytest-parallelrun"
author = "The pytest-parallelrun maintainers"
release = metadata.version("pytest-parallelrun")

extensions = ["myst_parser", "reference_tables"]
nitpicky = True

myst_heading_anchors = 4
# The console blocks show what is typed and printed.
highlight_language = "none"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_title = f"pytest-parallelrun {release}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
