"""The log: to standard error and a file, and nobody waits for it."""

import logging
import os
import sys
import threading

import pytest

from robojam.logs import logging_to, outlets

log = logging.getLogger("robojam")


def test_it_goes_to_standard_error_and_to_a_file(tmp_path, capfd):
    with logging_to(outlets(str(tmp_path / "log")), verbose=False):
        log.warning("a port is %s", "gone")
        log.info("not this")
    assert capfd.readouterr().err == "robojam: a port is gone\n"
    assert (tmp_path / "log").read_text().endswith(" WARNING a port is gone\n")
    log.warning("after")
    assert capfd.readouterr().err in ("", "after\n")  # Python's own, if anyone's


def test_verbose_says_more(capfd):
    with logging_to(outlets(None), verbose=True):
        log.info("this too: é…")
    assert "this too" in capfd.readouterr().err


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        outlets(str(tmp_path / "none" / "log"))


def test_a_terminal_that_is_stopped_holds_nobody_up(monkeypatch):
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stuck:
        monkeypatch.setattr(sys, "stderr", stuck)
        before = set(threading.enumerate())
        with logging_to(outlets(None), verbose=False):
            for i in range(5000):  # more than the pipe and the queue hold
                log.warning("%d %s", i, "x" * 100)
        left = set(threading.enumerate()) - before
        assert len(left) <= 1  # one that still waits to write
        os.close(read_end)
        for thread in left:  # before the descriptor is another file's
            thread.join(20)


def test_a_log_that_cannot_be_written_is_no_reason_to_stop(tmp_path, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with logging_to(outlets("/dev/full"), verbose=False):
        log.warning("to a full disk")
    assert capfd.readouterr().err == "robojam: to a full disk\n"
