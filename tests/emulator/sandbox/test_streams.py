from __future__ import annotations

import io
import sys

import pytest

from pytest_parallelrun.emulator.sandbox.streams import OutputTail, WorkerStream, show


@pytest.fixture
def host() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stream(host: io.StringIO) -> WorkerStream:
    return WorkerStream(host, "stdout")


def test_text_comes_out_on_the_host(stream: WorkerStream, host: io.StringIO) -> None:
    print("größer als", 1, file=stream)
    assert host.getvalue() == "größer als 1\n"


def test_bytes_come_out_as_text(stream: WorkerStream, host: io.StringIO) -> None:
    stream.buffer.write("schön\n".encode())
    stream.buffer.flush()
    assert host.getvalue() == "schön\n"


def test_streams_of_one_worker_share_the_end_of_what_they_were_given(host: io.StringIO) -> None:
    tail = OutputTail()
    for name in ("stdout", "stderr"):
        print(f"on {name}", file=WorkerStream(host, name, tail=tail))
    assert tail.text == "on stdout\non stderr\n"
    tail.add("x" * OutputTail.MAX)
    assert tail.text == "x" * OutputTail.MAX
    tail.clear()
    assert tail.text == ""


def test_a_character_may_come_in_two_pieces(stream: WorkerStream, host: io.StringIO) -> None:
    first, second = "ö".encode()[:1], "ö".encode()[1:]
    for piece in (first, second):
        stream.buffer.write(piece)
        stream.buffer.flush()
    assert host.getvalue() == "ö"


def test_bytes_that_are_no_text_do_not_fail(stream: WorkerStream, host: io.StringIO) -> None:
    stream.buffer.write(b"a\xffb")
    stream.buffer.flush()
    assert host.getvalue() == "a�b"


def test_text_that_cannot_be_encoded_does_not_fail(stream: WorkerStream, host: io.StringIO) -> None:
    print("\ud800", file=stream)
    assert host.getvalue() == "\\ud800\n"


@pytest.mark.parametrize("end", [lambda s: s.close(), lambda s: s.detach(), lambda s: s.buffer.close()])
def test_the_host_stays_open_whatever_is_closed(stream: WorkerStream, host: io.StringIO, end: object) -> None:
    end(stream)  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"closed|detached"):
        stream.write("x")
    host.write("still open")
    assert host.getvalue() == "still open"


def test_the_buffer_can_be_wrapped_anew(stream: WorkerStream, host: io.StringIO) -> None:
    wrapped = io.TextIOWrapper(stream.buffer, encoding="utf-8")
    print("grün", file=wrapped)
    wrapped.flush()
    assert host.getvalue() == "grün\n"


def test_it_can_be_reconfigured(stream: WorkerStream, host: io.StringIO) -> None:
    stream.reconfigure(line_buffering=False, errors="strict")
    print("x", file=stream, flush=True)
    assert host.getvalue() == "x\n"


def test_it_is_no_terminal(stream: WorkerStream) -> None:
    assert not stream.isatty()


def test_it_has_the_file_number_of_the_host() -> None:
    with open(__file__, encoding="utf-8") as file:
        assert WorkerStream(file, "stdout").fileno() == file.fileno()


def test_without_a_file_below_it_has_no_number(stream: WorkerStream) -> None:
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


def test_a_host_without_a_stream_takes_nothing() -> None:
    stream = WorkerStream(None, "stderr")
    print("nobody reads this", file=stream)
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_after_the_job_text_goes_to_the_stream_of_that_time(
    host: io.StringIO, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stream = WorkerStream(host, name)  # type: ignore[arg-type]
    stream.release()
    later = io.StringIO()
    monkeypatch.setattr(sys, name, later)
    print("a handler kept the stream", file=stream)
    assert (host.getvalue(), later.getvalue()) == ("", "a handler kept the stream\n")


def test_a_host_that_knows_ascii_alone_shows_the_rest_as_escapes() -> None:
    data = io.BytesIO()
    host = io.TextIOWrapper(data, encoding="ascii", write_through=True)
    print("größer", file=WorkerStream(host, "stdout"))
    assert data.getvalue() == b"gr\\xf6\\xdfer\n"


def test_a_host_that_is_closed_is_shown_nothing() -> None:
    host = io.StringIO()
    host.close()
    show("text", host)
    show("text", None)
