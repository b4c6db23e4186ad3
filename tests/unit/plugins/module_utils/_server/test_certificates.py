# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of certificates, and that OpenSSL finds the same names in them and shows the same serial numbers."""

from __future__ import annotations

import ssl
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.rosey.nats.plugins.module_utils._server import certificates
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import CertificateError, Kind
from ansible_collections.rosey.nats.tests.certificates import DAY, NAME, NOW, Case, cases, make, pem

ROOT = make("root", authority=True)
LEAF = make("leaf", ROOT, names=[NAME])


def kinds_of(case: Case) -> tuple[Kind, ...]:
    found = certificates.problems(case.chain, case.key, case.authorities, [NAME], NOW)
    return tuple(each.kind for each in found)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_all_that_is_wrong_is_found_and_nothing_else(case: Case) -> None:
    assert kinds_of(case) == case.kinds


@pytest.mark.parametrize("case", [each for each in cases() if each.kinds], ids=lambda case: case.name)
def test_it_is_told_in_sentences_and_without_the_key(case: Case) -> None:
    for problem in certificates.problems(case.chain, case.key, case.authorities, [NAME], NOW):
        said = str(problem)
        assert "; expected " in said
        assert said[0].isupper() and said.endswith(".")
        assert not any(line in said for line in case.key.decode().splitlines()[1:-1] if line)


def test_what_is_not_named_is_not_looked_at() -> None:
    assert not certificates.problems(LEAF.chain, None, None, [], NOW)
    assert not certificates.problems(make("leaf", ROOT).chain, None, None, [], NOW)


def test_a_certificate_is_read_as_openssl_shows_it(tmp_path: Path) -> None:
    made = make("bus", ROOT, names=["bus.example.org", "192.0.2.1", "2001:db8::1"], serial=0xABC)
    found = certificates.read(made.chain)[0]
    shown = ssl._ssl._test_decode_cert(_written(tmp_path, made.pem))  # type: ignore[attr-defined]
    assert found.serial == shown["serialNumber"] == "0ABC"
    assert found.not_after.timestamp() == ssl.cert_time_to_seconds(shown["notAfter"])
    assert found.not_before.timestamp() == ssl.cert_time_to_seconds(shown["notBefore"])
    assert found.names == ("bus.example.org", "192.0.2.1", "2001:db8::1")
    assert (found.subject, found.issuer, found.is_authority) == ("CN=bus", "CN=root", False)
    digest = subprocess.run(
        ["openssl", "x509", "-in", _written(tmp_path, made.pem), "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert found.fingerprint == digest.partition("=")[2].strip().replace(":", "").lower()
    assert certificates.read_der(made.der) == found


def _written(directory: Path, content: bytes) -> str:
    file = directory / "certificate.pem"
    file.write_bytes(content)
    return str(file)


def test_a_chain_comes_in_its_order() -> None:
    below = make("below", make("between", ROOT, authority=True), names=[NAME])
    read = certificates.read(below.chain)
    assert [(each.subject, each.is_authority) for each in read] == [("CN=below", False), ("CN=between", True)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no certificate in it"),
        (LEAF.key_pem, "there is no certificate in it"),
        (LEAF.pem + b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate 2 of 2 in it"),
    ],
)
def test_what_is_no_certificate_is_told(content: bytes, said: str) -> None:
    with pytest.raises(CertificateError, match=said):
        certificates.read(content)


def test_what_goes_over_the_wire_may_be_none() -> None:
    with pytest.raises(CertificateError, match="can't be read"):
        certificates.read_der(b"\x30\x03abc")


@pytest.mark.parametrize(
    ("moment", "kinds"),
    [
        (NOW + 100 * DAY, []),
        (NOW + 100 * DAY + timedelta(seconds=1), [Kind.EXPIRED]),
        (NOW - 100 * DAY, []),
        (NOW - 100 * DAY - timedelta(seconds=1), [Kind.NOT_YET]),
    ],
)
def test_the_first_and_the_last_second_count(moment: object, kinds: list[Kind]) -> None:
    found = certificates.problems(LEAF.chain, None, None, [NAME], moment)  # type: ignore[arg-type]
    assert [each.kind for each in found] == kinds


def test_how_long_it_is_valid_yet() -> None:
    leaf = certificates.read(LEAF.chain)[0]
    assert certificates.left(leaf, NOW) == 100 * DAY
    assert certificates.left(leaf, NOW + 101 * DAY) == -DAY


# name of the certificate, name that a client has, whether it fits
NAMES = [
    ("bus.example.org", "bus.example.org", True),
    ("bus.example.org", "BUS.Example.org", True),
    ("BUS.example.org", "bus.example.org", True),
    ("bus.example.org", "bus.example.com", False),
    ("bus.example.org", "a.bus.example.org", False),
    ("*.example.org", "bus.example.org", True),
    ("*.example.org", "a.bus.example.org", False),
    ("*.example.org", "example.org", False),
    ("bus.*.org", "bus.example.org", False),
    ("b*.example.org", "bus.example.org", False),
    ("*", "localhost", False),
    ("*.lan", "bus.lan", False),
    ("localhost", "localhost", True),
    ("192.0.2.1", "192.0.2.1", True),
    ("192.0.2.1", "192.0.2.2", False),
    ("2001:db8::1", "2001:db8:0:0:0:0:0:1", True),
    ("192-0-2-1.example.org", "192.0.2.1", False),
]


@pytest.mark.parametrize(("name", "asked", "fits"), NAMES)
def test_a_name_fits_as_it_does_for_openssl(name: str, asked: str, fits: bool, tmp_path: Path) -> None:
    made = make("server", ROOT, names=[name])
    assert certificates.covers(certificates.read(made.pem)[0], asked) is fits
    # OpenSSL takes an asterisk within a label, which Go does not
    if name != "b*.example.org":
        assert _is_taken(made.chain + made.key_pem, asked, tmp_path) is fits


def _is_taken(served: bytes, asked: str, directory: Path) -> bool:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(_written(directory, served))
    client_side = ssl.create_default_context(cadata=pem(ROOT.certificate).decode())
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(back, there, server_hostname=asked)
    server = server_side.wrap_bio(there, back, server_side=True)
    for _turn in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                assert "match" in error.verify_message
                return False
    return True


def test_an_address_in_brackets_and_a_name_with_its_dot_are_understood() -> None:
    found = certificates.read(make("server", ROOT, names=["2001:db8::1", "bus.example.org"]).pem)[0]
    assert certificates.covers(found, "[2001:db8::1]")
    assert certificates.covers(found, "bus.example.org.")
    assert not certificates.covers(found, "")


@pytest.mark.parametrize(
    ("uses", "to_peers", "is_refused"),
    [
        ((), True, False),
        ((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH), True, False),
        ((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE), True, False),
        ((ExtendedKeyUsageOID.SERVER_AUTH,), True, True),
        ((ExtendedKeyUsageOID.SERVER_AUTH,), False, False),
    ],
)
def test_servers_of_a_cluster_show_it_to_each_other(
    uses: tuple[ObjectIdentifier, ...], to_peers: bool, is_refused: bool
) -> None:
    authority = make("authority", authority=True)
    made = make("bus", authority, names=[NAME], uses=uses)
    found = certificates.problems(made.chain, made.key_pem, authority.pem, [NAME], NOW, to_peers=to_peers)
    assert [problem.kind for problem in found] == ([Kind.NO_CLIENT_USE] if is_refused else [])
