"""Logging to standard error and a file, which no thread waits for."""

import logging
import os
import sys
import threading
from contextlib import suppress

import pytest

from robojam.system.log_queue import OncePerMinute, logging_to, make_handlers, print_line

KEPT_OPEN: list[object] = []
log = logging.getLogger("robojam")


def test_warnings_go_to_standard_error_and_to_the_file(tmp_path, capfd):
    level = log.level
    with logging_to(make_handlers(str(tmp_path / "log")), verbose=False):
        log.warning("a port is %s", "gone")
        log.debug("not this")
    assert log.level == level
    assert capfd.readouterr().err == "robojam: a port is gone\n"
    assert (tmp_path / "log").read_text().endswith(" WARNING a port is gone\n")
    log.warning("after")
    assert capfd.readouterr().err in ("", "after\n")  # by Python's last resort, if at all


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_log_on_a_full_disk_is_said_once_on_standard_error(capfd):
    with logging_to(make_handlers("/dev/full"), verbose=False):
        log.warning("one")
        log.warning("two %s", 2)
    assert capfd.readouterr().err.splitlines() == [
        "robojam: one",
        "robojam: the log cannot be written ([Errno 28] No space left on device); "
        "the jam goes on",
        "robojam: two 2",
    ]


def test_verbose_log_holds_everything_each_time(capfd):
    with logging_to(make_handlers(None), verbose=True):
        for _ in range(2):
            log.debug("this too: é…")
    assert capfd.readouterr().err.count("this too") == 2


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return log.makeRecord("robojam", logging.INFO, "", 0, message, args, None, extra=extra)


def test_record_of_one_kind_passes_once_a_minute_and_tells_of_those_left_out():
    now = [0.0]
    once = OncePerMinute(lambda: now[0])
    passed = []
    for second in range(130):
        now[0] = second
        one = record("dropped %d", second, kind="drop nested")
        passed += [one.getMessage()] if once.filter(one) else []
    rest = " (and 59 more like it, not shown)"
    assert passed == ["dropped 0", f"dropped 60{rest}", f"dropped 120{rest}"]


def test_different_texts_of_one_format_pass_and_a_flood_of_them_does_not():
    once = OncePerMinute(lambda: 0.0)
    joins = [once.filter(record("human%d plays", n)) for n in (1, 2, 2, 3)]
    assert joins == [True, True, False, True]
    assert sum(once.filter(record("human%d plays", n)) for n in range(100)) == 3


def test_kinds_that_are_remembered_are_bounded_and_the_latest_are_remembered():
    once = OncePerMinute(lambda: 0.0)
    assert all(once.filter(record("x", kind=str(n))) for n in range(1000))
    assert not once.filter(record("x", kind="999"))
    assert once.filter(record("x", kind="0"))


def test_log_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_handlers(str(tmp_path / "none" / "log"))


def test_stopped_terminal_blocks_no_thread_that_logs(monkeypatch):
    read_end, write_end = os.pipe()
    # Left open: the thread that writes to it must not find another file in its place.
    monkeypatch.setattr(sys, "stderr", os.fdopen(write_end, "w"))
    threads = threading.active_count()
    with logging_to(make_handlers(None), verbose=False):
        for i in range(5000):  # more than the pipe and the queue hold
            log.warning("%d %s", i, "x" * 100, extra={"kind": str(i)})
    assert threading.active_count() <= threads + 1  # the thread that still waits to write
    KEPT_OPEN.append(sys.stderr)
    os.close(read_end)


def test_line_that_a_full_pipe_does_not_take_holds_nobody_up():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 16))
    os.set_blocking(writer, True)
    with open(writer, "w", encoding="utf-8") as full:
        print_line("one", full)
        os.close(reader)  # now it fails


def test_line_for_a_reader_who_has_gone_or_a_closed_stream_is_no_error(capfd):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as broken:
        print_line("one", broken)
    print_line("one", None)
    print_line("two", sys.stderr)
    assert capfd.readouterr().err == "two\n"
