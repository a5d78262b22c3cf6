"""The command web: a service without a jam, its address, its token and its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from support import ROOT
from support.certificates import Certificates
from support.commands import hide_packages, refusal
from support.engine import PATIENCE

from robojam.model.file import folder

COMMAND = [sys.executable, "-P", "-m", "robojam", "web", "--api-only", "--model", "small"]


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the service; yield its process, and the line that it prints when it is up."""
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait()


def ask(url: str, body: object, **more: Any) -> tuple[int, dict[str, object]]:
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    try:
        with urlopen(Request(url, data, headers), timeout=PATIENCE, **more) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_service_on_this_machine_needs_no_token_and_ends_with_status_0():
    with serving("--web", "127.0.0.1:0", "--spread", "0.5") as (process, line):
        assert line.startswith("API on http://127.0.0.1:")
        assert "programs of this machine" in line
        url = line.split()[2]
        status, answer = ask(url, {"seed": 7, "seconds": 1})
        assert (status, answer["spread"]) == (200, 0.5)
        assert answer["continuations"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")


def test_service_at_all_addresses_has_a_token_which_is_printed():
    with serving("--web", "0", "--processes", "2") as (_, line):
        assert "at all addresses of this machine" in line
        url = line.split()[2]
        host, _, token = url.partition("?token=")
        port = host.split("/")[2].rpartition(":")[2]
        path = f"http://127.0.0.1:{port}/v1/continue"
        assert ask(path, {"seconds": 0.5})[0] == 401
        assert ask(f"{path}?token={token}", {"seconds": 0.5})[0] == 200


def test_service_is_served_by_https_with_a_certificate(tmp_path: Path):
    made = Certificates(tmp_path)
    certificate = f"{made.chain}:{made.key}"
    with serving("--web", "127.0.0.1:0", "--web-cert", certificate) as (_, line):
        url = line.split()[2]
        assert url.startswith("https://127.0.0.1:")
        assert ask(url, {"seconds": 0.5}, context=made.client())[0] == 200
        with pytest.raises(URLError):
            ask(url, {"seconds": 0.5})  # nobody knows the authority


def test_wrong_options_are_one_line_and_nothing_is_served(capsys, tmp_path: Path):
    other = tmp_path / "small.safetensors"
    other.write_bytes((folder() / "small.safetensors").read_bytes())
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"x")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, wanted in [
            ([], "add --api-only"),
            (["--api-only", "--web", f"127.0.0.1:{port}"], "nothing can be served at 127"),
            (["--api-only", "--web", "none"], "nothing to serve"),
            (["--api-only", "--web", "127.0.0.1:0", "--model", "none"], "no model file none"),
            (["--api-only", "--web", "127.0.0.1:0", "--model", bad], "not a safetensors file"),
            (["--api-only", "--model", "small", "--model", other, "--web", "127.0.0.1:0"],
             "two models have one name"),
            (["--api-only", "--token", "short"], "--token is 8 to 200 letters"),
            (["--api-only", "--token", "longenough", "--no-token"], "--token is 8"),
            (["--api-only", "--processes", "0"], "from 1 to 64"),
        ]:  # fmt: skip
            assert wanted in refusal(capsys, "web", *arguments)


def test_without_aiohttp_it_says_what_to_install(monkeypatch):
    hide_packages(monkeypatch, "aiohttp")
    ran = subprocess.run(
        [*COMMAND, "--web", "127.0.0.1:0"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "pip install" in ran.stderr
    assert "web" in ran.stderr
    assert ran.stderr.count("\n") == 1
