"""Certificates for tests: of one authority, for this machine, and in every bad state."""

from __future__ import annotations

import base64
import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

trustme = pytest.importorskip("trustme", reason="needs trustme to make certificates")
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402


class Certificates:
    """Files in a folder, by name: `good` is valid for 127.0.0.1, ::1 and pad.example."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._authority = folder, trustme.CA()
        good = self._authority.issue_cert("127.0.0.1", "::1", "pad.example")
        other = self._authority.issue_cert("pad.example")
        self.key = self._write("key.pem", good.private_key_pem.bytes())
        self.chain = self._write("chain.pem", *(pem.bytes() for pem in good.cert_chain_pems))
        self.good = self._write("good.pem", good.private_key_and_cert_chain_pem.bytes())
        self.other_key = self._write("other.pem", other.private_key_pem.bytes())
        self.expired = self._dated("expired.pem", 2019, 2020)
        self.future = self._dated("future.pem", 2098, 2099)
        self.garbage = self._write("garbage.pem", b"\x00hello")
        key = serialization.load_pem_private_key(good.private_key_pem.bytes(), None)
        encryption = serialization.BestAvailableEncryption(b"a password")
        self.encrypted = self._write(
            "encrypted.pem",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
            ),
        )
        public = x509.load_pem_x509_certificate(good.cert_chain_pems[0].bytes()).public_key()
        spki = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        #: Option with which Chromium takes the certificate as one of a known authority.
        self.accepted = (
            "--ignore-certificate-errors-spki-list="
            + base64.b64encode(hashlib.sha256(spki).digest()).decode()
        )

    def _write(self, name: str, *blobs: bytes) -> str:
        path = self._folder / name
        path.write_bytes(b"".join(blobs))
        return str(path)

    def _dated(self, name: str, first: int, last: int) -> str:
        issued = self._authority.issue_cert(
            "127.0.0.1",
            not_before=datetime(first, 1, 1, tzinfo=UTC),
            not_after=datetime(last, 1, 1, tzinfo=UTC),
        )
        return self._write(name, issued.private_key_and_cert_chain_pem.bytes())

    def client(self) -> ssl.SSLContext:
        """Return what a client needs that knows the authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context
