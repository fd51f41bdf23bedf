"""The tables of the reference pages, generated from the tables of the code.

A page has a place for each, between `<!-- generated: NAME -->` and `<!-- end -->`. This command fills it, so that the
pages can be read in the repository:

    python docs/_ext/reference_tables.py

A test fails if somebody forgets it. As an extension of Sphinx this module generates the tables again for every build.
"""

# ruff: noqa: T201  # a command that prints

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from recorded_runs import RUNS

import pytest_parallelrun
from pytest_parallelrun import JobSettings, Rules
from pytest_parallelrun._fixtures import MARKER
from pytest_parallelrun._options import ACCEPT, ACCEPT_HELP, OPTIONS
from pytest_parallelrun.contract import CHECKS, CheckSpec
from pytest_parallelrun.emulator.events import Event, Failure, JobStatus, MiniBatchStatus, Outcome, Phase
from pytest_parallelrun.emulator.rules import CHOICES
from pytest_parallelrun.emulator.setting_table import Profile, Setting, setting_table
from pytest_parallelrun.emulator.splitting.model import SETTINGS, USED, Form, MiniBatch

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
SEEN = "| seen in a real run | test |"
RULE = re.compile(r"^(\| .* \|)[^|\n]*(\| `tests/[\w/]+\.py::([\w:]+)` \|)$", re.MULTILINE)
PLACE = re.compile(r"(<!-- generated: (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)
PROFILES: tuple[Profile, ...] = get_args(Profile)
KINDS = {"value": "", "list": "repeatable", "flag": "flag"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; cells are one line each."""
    names = list(head)
    lines = [
        names,
        ["---"] * len(names),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def options(_: str) -> str:
    return table(
        ("option", "ini", "", "meaning"),
        (
            (
                f"`{option.flag}{'=' + option.metavar if option.metavar else ''}`",
                f"`{option.dest}`",
                KINDS[option.kind],
                option.help,
            )
            for option in OPTIONS
        ),
    )


def ini_only(_: str) -> str:
    return table(("ini", "meaning"), [(f"`{ACCEPT}`", ACCEPT_HELP)])


def settings(_: str) -> str:
    return table(
        ("setting", *PROFILES, "meaning"),
        (
            (
                f"`{name}`",
                *(default_of(name, profile) for profile in PROFILES),
                setting.help + ("" if setting.emulated else " (worker processes only)"),
            )
            for name, setting in setting_table().items()
        ),
    )


def default_of(name: str, profile: Profile) -> str:
    """The default of a setting, as the pages write it."""
    defaults = JobSettings(profile=profile)
    if name == "mini_batch_size":
        return defaults.mini_batch_size_text
    if name == "rules":
        return defaults.rules.name
    if name == "profile":
        return "v2"
    value = getattr(defaults, name)
    return "none" if value in (None, ()) or value == {} else f"`{value}`" if value == "," else str(value)


def setting_names(_: str) -> str:
    return table(
        ("setting", "value", "v1 name", "program argument"),
        ((f"`{name}`", *_names(setting)) for name, setting in setting_table().items()),
    )


def _names(setting: Setting[object, object]) -> Iterable[str]:
    yield setting.type.allowed
    yield f"`{setting.v1_name}`" if setting.v1_name else ""
    yield f"`{setting.argument}`" if setting.argument else ""


def migration(_: str) -> str:
    """The settings whose name or default changed from v1 to v2."""
    changed = {
        name: setting
        for name, setting in setting_table().items()
        if name != "profile" and (setting.v1_name or default_of(name, "v1") != default_of(name, "v2"))
    }
    return table(
        ("in v1", "in v2", "default in v1, in terms of v2", "default in v2"),
        (
            (f"`{setting.v1_name or name}`", f"`{name}`", default_of(name, "v1"), default_of(name, "v2"))
            for name, setting in changed.items()
        ),
    )


def disputed(_: str) -> str:
    return table(
        ("setting", "profile", "default", "what another document says"),
        (
            (f"`{name}`", profile, default_of(name, profile), setting.disputed[profile])
            for name, setting in setting_table().items()
            for profile in PROFILES
            if profile in setting.disputed
        ),
    )


def rules(_: str) -> str:
    documented, observed = Rules.documented(), Rules.observed()
    meanings = parts_of(Rules)
    return table(
        ("rule", "documented", "observed", "meaning"),
        (
            (f"`{name}`", f"`{getattr(documented, name)}`", f"`{getattr(observed, name)}`", meanings[name])
            for name in CHOICES
        ),
    )


def parts_of(described: type) -> Mapping[str, str]:
    """The paragraphs of a docstring that start with a name and a colon, by that name."""
    text = inspect.getdoc(described) or ""
    found = re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {name: re.sub(r'"(\w+)"', r"`\1`", " ".join(meaning.split())) for name, meaning in found}


def checks(_: str) -> str:
    return table(
        ("check", "level", "needs a sample", "finds"),
        ((f"[`{check.name}`]({check.name}.md)", *_facts(check)) for check in CHECKS),
    )


def check(name: str) -> str:
    (found,) = (check for check in CHECKS if check.name == name)
    needs = "needs a sample" if found.needs_input else "needs no sample"
    level = {
        "error": "*Error*: it fails the gate",
        "advice": "*Advice*: it fails the gate only with `--parallelrun-strict`",
    }[found.level]
    return f"Finds: {found.finds}.\n\n{level}; {needs}.\n"


def _facts(check: CheckSpec) -> tuple[str, str, str]:
    return check.level, "yes" if check.needs_input else "no", check.finds


def fixtures(_: str) -> str:
    source = Path(pytest_parallelrun.__file__).with_name("_fixtures.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    found = ((node, _scope(node)) for node in tree.body if isinstance(node, ast.FunctionDef))
    return table(
        ("fixture", "scope", "what it is"),
        ((f"`{node.name}`", scope, ast.get_docstring(node) or "") for node, scope in found if scope),
    )


def _scope(function: ast.FunctionDef) -> str:
    """The scope of a fixture; "" for any other function."""
    for decorator in function.decorator_list:
        text = ast.unparse(decorator)
        if text.startswith("pytest.fixture"):
            scope = re.search(r"scope='(\w+)'", text)
            return scope[1] if scope else "function"
    return ""


def marker(_: str) -> str:
    call, _, meaning = MARKER.partition(": ")
    return f"`@pytest.mark.{call}`: {meaning}.\n"


def events(_: str) -> str:
    return "\n".join(_event(kind) for kind in get_args(Event))


def event_parts(_: str) -> str:
    """The types of the fields of events."""
    return "\n".join(map(_event, (MiniBatch, Failure)))


def event_words(_: str) -> str:
    words = {"JobStatus": JobStatus, "MiniBatchStatus": MiniBatchStatus, "Outcome": Outcome, "Phase": Phase}
    return table(("type", "values"), ((f"`{name}`", ", ".join(map(repr, get_args(of)))) for name, of in words.items()))


def _event(kind: type) -> str:
    text = inspect.getdoc(kind)
    rows = ((f"`{name}`", f"`{annotation(value)}`") for name, value in kind.__annotations__.items())
    return f"### `{kind.__name__}`\n\n{text}\n\n{table(('field', 'type'), rows)}"


def input_settings(_: str) -> str:
    def cell(form: Form, name: str) -> str:
        if name in USED[form].settings:
            return "yes"
        if name == "mini_batch_rows" and form in ("files", "delimited", "parquet"):
            return "makes JSON lines of it"
        return "no effect" if name in ("mini_batch_size", "encoding", "delimiter") else "refused"

    forms = [form for form in USED if form != "prebuilt"]
    rows = ((USED[form].title, *(cell(form, name) for name in SETTINGS), USED[form].why) for form in forms)
    return table(("input", *(f"`{name}`" for name in SETTINGS), "reason"), rows)


def recorded_runs(_: str) -> str:
    rows = ((str(number), run.job, run.seen) for number, run in enumerate(RUNS, 1))
    return table(("run", "job", "what was seen"), rows)


def with_seen_runs(text: str) -> str:
    """The page on fidelity with the numbers of the recorded runs in the row of each rule."""

    def row(match: re.Match[str]) -> str:
        numbers = [str(number) for number, run in enumerate(RUNS, 1) if match[3].partition("::")[0] in run.tests]
        return f"{match[1]} {'run ' + ', '.join(numbers) if numbers else 'no'} {match[2]}"

    return RULE.sub(row, text) if SEEN in text else text


def annotation(value: object) -> str:
    """A type as it appears in the source."""
    return getattr(value, "__forward_arg__", None) or str(value)


TABLES: Mapping[str, Callable[[str], str]] = {
    made.__name__: made
    for made in (
        options,
        ini_only,
        settings,
        setting_names,
        disputed,
        migration,
        rules,
        checks,
        recorded_runs,
        check,
        fixtures,
        marker,
        events,
        event_parts,
        event_words,
        input_settings,
    )
}


def filled(text: str) -> str:
    """A page with its tables. KeyError for an unknown table."""
    text = PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]](place[3] or '')}{place[4]}", text)
    return with_seen_runs(text)


def main() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"written: {page.relative_to(DOCS.parent)}")


OUTSIDE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./)*\.\./((?:README|CHANGELOG|CONTRIBUTING|LICENSE|example_scripts/)[^)]*)\)"
)


def without_links_to_files(text: str) -> str:
    """A page without links to files that are not on the site: their names replace them."""
    return OUTSIDE.sub(lambda link: f"{link[1]} (`{link[2].partition('#')[0]}`)", text)


def setup(app: Sphinx) -> dict[str, object]:
    def fill(app: Sphinx, name: str, source: list[str]) -> None:
        source[0] = without_links_to_files(filled(source[0]))

    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True}


if __name__ == "__main__":
    main()
