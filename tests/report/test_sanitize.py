from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from pytest_parallelrun.report.sanitize import (
    MASK,
    Redaction,
    in_one_line,
    masked,
    masked_arguments,
    masked_text,
    visible,
)

SECRET_NAMES = [
    "API_KEY",
    "api-key",
    "client_secret",
    "AZURE_CLIENT_SECRET",
    "auth-token",
    "PASSWORD",
    "db_passwd",
    "passphrase",
    "AZURE_DEVOPS_EXT_PAT",
    "SAS_URL",
    "STORAGE_CONNECTION_STRING",
    "connectionString",
    "CONN_STR",
    "DB_PWD",
    "credentials",
    "API_TOKEN",
    "ACCESS_TOKEN",
    "apiKey",
    "APIKEY",
    "PGPASSWORD",
    "DB_PASS",
    "AUTHORIZATION",
    "DATABASE_URL",
    "SENTRY_DSN",
    "signing-key",
]
HARMLESS_NAMES = ["mini_batch_size", "PATH", "pattern", "partition_keys", "sassy", "patience", "verdict", "HOME"]
HARMLESS_NAMES += ["max_tokens", "MAX_TOKENS", "TOKENIZERS_PARALLELISM", "keyboard"]
SAS = "https://a.blob.core.windows.net/c?sv=2024&sig=aB%2Fc&se=2030"


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_value_of_a_secret_name_is_masked(name: str) -> None:
    assert masked(name, "hunter2") == MASK
    assert masked_arguments([f"--{name}", "hunter2"]) == f"--{name} {MASK}"
    assert masked_arguments([f"--{name}=hunter2"]) == f"--{name}={MASK}"
    assert masked_text(f"{name}=hunter2 is wrong") == f"{name}={MASK} is wrong"


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_other_values_are_shown(name: str) -> None:
    assert masked(name, "shown") == "shown"
    assert masked_arguments([f"--{name}", "shown", f"--{name}=shown"]) == f"--{name} shown --{name}=shown"
    assert masked_text(f"{name}=shown is wrong") == f"{name}=shown is wrong"


def test_a_signature_is_masked_wherever_it_stands() -> None:
    hidden = SAS.replace("aB%2Fc", MASK)
    assert masked("url", SAS) == hidden
    assert hidden in masked_arguments(["--url", SAS])
    assert masked_text(f"cannot open '{SAS}'") == f"cannot open '{hidden}'"
    assert masked("x", "AccountName=a;AccountKey=abc==;Suffix=b") == f"AccountName=a;AccountKey={MASK};Suffix=b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key-column", "customer_id"),
        ("sort_key", "orderDate"),
        ("KEY_VAULT_NAME", "kv-scoring-02"),
        ("SSH_KEY", "~/.ssh/id_rsa"),
        ("key_file", "keys/public key.pem"),
        ("token-column", "text"),
        ("auth_mode", "identity"),
        ("PASSWORD_FILE", "/run/secrets/db"),
    ],
)
def test_a_word_or_a_path_of_a_name_that_only_has_a_key_in_it_is_shown(name: str, value: str) -> None:
    assert masked(name, value) == value
    assert MASK not in masked_arguments([f"--{name}", value, f"--{name}={value}"])
    assert masked(name, "aB3xY9zQ1w/==") == MASK
    assert Redaction({name: value}, [f"--{name}", value]).text(f"it is {value}") == f"it is {value}"


SHOWN_BY_THEMSELVES = [
    ("postgresql://me:hunter2@db:5432/x", "postgresql://me:***@db:5432/x", "hunter2"),
    ("https://ghp_1234567890@github.com/a", "https://***@github.com/a", "ghp_1234567890"),
    ("'Authorization': 'Bearer abc.DEF-123'", "'Authorization': 'Bearer ***'", "abc.DEF-123"),
    ("Basic dXNlcjpwYXNz", "Basic ***", "dXNlcjpwYXNz"),
    (
        "Server=tcp:x;User ID=me;Password=p w,d;Encrypt=True",
        "Server=tcp:x;User ID=me;Password=***;Encrypt=True",
        "p w,d",
    ),
    ("Server=x;Pwd=hunter2", "Server=x;Pwd=***", "hunter2"),
    ("Endpoint=sb://a;SharedAccessKey=k3y/+==", "Endpoint=sb://a;SharedAccessKey=***", "k3y/+=="),
    ("?sv=2024&sig%3DaB%2Fc9x&se=2030", "?sv=2024&sig%3D***&se=2030", "aB%2Fc9x"),
]


@pytest.mark.parametrize(("text", "shown", "secret"), SHOWN_BY_THEMSELVES)
def test_secrets_that_show_by_themselves_are_masked_in_any_text(text: str, shown: str, secret: str) -> None:
    assert masked_text(text) == masked("x", text) == Redaction({}, []).text(text) == shown
    # A script may show the password of a URL alone.
    redaction = Redaction({"TARGET": text}, [])
    assert redaction.text(f"got <{secret}>") == (f"got <{MASK}>" if len(secret) >= 6 else f"got <{secret}>")


@pytest.mark.parametrize(
    "text",
    [
        "abfss://container@account.dfs.core.windows.net/x",
        "git clone ssh://git@host/x",
        "Basic authentication and a Bearer token",
        "connect(user=user, timeout=3)",
        "http://host:80/a@b",
    ],
)
def test_what_only_looks_similar_is_shown(text: str) -> None:
    assert masked_text(text) == text


def test_a_secret_is_masked_in_every_form_that_texts_have_it_in() -> None:
    secret = 'pä"ss\\w/or d\t&x'
    redaction = Redaction({"API_TOKEN": secret}, [])
    forms = [secret, repr(secret), ascii(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False)]
    forms += [quote(secret), quote(secret, safe=""), quote_plus(secret)]
    for form in forms:
        assert redaction.text(f"<{form}>").strip("<'\">") == MASK, form
    assert Redaction({"API_TOKEN": quote(secret)}, []).text(secret) == MASK
    key = Redaction({"PRIVATE_KEY": "-----BEGIN-----\nMIIEv9xY\n-----END-----"}, [])
    assert "MIIEv9xY" not in key.text("  MIIEv9xY\n")


def test_each_option_has_its_own_value() -> None:
    assert masked_arguments(["--verbose", "--password", "hunter2", "x"]) == f"--verbose --password {MASK} x"


def test_a_secret_with_spaces_is_masked_as_a_whole() -> None:
    assert masked_arguments(["--password", "correct horse", "--name", "a b"]) == f"--password {MASK} --name 'a b'"


def test_a_flag_after_a_secret_name_is_no_secret() -> None:
    assert masked_arguments(["--use_token", "--verbose", "yes"]) == "--use_token --verbose yes"


def test_a_value_that_begins_with_a_dash_is_masked() -> None:
    assert masked_arguments(["--password", "-x1"]) == f"--password {MASK}"


def test_options_in_a_sentence_are_masked() -> None:
    assert masked_text("arguments '--api_key hunter2': no") == f"arguments '--api_key {MASK}': no"
    assert masked_text("the key is unknown") == "the key is unknown"


def test_known_secrets_are_taken_out_of_any_text() -> None:
    redaction = Redaction({"API_KEY": "hunter2", "REGION": "west"}, ["--password", "correct horse", "--x=1"])
    assert redaction.text("hunter2 of west has 'correct horse'") == f"{MASK} of west has '{MASK}'"


def test_the_longest_secret_is_taken_out_first() -> None:
    redaction = Redaction({"A_TOKEN": "hunter", "B_TOKEN": "hunter2000"}, [])
    assert redaction.text("hunter2000, hunter") == f"{MASK}, {MASK}"


def test_a_secret_too_short_to_be_told_from_a_word_stays() -> None:
    assert Redaction({"A_KEY": "1"}, ["--token", ""]).text("11 items of 1") == "11 items of 1"


@pytest.mark.parametrize("value", ["true", "false", "1024000", "-0.000001", "1e-00005", "abcde"])
def test_a_value_that_texts_have_for_other_reasons_stays(value: str) -> None:
    redaction = Redaction({"A_KEY": value}, ["--token", value])
    assert redaction.text(f"it is {value}") == f"it is {value}"


def test_secrets_of_this_process_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "x123456789")
    monkeypatch.setenv("SHORT_TOKEN", "true")
    redaction = Redaction({}, [])
    assert redaction.text("x123456789 is true") == f"{MASK} is true"


def test_a_path_in_a_variable_of_this_process_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = str(tmp_path_factory.mktemp("keys"))
    monkeypatch.setenv("SSH_KEY_FOLDER", folder)
    assert Redaction({}, []).text(f"in {folder}") == f"in {folder}"


def test_plain_values_are_looked_through_however_deep() -> None:
    redaction = Redaction({"API_KEY": "hunter2"}, [])
    values = {"a": "hunter2", "b": ["x hunter2", 3], "c": {"d": ("hunter2", None)}, "e": 1.5}
    assert redaction.values(values) == {"a": MASK, "b": [f"x {MASK}", 3], "c": {"d": (MASK, None)}, "e": 1.5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer 😀\tend\nnext", "größer 😀\tend\nnext"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\rc", "a\nb\\rc"),
        ("x\u202egnp.exe", "x\\u202egnp.exe"),
        ("line\u2028sep", "line\\u2028sep"),
        ("file \udcff", "file \\udcff"),
        ("\0\x7f\x9b", "\\x00\\x7f\\x9b"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_stays_one() -> None:
    assert in_one_line(" a\n\tb\x0bc ") == "a b\\x0bc"
