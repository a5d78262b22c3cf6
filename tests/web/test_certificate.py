"""Certificate for https: what is read of a good one, and what is said of each bad one."""

import os
import re
import ssl

import pytest
from support.certificates import Certificates

from robojam.web.certificate import Certificate, CertificateError, absolute, load, split


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_certificate_and_key_in_one_file_or_in_two_are_the_same(made):
    one, two = load(made.good), load(f"{made.chain}:{made.key}")
    assert (one.path, one.key_path) == (made.good, made.good)
    assert (two.path, two.key_path) == (made.chain, made.key)
    assert one.names == two.names == ("pad.example",)
    assert one.addresses == two.addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ("{expired}", "has expired"),
        ("{future}", "is not valid yet"),
        ("{chain}:{other_key}", "is not that of the certificate"),
        ("{chain}", "there is no private key in .*chain.pem; a key of its own is named"),
        ("{key}", "there is no certificate in .*key.pem"),
        ("{garbage}", "there is no certificate in .*garbage.pem"),
        ("{chain}:{garbage}", "there is no private key in .*garbage.pem$"),
        ("{chain}:{encrypted}", "encrypted.pem is encrypted, and nobody is asked"),
        ("{good}.absent", "good.pem.absent: No such file"),
        ("{chain}:absent", "absent: No such file"),
        ("/", "/: Is a directory"),
    ],
)
def test_certificate_that_serves_nobody_is_one_line_that_says_why(made, files, reason):
    with pytest.raises(CertificateError) as refused:
        load(files.format(**vars(made)))
    assert re.search(reason, str(refused.value))
    assert str(refused.value).startswith("--web-cert: ")
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_certificate_that_may_not_be_read_is_named(made, tmp_path):
    secret = tmp_path / "secret.pem"
    secret.write_text("")
    secret.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything: for a moment the test is nobody
        os.seteuid(65534)
    try:
        with pytest.raises(CertificateError, match=r"secret.pem: Permission denied"):
            load(str(secret))
    finally:
        os.seteuid(user)


def test_key_of_another_certificate_in_the_same_file_is_found_out(made, tmp_path):
    mixed = tmp_path / "mixed.pem"
    with open(made.chain) as chain, open(made.other_key) as key:
        mixed.write_text(chain.read() + key.read())
    with pytest.raises(CertificateError, match="is not that of the certificate"):
        load(str(mixed))


def test_certificate_whose_second_half_is_missing_is_refused(made, tmp_path):
    torn = tmp_path / "torn.pem"
    with open(made.good) as good:
        text = good.read()
    torn.write_text(text[: text.index("-----BEGIN CERTIFICATE-----") + 200])
    with pytest.raises(CertificateError, match=r"torn.pem"):
        load(str(torn))


@pytest.mark.parametrize(
    ("names", "addresses", "host", "expected"),
    [
        (("pad.example",), ("192.168.0.5",), "192.168.0.5", "192.168.0.5"),
        (("pad.example",), (), "192.168.0.5", "pad.example"),
        (("*.example", "pad.example"), (), "192.168.0.5", "pad.example"),
        (("*.example",), (), "192.168.0.5", "192.168.0.5"),
        ((), (), "192.168.0.5", "192.168.0.5"),
        (("pad.example",), ("fd00::1",), "fd00:0::1", "fd00:0::1"),
        (("pad.example",), (), "pad.local", "pad.example"),
        (("pad.local", "pad.example"), (), "pad.local", "pad.local"),
    ],
)
def test_browsers_are_sent_to_a_name_that_the_certificate_is_for(
    names, addresses, host, expected
):
    assert Certificate("c", "k", names, addresses).host_for(host) == expected


def test_colon_in_the_name_of_a_file_divides_nothing(tmp_path):
    whole = tmp_path / "pad:1.pem"
    whole.touch()
    assert split(str(whole)) == (str(whole), str(whole))
    assert split("a.pem:b.pem") == ("a.pem", "b.pem")
    assert split("C:\\pad.pem") == ("C:\\pad.pem", "C:\\pad.pem")


def test_paths_are_absolute_for_an_engine_that_is_started_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert absolute("a.pem") == str(tmp_path / "a.pem")
    assert absolute("a.pem:b.pem") == f"{tmp_path / 'a.pem'}:{tmp_path / 'b.pem'}"


def test_handshake_of_the_check_asks_for_no_certificate_of_phones(made):
    from robojam.web.certificate import server_context

    assert server_context(made.good, made.good).verify_mode is ssl.CERT_NONE
