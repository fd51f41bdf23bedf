"""Text that is safe to print: secrets masked, because people share CI logs, and invisible characters escaped."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

MASK = "***"

# Whole words of a name that `_words()` made: neither `MAX_TOKENS` nor `TOKENIZERS_PARALLELISM` has a token in it.
# In `partition_key` a key is a column.
_NAME = re.compile(
    r"(?:^|_)(?:(?<!partition_)key|[a-z]*(?:api|access|account|secret|private)_?keys?|[a-z]*secrets?"
    r"|(?:api|access|auth|bearer|refresh|sas)?token|[a-z]*passw(?:or)?ds?|passphrase|credentials?"
    r"|conn(?:ection)?_?str(?:ing)?s?|pat|pwd|sas)(?:_|$)"
)
_HARMLESS = re.compile(r"true|false|yes|no|on|off|none|null|[-+]?\d*\.?\d*(?:e[-+]?\d+)?", re.IGNORECASE)
_SIGNATURE = re.compile(r"((?:^|[?&;\s'\"])(?:sig|AccountKey|SharedAccessKey)=)[^&;\s\"']+", re.IGNORECASE)
_PAIR = re.compile(r"(?<![\w.])(-{0,2}[a-z_][\w.-]*)(=|(?<=\w)\s+(?=[^-\s]))([^\s'\"]+)", re.IGNORECASE)

MIN_GIVEN_LENGTH = 6
"""Minimum length of a secret that was given to the run; a shorter one would match normal words."""
MIN_INHERITED_LENGTH = 8
"""The same for variables that this process happens to have, such as `KEYBOARD=us`."""


def names_a_secret(name: str) -> bool:
    """Whether the name of an option or variable says that its value is a secret."""
    return _NAME.search(_words(name)) is not None


def _words(name: str) -> str:
    """`--apiKey`, `API-KEY2` -> `api_key`."""
    return re.sub(r"[^a-z]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()).strip("_")


def masked(name: str, value: str) -> str:
    """The value, or the mask if the name or the value looks like a secret."""
    return MASK if names_a_secret(name) else _SIGNATURE.sub(rf"\1{MASK}", value)


def masked_arguments(arguments: Sequence[str]) -> str:
    """Arguments in one line, quoted as for a shell, with the values of secret-looking options masked."""
    return " ".join(text if MASK in text else shlex.quote(text) for text, _ in _arguments(arguments))


def masked_text(text: str) -> str:
    """A sentence with `NAME=VALUE` and `--name VALUE` masked where the name looks like a secret's."""

    def mask(match: re.Match[str]) -> str:
        name, separator, value = match.groups()
        named = separator == "=" or name.startswith("-")
        return f"{name}{separator}{masked(name, value)}" if named else match.group()

    return _SIGNATURE.sub(rf"\1{MASK}", _PAIR.sub(mask, text))


class Redaction:
    """Removes the values of known secrets from texts, such as errors of a script.

    Numbers, such as a limit of tokens, and words such as `false` stay: they occur for other reasons too.
    """

    def __init__(self, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        """`environment`: variables that were given; those of this process are used too."""
        secrets_given = [value for name, value in environment.items() if names_a_secret(name)]
        secrets_given += [secret for _, secret in _arguments(arguments)]
        inherited = [
            value
            for name, value in os.environ.items()
            if len(value) >= MIN_INHERITED_LENGTH and names_a_secret(name) and not os.path.exists(value)
        ]
        secrets = {value for value in secrets_given if len(value) >= MIN_GIVEN_LENGTH} | set(inherited)
        self._secrets = sorted((text for text in secrets if not _HARMLESS.fullmatch(text)), key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _SIGNATURE.sub(rf"\1{MASK}", text)

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


def _arguments(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument as it may be shown, and the secret in it or ""."""
    secret_follows = False
    for argument in arguments:
        option = argument.startswith("-")
        name, separator, value = argument.partition("=")
        if secret_follows and not argument.startswith("--"):
            yield MASK, argument
            secret_follows = False
        elif option and separator and names_a_secret(name):
            yield f"{name}={MASK}", value
            secret_follows = False
        else:
            yield masked("", argument), ""
            secret_follows = option and not separator and names_a_secret(name)


# Control characters, which a terminal obeys; surrogates, which cannot be encoded; marks that change the writing
# direction, with which a name looks like another one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with invisible characters escaped, such as `\x1b`; line breaks and tabs stay."""
    return _UNSEEN.sub(lambda match: match.group().encode("unicode-escape").decode("ascii"), text.replace("\r\n", "\n"))


def in_one_line(text: str) -> str:
    """The same without line breaks, for a cell or a heading."""
    return " ".join(visible(text).split())


def first_line(text: str) -> str:
    """The headline of a finding."""
    return text.partition("\n")[0]


def count_of(number: int, noun: str) -> str:
    """Such as "1 check" or "23 checks"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
