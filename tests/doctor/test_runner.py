"""Checks are run in processes of their own: none hangs, crashes or changes the command."""

import pytest
from support import ROOT, failing_checks

from robojam.config.options import Options
from robojam.doctor.checks import CHECKS, Check
from robojam.doctor.finding import ok
from robojam.doctor.runner import run_checks


@pytest.fixture(autouse=True)
def _with_support(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


def result(function, **more):
    check = Check("odd", "support.failing_checks", function.__name__, **more)
    ((name, found),) = run_checks(Options(voices=3), [check])
    assert name == "odd"
    return found


@pytest.mark.parametrize("failure", ["warning", "problem"])
def test_check_that_hangs_in_c_ends_at_its_limit(failure):
    found = result(failing_checks.hang, seconds=1.0, failure=failure)
    assert (found.status, found.found) == (
        failure,
        "could not be checked: no answer within 1 s",
    )


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (failing_checks.crash, "its program ended with SIGSEGV"),
        (failing_checks.leave, "its program ended with status 7"),
        (failing_checks.fail, "ValueError: a driver says no"),
    ],
)
def test_check_that_fails_says_so(function, why):
    found = result(function)
    assert (found.status, found.found) == ("warning", f"could not be checked: {why}")
    assert "robojam doctor --bundle" in found.to_do


def test_check_gets_the_options_and_what_libraries_print_is_not_its_answer():
    assert result(failing_checks.chatter) == ok("voices 3")


def test_checks_keep_their_order_and_one_that_hangs_holds_up_no_other():
    module = "support.failing_checks"
    checks = [Check(f"hangs{n}", module, "hang", 1.0) for n in range(5)]
    checks.insert(1, Check("works", module, "chatter"))
    found = dict(run_checks(Options(voices=1), checks))
    assert list(found) == [check.name for check in checks]
    assert found["works"] == ok("voices 1")


def test_where_no_process_can_be_started_each_check_says_so(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no process more")

    monkeypatch.setattr("robojam.doctor.runner.subprocess.Popen", refuse)
    for check, (name, found) in zip(CHECKS, run_checks(Options()), strict=True):
        assert (name, found.status) == (check.name, check.failure)
        assert "no process more" in found.found
