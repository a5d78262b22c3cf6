"""The log: to standard error and a file, and nobody waits for it."""

import logging
import os
import sys
import threading

import pytest

from robojam.system.log_queue import logging_to, make_handlers

KEPT: list[object] = []
log = logging.getLogger("robojam")


def test_it_goes_to_standard_error_and_to_a_file(tmp_path, capfd):
    with logging_to(make_handlers(str(tmp_path / "log")), verbose=False):
        log.warning("a port is %s", "gone")
        log.info("not this")
    assert capfd.readouterr().err == "robojam: a port is gone\n"
    assert (tmp_path / "log").read_text().endswith(" WARNING a port is gone\n")
    log.warning("after")
    assert capfd.readouterr().err in ("", "after\n")  # Python's own, if anyone's


def test_verbose_says_more(capfd):
    with logging_to(make_handlers(None), verbose=True):
        log.info("this too: é…")
    assert "this too" in capfd.readouterr().err


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_handlers(str(tmp_path / "none" / "log"))


def test_a_terminal_that_is_stopped_holds_nobody_up(monkeypatch):
    read_end, write_end = os.pipe()
    # Left open: the thread that writes to it must not find another file in its place.
    monkeypatch.setattr(sys, "stderr", os.fdopen(write_end, "w"))
    threads = threading.active_count()
    with logging_to(make_handlers(None), verbose=False):
        for i in range(5000):  # more than the pipe and the queue hold
            log.warning("%d %s", i, "x" * 100)
    assert threading.active_count() <= threads + 1  # one that still waits to write
    KEPT.append(sys.stderr)
    os.close(read_end)


def test_a_log_that_cannot_be_written_is_no_reason_to_stop(tmp_path, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with logging_to(make_handlers("/dev/full"), verbose=False):
        log.warning("to a full disk")
    assert capfd.readouterr().err == "robojam: to a full disk\n"
