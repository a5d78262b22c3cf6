"""Connections to a cluster: one that works, and all that can be wrong with one."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support import ROOT
from support.commands import hide_packages, refusal
from support.engine import PATIENCE, run_program

from robojam.cluster import connect
from robojam.cluster.connect import Cluster, ClusterError, connected
from robojam.config.addresses import format_address

#: Of a program that is refused by Ray itself.
SLOW = 3 * PATIENCE


def tried(cluster: Cluster, before: str = "", **environment: str) -> str:
    """Connect to a cluster from another program, which must fail; return its reason."""
    code = (
        f"from robojam.cluster.connect import *\n{before}\n"
        f"try:\n    with connected({format_address(*cluster.head)!r}): print('connected')\n"
        "except ClusterError as error: print('refused:', error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SLOW,
        cwd=ROOT, env=os.environ | environment,
    )  # fmt: skip
    assert ran.stdout.startswith("refused: "), ran.stdout + ran.stderr
    return ran.stdout


def test_cluster_is_closed_to_strangers_and_reports_nothing(cluster):
    assert cluster.cores == 2
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_program_with_another_token_is_refused(cluster):
    assert "does not accept this machine's token" in tried(
        cluster, RAY_AUTH_TOKEN="ab" * 32, RAY_NUM_REDIS_GET_RETRIES="2"
    )


def test_program_without_a_token_is_refused(cluster, tmp_path):
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "RAY_AUTH_TOKEN": ""}
    assert "does not accept this machine's token" in tried(cluster, **home)


def test_cluster_of_another_ray_is_named_with_both_versions(cluster):
    import ray

    found = tried(cluster, "load().__version__ = '2.0.0'")
    assert f"has Ray {ray.__version__} and Python {sys.version.split()[0]}" in found
    assert "install the same on each" in found


def test_machine_with_another_robojam_is_named(cluster, monkeypatch):
    import ray

    monkeypatch.setattr(connect, "__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"has robojam .* this one robojam 0\.0\.1"):
        connect._check_nodes(ray, cluster)


def test_second_connection_of_a_program_is_refused(cluster):
    with (
        pytest.raises(ClusterError, match="connected to a cluster already"),
        connected(format_address(*cluster.head)),
    ):
        pass


def test_head_that_goes_is_noticed(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(connect, "time", SimpleNamespace(monotonic=lambda: now[0]))
    gone = Cluster("there:1", ("127.0.0.1", 1), 2, _checked_at=0.0, _answered_at=0.0)
    for seconds in (1, 3, 6, 9):
        now[0] = seconds
        gone.check()
    now[0] = 12
    with pytest.raises(ClusterError, match="the head of the cluster at there:1 is gone"):
        gone.check()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:1", "no cluster answers at 127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "expected local or HOST:PORT of the head"),
        ("auto", "expected local or HOST:PORT of the head"),
        ("127.0.0.1:0", "expected local or HOST:PORT of the head"),
    ],
)
def test_address_without_a_cluster_is_refused_before_any_work(
    address, expected, tmp_path, capsys
):
    to = tmp_path / "new.npz"
    assert expected in refusal(capsys, "generate", "--to", to, "--ray", address)
    assert not to.exists()


@pytest.mark.parametrize("command", ["generate", "evaluate", "web", "host"])
def test_command_without_ray_says_what_to_type(command, tmp_path, monkeypatch):
    hide_packages(monkeypatch, "ray")
    example = str(ROOT / "sessions" / "example.jsonl")
    arguments = {
        "generate": ("--to", str(tmp_path / "new.npz")),
        "evaluate": ("small", example),
        "web": ("--api-only",),
        "host": ("--sessions", str(tmp_path / "s")),
    }[command]
    ran = run_program(command, *arguments, "--ray", "local")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "needs ray, which is not installed: " in ran.stderr
    assert "robojam[cluster]" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
