"""Answers to requests from the network: who gets them, and how often.

The sender of a UDP packet can be forged: an answer then goes to somebody who has not asked. So
an address beyond this machine first gets a cookie, in one small packet. The request is carried
out when it comes again with the cookie: only who receives what is sent to an address knows its
cookie. Requests without one leave nothing behind: a cookie is a keyed hash of the address and
of the time, and is computed again to check it.
"""

import hashlib
import hmac
import json
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from robojam.config.roles import Role
from robojam.controls import RefusedError
from robojam.engine.setup import MAX_ANSWER
from robojam.limits import HostLimiter, RateLimiter
from robojam.ports.udp import Address
from robojam.wire import native

#: Seconds after which an address gets another cookie; the one before is valid, too.
COOKIE_LIFE: Final = 30.0
#: Letters of a cookie: 40 bits. With them, its packet has at most twice the bytes of the
#: shortest request.
_COOKIE_LETTERS: Final = 7
#: Cookies that are sent a second, and at once.
_COOKIES: Final = (1000, 50)
#: Requests of this machine that are carried out a second, and at once.
_HERE: Final = (200, 50)
#: The same of each other host, and the hosts that are remembered; the same of all of them.
_HOST, _MAX_HOSTS, _ALL_HOSTS = (30, 30), 64, (200, 60)
#: Seconds for which a status that was made for another host is sent to all others, and its
#: most bytes: in one packet on every system, and in few fragments on a network.
_STATUS_LIFE, _STATUS_BYTES = 0.1, 9000
#: Bytes of these for who has asked, its role and its address, and for what is fresh.
_ASKER_BYTES: Final = 900


class MakeStatus(Protocol):
    """Function that makes a status, as JSON of `most` bytes at most."""

    def __call__(self, most: int, *, here: bool) -> str:
        """Return it; here: for this machine."""


class Cookies:
    """Cookies of addresses. They are valid for at least COOKIE_LIFE, at most for twice as long.

    Nothing is stored but a secret.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        """Start with a secret of at most 64 bytes; None: a random one."""
        self._secret = secret or secrets.token_bytes(32)

    def make(self, address: Address, now: float) -> str:
        """Return the cookie of an address at an instant (s)."""
        return self._of(address, int(now // COOKIE_LIFE))

    def is_valid(self, cookie: str, address: Address, now: float) -> bool:
        """Return whether a cookie is one that the address got lately."""
        slot = int(now // COOKIE_LIFE)
        return any(
            hmac.compare_digest(self._of(address, each).encode(), cookie.encode())
            for each in (slot, slot - 1)
        )

    def _of(self, address: Address, slot: int) -> str:
        text = f"{address[0]} {address[1]} {slot}".encode()
        digest = hashlib.blake2b(text, key=self._secret, digest_size=_COOKIE_LETTERS).digest()
        # Letters alone: Pd and others make numbers of words that look like one.
        return "".join(string.ascii_letters[byte % 52] for byte in digest)


class Answers:
    """Answers to requests: cookies to addresses that are not confirmed, rates, the status."""

    def __init__(
        self, send: Callable[[bytes, Address], object], is_here: Callable[[str], bool]
    ) -> None:
        """Answer by send; is_here says whether a host is this machine, for certain."""
        self._send, self._is_here, self._cookies = send, is_here, Cookies()
        self._of_cookies, self._here = RateLimiter(*_COOKIES), RateLimiter(*_HERE)
        self._hosts = HostLimiter(*_HOST, _MAX_HOSTS, of_all=RateLimiter(*_ALL_HOSTS))
        self._status, self._status_until = "", float("-inf")

    def is_confirmed(self, address: Address, cookie: str, now: float) -> bool:
        """Return whether a request for an address is to be carried out.

        One from beyond this machine needs the cookie of the address. Where that is missing or
        old, one is sent. Raises RefusedError where there are too many requests.
        """
        here = self._is_here(address[0])
        if here or self._cookies.is_valid(cookie, address, now):
            is_allowed = self._here.take(now) if here else self._hosts.take(address[0], now)
            rate = (_HERE if here else _HOST)[0]
            if not is_allowed:
                raise RefusedError("too many requests", f"at most {rate} a second are answered")
            return True
        if not self._of_cookies.take(now):
            raise RefusedError("too many requests", "without a cookie, of all other machines")
        self._send(native.encode_cookie(self._cookies.make(address, now)), address)
        return False

    def status(
        self,
        make: MakeStatus,
        host: str,
        role: Role,
        now: float,
        *,
        fresh: Mapping[str, object],
    ) -> str:
        """Return the status for a host that has a role, with both in it.

        For one beyond this machine it is one made a moment ago, but for what is fresh. make
        returns a status, as JSON, in at most that many bytes; it gets whether it is for this
        machine.
        """
        asker = json.dumps({"role": role, "address": host, **fresh})
        if self._is_here(host):
            status = make(MAX_ANSWER - len(asker), here=True)
        else:
            if now >= self._status_until:
                made = make(_STATUS_BYTES - _ASKER_BYTES, here=False)
                self._status, self._status_until = made, now + _STATUS_LIFE
            status = self._status
        return f"{asker[:-1]}, {status[1:]}"
