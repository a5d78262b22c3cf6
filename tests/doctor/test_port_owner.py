"""Which program has a port: of this machine, and as lsof and netstat print it."""

import subprocess
import sys

import pytest
from support.engine import PATIENCE, first_line, stop

from robojam.doctor.port_owner import linux_inodes, lsof_owner, netstat_owner, owner_of

HOLD = """
import socket, sys, time
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("127.0.0.1", 0))
print(held.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_that_has_a_port_is_named():
    command = [sys.executable, "-c", HOLD]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(first_line(process))
        assert f"(process {process.pid})" in (owner_of(port) or "")
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)
        assert owner_of(port) is None
    finally:
        stop(process)


def test_sockets_at_a_port_are_found_in_the_tables_of_linux():
    table = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1178: 0100007F:138D 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 54321 2 0000000000000000 0
 1179: 00000000:14E9 0100007F:138D 07 00000000:00000000 00:00000000 00000000   105        0 11111 2 0000000000000000 0
   sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1178: 00000000000000000000000001000000:138D 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 54322 2 0000000000000000 0
"""  # noqa: E501
    assert linux_inodes(table, 5005) == {"54321", "54322"}
    assert linux_inodes(table, 5353) == {"11111"}
    assert linux_inodes("", 5005) == frozenset()


def test_program_is_read_from_what_lsof_prints():
    assert lsof_owner("p4711\ncPd-0.54\nf12\np4712\ncMax\nf3\n") == "Pd-0.54 (process 4711)"
    assert lsof_owner("") is None


def test_process_is_read_from_what_netstat_of_windows_prints():
    table = """
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  UDP    0.0.0.0:5353           *:*                                    2412
  UDP    127.0.0.1:50050        *:*                                    1
  UDP    127.0.0.1:5005         *:*                                    9876
  UDP    [::1]:5005             *:*                                    9876
"""
    assert netstat_owner(table, 5005) == "9876"
    assert netstat_owner(table, 5353) == "2412"
    assert netstat_owner(table, 500) is None
