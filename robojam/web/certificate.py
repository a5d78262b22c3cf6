"""Certificate with which pads are served by https: read, and checked before anything starts."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

#: Error numbers of OpenSSL's verification (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED = 9, 10
#: Rounds of a handshake in memory: it needs two.
_ROUNDS: Final = 4


class CertificateError(ValueError):
    """A certificate that serves no page; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a certificate and of its key, which may be one file, and the names it is for.

    names are those of hosts, addresses the text of IP addresses.
    """

    path: str
    key_path: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def host_for(self, host: str) -> str:
        """Return the name by which browsers accept the server at an address.

        It is the address itself where the certificate is for it, or for no name at all.
        """
        known = (*self.names, *self.addresses)
        if host in known or _canonical(host) in known:
            return host
        return next((name for name in self.names if "*" not in name), host)


def _canonical(host: str) -> str:
    """Return the usual text of an IP address; any other host as it is."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def split(text: str) -> tuple[str, str]:
    """Return the paths of a certificate and of its key in CERT or CERT:KEY.

    The text is one path where there is such a file: a path of Windows has a colon, too.
    """
    path, colon, key_path = text.rpartition(":")
    if colon and len(path) > 1 and not os.path.exists(text):
        return path, key_path
    return text, text


def absolute(text: str) -> str:
    """Return CERT or CERT:KEY with absolute paths."""
    return ":".join(dict.fromkeys(map(os.path.abspath, split(text))))


def load(text: str) -> Certificate:
    """Return the certificate that CERT or CERT:KEY names, with absolute paths.

    Raises CertificateError where it cannot be read, has no key or another one, or is not valid
    at this time.
    """
    path, key_path = map(os.path.abspath, split(text))
    server = server_context(path, key_path)
    found = _presented(server, path)
    return Certificate(
        path,
        key_path,
        tuple(name for kind, name in found if kind == "DNS"),
        tuple(_canonical(name) for kind, name in found if kind == "IP Address"),
    )


def server_context(path: str, key_path: str) -> ssl.SSLContext:
    """Return what a server needs for https. Raises CertificateError."""

    def refuse() -> str:
        raise CertificateError(
            f"--web-cert: the key in {key_path} is encrypted, and nobody is asked for its "
            f"password; openssl pkey -in {key_path} -out KEY writes it without one"
        )

    for file in dict.fromkeys((path, key_path)):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise CertificateError(f"--web-cert: {file}: {error.strerror}") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(path, key_path, password=refuse)
    except ssl.SSLError as error:
        raise CertificateError(f"--web-cert: {_reason(error, path, key_path)}") from error
    return context


def _reason(error: ssl.SSLError, path: str, key_path: str) -> str:
    """Return why OpenSSL takes no pair of files."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {key_path} is not that of the certificate in {path}"
    if not _holds(path, b"-----BEGIN CERTIFICATE-----"):
        return f"there is no certificate in {path}; it takes one in PEM, as text"
    if not _holds(key_path, b"PRIVATE KEY-----"):
        more = "; a key of its own is named as CERT:KEY" if path == key_path else ""
        return f"there is no private key in {key_path}{more}"
    return f"{path} cannot be read as a certificate with its key ({error.reason or error})"


def _holds(path: str, text: bytes) -> bool:
    with open(path, "rb") as file:
        return text in file.read(1 << 20)


def _presented(server: ssl.SSLContext, path: str) -> tuple[tuple[str, str], ...]:
    """Return the alternative names of the certificate that a server presents.

    A client that trusts this certificate alone shakes hands with it, in memory.
    Raises CertificateError.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(path)
        asking = client.wrap_bio(to_client, to_server)
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(_ROUNDS):
            for side in (asking, answering):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        presented: dict[str, Any] = asking.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        why = {_EXPIRED: "has expired", _NOT_YET_VALID: "is not valid yet; is the clock right?"}
        about = why.get(error.verify_code, f"is not valid ({error.verify_message})")
        raise CertificateError(f"--web-cert: the certificate in {path} {about}") from error
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(f"--web-cert: {path} serves nobody: {error}") from error
    names: tuple[tuple[str, str], ...] = presented.get("subjectAltName", ())
    return names
