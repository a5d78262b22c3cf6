"""A second host on a network: a Linux network namespace, linked to this machine by veth.

`second_host()` makes one, and needs root and the program `ip`. Sockets of the second host can
be made in the test's own process (`SecondHost.socket`); programs run there by `SecondHost.run`
and `SecondHost.start`. A link may lose, double and reorder packets (`LossyLink`).
"""

import ctypes
import itertools
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_CLONE_NEWNET = 0x40000000


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return False
    return True


#: Mark of a test that needs ::1.
ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")
_numbers = itertools.count()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class SecondHost:
    """Another host: `address` and `address6` are its own, `here` and `here6` are ours.

    `absent` is an address in its network that nobody has.
    """

    def __init__(self, number: int) -> None:
        """Make the namespace and its link; number (0..255) tells hosts of one machine apart."""
        self._name, self._link = f"robojam-{os.getpid()}-{number}", f"rj{os.getpid()}-{number}"
        net = f"10.{64 + os.getpid() % 64}.{number}"
        net6 = f"fd72:6f62:{os.getpid() % 0xFFFF:x}:{number:x}"
        self.here, self.address, self.broadcast = f"{net}.1", f"{net}.2", f"{net}.255"
        self.here6, self.address6 = f"{net6}::1", f"{net6}::2"
        self._net, self.absent = net, f"{net}.250"
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0",
                "netns", self._name)  # fmt: skip
            for inside, device, v4, v6 in (
                ((), self._link, self.here, self.here6),
                (("-n", self._name), "eth0", self.address, self.address6),
            ):
                _ip(
                    *inside,
                    "addr",
                    "add",
                    f"{v4}/24",
                    "broadcast",
                    self.broadcast,
                    "dev",
                    device,
                )
                _ip(*inside, "-6", "addr", "add", f"{v6}/64", "dev", device, "nodad")
                _ip(*inside, "link", "set", device, "up")
            _ip("-n", self._name, "link", "set", "lo", "up")
            _ip("-n", self._name, "route", "add", "default", "via", self.here)
        except BaseException:
            self.close()
            raise

    @property
    def interface(self) -> str:
        """Name of our end of the link."""
        return self._link

    def add_addresses(self, count: int) -> list[str]:
        """Give the host more IPv4 addresses (at most 200), as if it were many; return them."""
        addresses = [f"{self._net}.{10 + i}" for i in range(count)]
        for address in addresses:
            _ip("-n", self._name, "addr", "add", f"{address}/24", "dev", "eth0")
        return addresses

    def set_link(self, *, up: bool) -> None:
        """Plug the cable in or pull it out, at our end."""
        _ip("link", "set", self._link, "up" if up else "down")

    def block_elsewhere(self) -> None:
        """Have packets for the host's networks go by its link alone, or nowhere."""
        _ip("route", "add", "unreachable", f"{self._net}.0/24", "metric", "9999")

    def socket(self, address: str | None = None, port: int = 0) -> socket.socket:
        """Return a UDP socket of the second host, bound to one of its addresses.

        A receive waits for at most 10 seconds.
        """
        address = self.address if address is None else address

        def make() -> socket.socket:
            with Path(f"/var/run/netns/{self._name}").open() as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            made.settimeout(10)
            return made

        with ThreadPoolExecutor(1) as pool:  # the namespace is the thread's alone
            return pool.submit(make).result()

    def forge(self, sender: str, receiver: tuple[str, int], data: bytes) -> None:
        """Send us a UDP packet with another sender's address, as a program may that is root."""

        def make() -> socket.socket:
            with Path(f"/var/run/netns/{self._name}").open() as file:
                ctypes.CDLL(None).setns(file.fileno(), _CLONE_NEWNET)
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            raw.bind(("eth0", 0))
            return raw

        with ThreadPoolExecutor(1) as pool, pool.submit(make).result() as raw:
            link = Path(f"/sys/class/net/{self._link}/address").read_text()
            to, own = bytes.fromhex(link.strip().replace(":", "")), raw.getsockname()[4]
            raw.send(to + own + _ip_packet(sender, receiver, data))

    def command(self, *words: str) -> list[str]:
        """Return the command that runs a program on the second host."""
        return ["ip", "netns", "exec", self._name, *words]

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program on the second host to its end."""
        return subprocess.run(self.command(*words), text=True, capture_output=True, **options)

    def close(self) -> None:
        """Remove the host and its link."""
        subprocess.run(["ip", "netns", "del", self._name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._link], check=False, capture_output=True)
        route = ["ip", "route", "del", "unreachable", f"{self._net}.0/24"]
        subprocess.run(route, check=False, capture_output=True)


def _ip_packet(sender: str, receiver: tuple[str, int], data: bytes) -> bytes:
    """Return an Ethernet frame from its type on: a UDP packet from any sender."""
    host, port = receiver
    family = socket.AF_INET6 if ":" in sender else socket.AF_INET
    addresses = socket.inet_pton(family, sender) + socket.inet_pton(family, host)
    length = 8 + len(data)
    ports = struct.pack("!HHH", 4000, port, length)
    pseudo = addresses + struct.pack("!IxxxB", length, socket.IPPROTO_UDP)
    udp = ports + _checksum(pseudo + ports + data) + data
    if family == socket.AF_INET6:
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, length, 17, 64) + addresses + udp
    header = struct.pack("!BxHxxxxBB", 0x45, 20 + length, 64, 17)
    return b"\x08\0" + header + _checksum(header + addresses) + addresses + udp


def _checksum(data: bytes) -> bytes:
    """Return the checksum of the Internet protocols (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


@contextmanager
def second_host() -> Iterator[SecondHost]:
    """Make a second host for a test; the test is skipped where none can be made."""
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("a second host needs Linux, root and the program ip (Debian: iproute2)")
    try:
        host = SecondHost(next(_numbers) % 256)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no second host can be made here: {getattr(error, 'stderr', error)}")
    try:
        yield host
    finally:
        host.close()


class LossyLink:
    """Relay of UDP packets that loses, doubles and reorders some of them, by a seed.

    Packets to `address` go on to the receiver, from a socket of their own: the receiver sees
    the relay's host as their sender. `lost` holds the packets that did not go on.
    """

    def __init__(
        self,
        listening: socket.socket,
        sending: socket.socket,
        receiver: tuple[str, int],
        *,
        loss: float = 0.02,
        doubled: float = 0.02,
        reordered: float = 0.02,
        seed: int = 0,
    ) -> None:
        """Relay what comes to a socket, by another (both may be a second host's)."""
        self.address: tuple[str, int] = listening.getsockname()[:2]
        self.lost: list[bytes] = []
        self.passed = 0
        self._sockets, self._receiver = (listening, sending), receiver
        self._rates, self._random = (loss, doubled, reordered), random.Random(seed)
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def _relay(self) -> None:
        listening, sending = self._sockets
        loss, doubled, reordered = self._rates
        held: bytes | None = None
        while True:
            # A packet that was held for the next one goes on alone after 20 ms.
            ready, _, _ = select.select(
                [listening, self._end_read], (), (), None if held is None else 0.02
            )
            if self._end_read in ready:
                return
            queue: list[bytes] = []
            if ready:
                packet, draw = listening.recv(65536), self._random.random()
                if draw < loss:
                    self.lost.append(packet)
                elif draw < loss + reordered and held is None:
                    held = packet
                    continue
                else:
                    queue = [packet] * (2 if draw < loss + reordered + doubled else 1)
            if held is not None:
                queue.append(held)
                held = None
            for packet in queue:
                sending.sendto(packet, self._receiver)
                self.passed += 1

    def close(self) -> None:
        """End the relay."""
        os.write(self._end_write, b"x")
        self._thread.join()
        for file in (self._end_read, self._end_write):
            os.close(file)

    def __enter__(self) -> "LossyLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def receive_all(receiver: socket.socket, seconds: float) -> Sequence[bytes]:
    """Return the packets that come to a socket until none came for some seconds."""
    packets: list[bytes] = []
    while select.select([receiver], (), (), seconds)[0]:
        packets.append(receiver.recv(65536))
    return packets
