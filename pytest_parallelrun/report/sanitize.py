"""Text that is safe to print: secrets masked, because people share CI logs, and invisible characters escaped."""

from __future__ import annotations

import json
import os
import re
import shlex
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence

MASK = "***"

# Whole words of a name that `_words()` made: neither `MAX_TOKENS` nor `TOKENIZERS_PARALLELISM` has a token in it.
_SECRET = re.compile(
    r"(?:^|_)(?:[a-z]*(?:api|access|account|secret|private|signing|encryption)_?keys?|[a-z]*secrets?"
    r"|(?:api|access|auth|bearer|refresh|sas)?token|[a-z]*passw(?:or)?ds?|passphrase|credentials?|authorization"
    r"|conn(?:ection)?_?str(?:ing)?s?|pat|pwd|sas|dsn|(?:database|db|redis|mongo(?:db)?|postgres|mysql|broker)_ur[il])"
    r"(?:_|$)|_pass$"
)
# In `partition_key` a key is a column; in `auth_mode` and `key_column` the value is a word.
_PERHAPS = re.compile(r"(?:^|_)(?:(?<!partition_)key|auth)(?:_|$)")
_OF_SOMETHING = re.compile(r"_(?:columns?|cols?|fields?|names?|files?|paths?|folder|dir|type|format|length|count)$")
_HARMLESS = re.compile(r"true|false|yes|no|on|off|none|null|[-+]?\d*\.?\d*(?:e[-+]?\d+)?", re.IGNORECASE)
_HUMPS = r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[A-Z][a-z]+){0,3}\d{0,2}"
_PLAIN = re.compile(
    rf"(?=.{{1,40}}$){_HUMPS}(?:[_.-](?:{_HUMPS}|\d{{1,4}}))*"
    r"|(?:~|\.{0,2}|[A-Za-z]:)[/\\].*|(?:[\w. -]+/)+[\w -]+\.\w{1,8}"
)
"""A plain identifier, or a path."""
_IN_VALUES = (
    # SAS tokens and connection strings.
    re.compile(
        r"((?:^|[?&;\s'\"])(?:sig|AccountKey|SharedAccessKey|SharedAccessSignature)(?:=|%3D))([^&;\s\"']+)", re.I
    ),
    re.compile(r"((?:^|[;'\"\s])(?:Password|Pwd)\s*=\s*)([^;'\"]+)(?=;)", re.I),
    re.compile(r"(;\s*(?:Password|Pwd)\s*=\s*)([^;'\"\s]+)", re.I),
    # User info in URLs; what stands before the @ without a colon is a container (abfss://) or a user (ssh://).
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^/\s:@'\"?#]*:)([^/\s'\"?#]+)(?=@)", re.I),
    re.compile(r"(\bhttps?://)([^/\s:@'\"?#]+)(?=@)", re.I),
    # Headers; "Bearer token" and "Basic authentication" are words.
    re.compile(r"(\b(?:[Bb]earer|[Bb]asic)\s+)((?![A-Za-z]?[a-z]+\b(?![-._~+/=]))[\w.~+/=-]{6,})"),
)
"""What shows by itself that it is a secret, as the second group."""
_PAIR = re.compile(r"(?<![\w.])(-{0,2}[a-z_][\w.-]*)(=|(?<=\w)\s+(?=[^-\s]))([^\s'\"]+)", re.IGNORECASE)

MIN_GIVEN_LENGTH = 6
"""Minimum length of a secret that was given to the run; a shorter one would match normal words."""
MIN_INHERITED_LENGTH = 8
"""The same for variables that this process happens to have, such as `KEYBOARD=us`."""


def is_secret(name: str, value: str) -> bool:
    """Whether the name of an option or variable says that this value is a secret."""
    words = _words(name)
    if _SECRET.search(words) and not _OF_SOMETHING.search(words):
        return True
    perhaps = _SECRET.search(words) or _PERHAPS.search(words)
    return bool(perhaps) and not (_PLAIN.fullmatch(value) or os.path.exists(value))


def _words(name: str) -> str:
    """`--apiKey`, `API-KEY2` -> `api_key`."""
    return re.sub(r"[^a-z]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()).strip("_")


def masked(name: str, value: str) -> str:
    """The value, or the mask where the name or the value itself looks like a secret."""
    return MASK if is_secret(name, value) else _masked_values(value)


def _masked_values(text: str) -> str:
    for pattern in _IN_VALUES:
        text = pattern.sub(rf"\1{MASK}", text)
    return text


def masked_arguments(arguments: Sequence[str]) -> str:
    """Arguments in one line, quoted as for a shell, with the values of secret-looking options masked."""
    return " ".join(text if MASK in text else shlex.quote(text) for text, _ in _arguments(arguments))


def masked_text(text: str) -> str:
    """A sentence with `NAME=VALUE` and `--name VALUE` masked where the name looks like a secret's."""

    def mask(match: re.Match[str]) -> str:
        name, separator, value = match.groups()
        named = separator == "=" or name.startswith("-")
        return f"{name}{separator}{masked(name, value)}" if named else match.group()

    return _masked_values(_PAIR.sub(mask, text))


class Redaction:
    """Removes the values of known secrets from texts, such as errors of a script.

    Numbers, such as a limit of tokens, and words such as `false` stay: they occur for other reasons too.
    """

    def __init__(self, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        """`environment`: variables that were given; those of this process are looked at as well."""
        given = [value for name, value in environment.items() if is_secret(name, value)]
        given += [secret for _, secret in _arguments(arguments)]
        given += _shown_by_themselves([*environment.values(), *arguments])
        inherited = [
            value
            for name, value in os.environ.items()
            if len(value) >= MIN_INHERITED_LENGTH and is_secret(name, value) and not os.path.exists(value)
        ]
        inherited += _shown_by_themselves(os.environ.values())
        # Of a key of many lines each, since a text may indent them.
        secrets = {part for value in (*given, *inherited) for part in (value, *value.splitlines())}
        known = {value for value in secrets if len(value) >= MIN_GIVEN_LENGTH and not _HARMLESS.fullmatch(value)}
        self._secrets = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _masked_values(text)

    def values(self, values: Mapping[str, object]) -> dict[str, object]:
        """The same for all strings in plain values, at any depth."""
        return {name: self._value(value) for name, value in values.items()}

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.values(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(element) for element in value)
        return value


def _shown_by_themselves(values: Iterable[str]) -> list[str]:
    """The passwords in URLs and connection strings and the like, which a script may show alone."""
    return [match[2] for value in values for pattern in _IN_VALUES for match in pattern.finditer(value)]


def _forms(secret: str) -> Iterator[str]:
    """As texts may have it: in a literal of Python, in JSON, in a URL."""
    yield secret
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for quote in (urllib.parse.quote, urllib.parse.quote_plus):
        yield quote(secret)
        yield quote(secret, safe="")
    yield urllib.parse.unquote(secret)


def _arguments(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument as it may be shown, and the secret in it or ""."""
    option = ""
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if option and not argument.startswith("--") and is_secret(option, argument):
            yield MASK, argument
            option = ""
            continue
        if argument.startswith("-") and separator and is_secret(name, value):
            yield f"{name}={MASK}", value
        else:
            yield _masked_values(argument), ""
        option = argument if argument.startswith("-") and not separator else ""


# Control characters, which a terminal obeys; surrogates, which cannot be encoded; marks that change the writing
# direction, with which a name looks like another one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with invisible characters escaped, such as `\x1b`; line breaks and tabs stay."""
    return _UNSEEN.sub(lambda match: match.group().encode("unicode-escape").decode("ascii"), text.replace("\r\n", "\n"))


# The runner of GitHub ends lines at a single \r as well, and does not see characters without a width.
_COMMAND = re.compile(r"(?:^|(?<=[\r\n]))[^a-z0-9\r\n]*?:(?=:)|##(?=\[|vso\[|teamcity\[)", re.IGNORECASE)


def defused(text: str) -> str:
    """The text without commands to CI systems: an error of a script that begins with `::` would be obeyed."""
    return _COMMAND.sub(lambda match: f"{match.group()} ", text)


def printable(text: str) -> str:
    """A text with names, values or errors of somebody else, as everything that this package prints goes through."""
    return defused(visible(text))


def printable_line(text: str) -> str:
    """The same for what is one line, with line breaks written out."""
    return printable(text.replace("\r", "\\r").replace("\n", "\\n"))


def in_one_line(text: str) -> str:
    """The same without line breaks, for a cell or a heading."""
    return " ".join(visible(text).split())


def first_line(text: str) -> str:
    """The headline of a finding."""
    return text.partition("\n")[0]


def count_of(number: int, noun: str) -> str:
    """Such as "1 check" or "23 checks"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
