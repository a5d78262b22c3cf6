"""Logging to standard error and a file, which no thread waits for."""

import logging
import os
import sys
import threading

import pytest

from robojam.system.log_queue import logging_to, make_handlers

KEPT_OPEN: list[object] = []
log = logging.getLogger("robojam")


def test_warnings_go_to_standard_error_and_to_the_file(tmp_path, capfd):
    with logging_to(make_handlers(str(tmp_path / "log")), verbose=False):
        log.warning("a port is %s", "gone")
        log.info("not this")
    assert capfd.readouterr().err == "robojam: a port is gone\n"
    assert (tmp_path / "log").read_text().endswith(" WARNING a port is gone\n")
    log.warning("after")
    assert capfd.readouterr().err in ("", "after\n")  # by Python's last resort, if at all


def test_verbose_log_holds_information_too(capfd):
    with logging_to(make_handlers(None), verbose=True):
        log.info("this too: é…")
    assert "this too" in capfd.readouterr().err


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
            log.warning("%d %s", i, "x" * 100)
    assert threading.active_count() <= threads + 1  # the thread that still waits to write
    KEPT_OPEN.append(sys.stderr)
    os.close(read_end)


def test_log_file_on_a_full_disk_stops_neither_program_nor_terminal(tmp_path, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with logging_to(make_handlers("/dev/full"), verbose=False):
        log.warning("to a full disk")
    assert capfd.readouterr().err == "robojam: to a full disk\n"
