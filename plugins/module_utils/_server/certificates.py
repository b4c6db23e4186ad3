# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a server, as those who meet it judge them: Go's crypto/tls and crypto/x509, and OpenSSL under Python.

Where one is stricter than the other, the stricter one counts, since a bus has clients of both. What is not looked at:
revocation, and the name constraints of authorities. Where HAS_CRYPTOGRAPHY is false nothing can be read, and MISSING
says what to do.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._host.system import PACKAGES
from ansible_collections.rosey.nats.plugins.module_utils._server import x509_fields

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

MISSING = f"this host's Python has no library cryptography: install {PACKAGES['cryptography']} there"

_BROKEN_HASHES = frozenset({"md5", "sha1"})
# What comes after an asterisk: OpenSSL takes none for all names right below the top (crypto/x509/v3_utl.c, valid_star).
_LEAST_LABELS_AFTER_WILDCARD = 2
_LONGEST_CHAIN = 10
# crypto/tls/tls.go, X509KeyPair: whatever else stands in a file is passed over.
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_CERTIFICATE, _KEY, _ENCRYPTED = b"CERTIFICATE", b"PRIVATE KEY", b"ENCRYPTED"


class Kind(StrEnum):
    """What can be wrong with a certificate and what belongs to it."""

    NO_CERTIFICATE = "no certificate"
    NO_KEY = "no key"
    ENCRYPTED_KEY = "encrypted key"
    KEY_DOES_NOT_FIT = "key does not fit"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET = "not yet"
    NO_NAMES = "no names"
    NAME = "name"
    NO_SERVER_USE = "no server use"
    NO_CLIENT_USE = "no client use"
    WEAK = "weak"


# With these a server does not start, and takes up no other certificate.
UNUSABLE = frozenset({Kind.NO_CERTIFICATE, Kind.NO_KEY, Kind.ENCRYPTED_KEY, Kind.KEY_DOES_NOT_FIT})


@dataclass(frozen=True)
class Problem:
    """What is wrong, as a sentence that says what was found, what was expected and what to do."""

    kind: Kind
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class CertificateError(Exception):
    """Why there is no certificate to read, as a sentence; nothing of a key is in it."""


@dataclass(frozen=True)
class Certificate:
    """What a certificate says.

    subject, issuer: as RFC 4514 writes them. names: the DNS names and addresses that it is for. serial: in hexadecimal,
    as openssl shows it. fingerprint: SHA-256 of all of it, in hexadecimal. key: what it certifies, in words.
    weakness: of that key, as the rest of a sentence; empty where it is strong enough. hash: that it is signed with.
    path_length: how many authorities may come below this one, None for any number. serves: whether a server may show
    it. connects: whether a client may. x509: the library's own.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: str
    is_authority: bool
    path_length: int | None
    key: str
    weakness: str
    hash: str
    serves: bool
    connects: bool
    x509: t.Any = field(repr=False, compare=False)

    @property
    def shown(self) -> str:
        """Whose it is, for a sentence."""
        return self.subject or ", ".join(self.names) or f"serial number {self.serial}"

    @property
    def is_self_issued(self) -> bool:
        """Whether it names itself as who signed it, as the last one of a chain does."""
        return self.subject == self.issuer

    def is_valid(self, now: datetime) -> bool:
        """Whether it is in force at a moment."""
        return self.not_before <= now <= self.not_after


# Reading


def read(pem: bytes) -> tuple[Certificate, ...]:
    """Give the certificates of a file, in its order; CertificateError where there is none, or one can't be read."""
    blocks = [found.group() for found in _BLOCK.finditer(pem) if found.group(1) == _CERTIFICATE]
    if not blocks:
        raise CertificateError(
            "there is no certificate in it; expected one or more in PEM, which begin with -----BEGIN CERTIFICATE-----. "
            "Put the certificate of the server there, and those of the authorities between it and the root after it."
        )
    found = []
    for number, block in enumerate(blocks, start=1):
        try:
            found.append(_described(x509.load_pem_x509_certificate(block)))
        except x509_fields.UNREADABLE as error:
            raise CertificateError(
                f"certificate {number} of {len(blocks)} in it can't be read; expected one in PEM. Copy it anew, as "
                "openssl x509 -in FILE shows it."
            ) from error
    return tuple(found)


def read_der(der: bytes) -> Certificate:
    """Give a certificate as it goes over the wire; CertificateError."""
    try:
        return _described(x509.load_der_x509_certificate(der))
    except x509_fields.UNREADABLE as error:
        raise CertificateError("what is shown as a certificate can't be read as one; expected one in DER.") from error


def _described(found: x509.Certificate) -> Certificate:
    key, weakness = x509_fields.strength(found)
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=x509_fields.names(found),
        not_before=x509_fields.moment(found, "not_valid_before"),
        not_after=x509_fields.moment(found, "not_valid_after"),
        serial=x509_fields.serial(found),
        fingerprint=hashlib.sha256(found.public_bytes(serialization.Encoding.DER)).hexdigest(),
        is_authority=x509_fields.is_authority(found),
        path_length=x509_fields.path_length(found),
        key=key,
        weakness=weakness,
        hash=x509_fields.hash_name(found),
        serves=x509_fields.serves(found),
        connects=x509_fields.connects(found),
        x509=found,
    )


# Judging


def problems(
    chain_pem: bytes,
    key_pem: bytes | None,
    authorities_pem: bytes | None,
    names: Iterable[str],
    now: datetime,
    *,
    to_peers: bool = False,
) -> list[Problem]:
    """Name all that a server or its clients would refuse, what keeps the server from starting first.

    chain_pem: the certificate of the server, and those between it and an authority. key_pem: its key, None where that
    is not looked at. authorities_pem: whom clients trust, None where they trust whom their system does, which is not
    looked at. names: the names and addresses that clients reach the server by. now: with its zone. to_peers: whether
    the server shows it as a client, too.
    """
    try:
        chain = read(chain_pem)
    except CertificateError as error:
        return [Problem(Kind.NO_CERTIFICATE, f"The certificate: {error}"), *_of_key(key_pem, None)]
    leaf = chain[0]
    found = [*_of_key(key_pem, leaf)]
    path = chain[:1]
    if authorities_pem is not None:
        try:
            path, untrusted = trusted_path(chain, read(authorities_pem), now)
        except CertificateError as error:
            untrusted = f"The authorities: {error}"
        found += [Problem(Kind.UNTRUSTED, untrusted)] if untrusted else []
    for each in path:
        found += _of_time(each, now)
    return [
        *found,
        *_of_names(leaf, list(names)),
        *_of_use(path),
        *_of_use_by_peers(path, to_peers=to_peers),
        *_of_strength(path),
    ]


def _of_key(pem: bytes | None, leaf: Certificate | None) -> Iterator[Problem]:
    if pem is None:
        return
    block = next((found for found in _BLOCK.finditer(pem) if found.group(1).endswith(_KEY)), None)
    if block is None:
        yield Problem(
            Kind.NO_KEY,
            "There is no private key in the file of the key; expected one in PEM, which begins with -----BEGIN PRIVATE "
            "KEY-----. Put the key there that the certificate was requested with.",
        )
        return
    if _ENCRYPTED in block.group(1) or b"\nProc-Type: 4," in block.group():
        yield Problem(
            Kind.ENCRYPTED_KEY,
            "The key is encrypted with a passphrase, which nats-server can't ask for; expected it without one. Decrypt "
            "it with openssl pkey, and let the account of the server alone read it.",
        )
        return
    try:
        # Go takes each form of a key under each heading, but no tool writes one under another's
        key = serialization.load_pem_private_key(block.group(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield Problem(
            Kind.NO_KEY,
            "The private key can't be read; expected one in PEM, of RSA, ECDSA or Ed25519. Copy it anew, as openssl "
            "pkey -noout -check takes it.",
        )
        return
    if leaf is not None and not x509_fields.fits(leaf.x509, key):
        yield Problem(
            Kind.KEY_DOES_NOT_FIT,
            f"The private key is not that of the certificate of {leaf.shown} (serial number {leaf.serial}); expected "
            "the one that it was requested with, and the certificate of the server as the first of its file. Put the "
            "two that belong together there.",
        )


def _of_time(certificate: Certificate, now: datetime) -> Iterator[Problem]:
    here = f"it is {shown(now)} now by the clock here"
    if now > certificate.not_after:
        yield Problem(
            Kind.EXPIRED,
            f"The certificate of {certificate.shown} expired at {shown(certificate.not_after)}, and {here}; expected "
            "one that is valid. Renew it, and deploy it.",
        )
    if now < certificate.not_before:
        yield Problem(
            Kind.NOT_YET,
            f"The certificate of {certificate.shown} is valid from {shown(certificate.not_before)} on, and {here}; "
            "expected one that is valid by now. Check the clocks of this host and of who issued it (timedatectl), or "
            "wait.",
        )


def shown(moment: datetime) -> str:
    """Write a moment for a person."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def left(certificate: Certificate, now: datetime) -> timedelta:
    """Give how long it is valid yet; negative where it has expired."""
    return certificate.not_after - now


def _of_names(leaf: Certificate, names: Sequence[str]) -> Iterator[Problem]:
    if names and not leaf.names:
        yield Problem(
            Kind.NO_NAMES,
            f"The certificate of {leaf.shown} has no name but its common name, which Go does not look at; expected "
            f"{', '.join(names)} among its subject alternative names. Request it anew with these.",
        )
        return
    missing = [name for name in names if not covers(leaf, name)]
    if missing:
        yield Problem(
            Kind.NAME,
            f"The certificate is for {', '.join(leaf.names)}; expected that it is for {', '.join(missing)} as well, by "
            "which clients reach the server. Request it anew with all of these as subject alternative names, or let "
            "clients use a name that it has.",
        )


def reached_by(urls: Iterable[str], names: Iterable[str]) -> list[str]:
    """Give by what clients reach a server: the hosts of the URLs, and the names and addresses besides."""
    hosts = (urlsplit(url).hostname or "" for url in urls)
    return list(dict.fromkeys(filter(None, (*hosts, *names))))


def covers(certificate: Certificate, name: str) -> bool:
    """Tell whether a certificate is for a host, by its name or its address."""
    wanted = _address(name.strip("[]"))
    if wanted is not None:
        return any(_address(each) == wanted for each in certificate.names)
    host = name.lower().removesuffix(".")
    return any(_matches(each.lower(), host) for each in certificate.names)


def _matches(pattern: str, host: str) -> bool:
    """Compare as matchHostnames in crypto/x509/verify.go does: an asterisk is one whole label, the first one."""
    first, _dot, rest = pattern.partition(".")
    own_first, _dot, own_rest = host.partition(".")
    if first == "*" and rest.count(".") + 1 >= _LEAST_LABELS_AFTER_WILDCARD:
        return bool(own_first) and rest == own_rest
    return bool(host) and pattern == host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _of_use(path: Sequence[Certificate]) -> Iterator[Problem]:
    for each in path:
        if not each.serves:
            yield Problem(
                Kind.NO_SERVER_USE,
                f"The certificate of {each.shown} may not be shown by a server: its extended key usage is without "
                "serverAuth, or TLS Web Server Authentication; expected it there, or no such extension. Request it "
                "anew, with clientAuth beside it where the server connects to others with it.",
            )


def _of_use_by_peers(path: Sequence[Certificate], *, to_peers: bool) -> Iterator[Problem]:
    for each in path:
        if to_peers and not each.connects:
            yield Problem(
                Kind.NO_CLIENT_USE,
                f"The certificate of {each.shown} may not be shown by a client: its extended key usage is without "
                "clientAuth, or TLS Web Client Authentication; expected it there, or no such extension, since the "
                "servers of a cluster show it to each other. Request it anew, with both.",
            )


def _of_strength(path: Sequence[Certificate]) -> Iterator[Problem]:
    for each in path:
        if each.weakness:
            curves = " or ".join(x509_fields.CURVES.values())
            yield Problem(
                Kind.WEAK,
                f"The key of the certificate of {each.shown}, {each.key}, {each.weakness}; expected RSA of "
                f"{x509_fields.LEAST_RSA_BITS} bits or more, ECDSA on {curves}, or Ed25519. Request it anew with such "
                "a key.",
            )
        # nobody looks at how one is signed that ends a chain: it is trusted for being there
        if each.hash in _BROKEN_HASHES and not each.is_self_issued:
            yield Problem(
                Kind.WEAK,
                f"The certificate of {each.shown} is signed with {each.hash.upper()}, which can be forged and is "
                "refused; expected SHA-256 or better. Have it issued anew.",
            )


# Trust


def trusted_path(
    chain: Sequence[Certificate], authorities: Sequence[Certificate], now: datetime
) -> tuple[tuple[Certificate, ...], str]:
    """Follow a server's certificate to one of the authorities; give the way, and why there is none, as a sentence.

    Where there is none, the way is the certificate alone. Of several ways one that is valid now is taken.
    """
    found = _Search(chain[1:], authorities, now)
    path = found.from_(chain[:1])
    if path:
        return path, ""
    trusted = ", ".join(dict.fromkeys(each.shown for each in authorities))
    return tuple(chain[:1]), (
        f"{found.reason}; expected a chain that leads to one of the authorities that clients trust ({trusted}), and "
        f"ends there. {found.remedy}"
    )


class _Search:
    """Looks for a way to an authority. reason, remedy: why the longest one did not lead there."""

    def __init__(self, between: Sequence[Certificate], authorities: Sequence[Certificate], now: datetime) -> None:
        self._trusted = {each.fingerprint for each in authorities}
        # what is valid first, so that one that was renewed under its name and key is found
        self._issuers = sorted([*authorities, *between], key=lambda each: not each.is_valid(now))
        self._longest = 0
        self.reason = self.remedy = ""

    def from_(self, path: Sequence[Certificate]) -> tuple[Certificate, ...]:
        """Go on from the last of a path; give the whole one, empty where none leads to an authority."""
        last = path[-1]
        if last.is_self_issued and x509_fields.is_signed_by(last.x509, last.x509):
            if last.fingerprint in self._trusted:
                return tuple(path)
            self._note(path, f"The certificate of {last.shown} is signed by itself alone", _TRUST_OR_OTHER)
            return ()
        namesakes = [each for each in self._issuers if each.subject == last.issuer and each not in path]
        signers = [each for each in namesakes if x509_fields.is_signed_by(last.x509, each.x509)]
        fit = [each for each in signers if _may_sign(each, len(path) - 1)]
        for each in fit if len(path) < _LONGEST_CHAIN else ():
            found = self.from_([*path, each])
            if found:
                return found
        if not fit:
            self._note(path, *_why_not(last, namesakes, signers, is_trusted=last.fingerprint in self._trusted))
        return ()

    def _note(self, path: Sequence[Certificate], reason: str, remedy: str) -> None:
        if len(path) > self._longest:
            self._longest, self.reason, self.remedy = len(path), reason, remedy


_TRUST_OR_OTHER = (
    "Name the authority that it is signed by among those that clients trust, or have a certificate issued by one of "
    "these."
)


def _why_not(
    last: Certificate, namesakes: Sequence[Certificate], signers: Sequence[Certificate], *, is_trusted: bool
) -> tuple[str, str]:
    """Say why nobody signed a certificate, and what to do."""
    signed = f"The certificate of {last.shown} is signed by {last.issuer}"
    if signers:
        return f"{signed}, whose certificate may not sign this one: it is none of an authority", _TRUST_OR_OTHER
    if namesakes:
        return f"{signed}, but by another key than the certificate of that name has which is there", _TRUST_OR_OTHER
    if is_trusted:
        # Python trusts one in the middle of a chain since 3.13 only, Go always
        remedy = f"Name the certificate of {last.issuer} among the authorities, too: not all clients end in the middle."
        return f"{signed}, which is not among the authorities", remedy
    return f"{signed}, whose certificate is in neither file", (
        f"Name the certificate of {last.issuer} among the authorities where clients are to trust it; append it to the "
        "one of the server where it leads to one of them."
    )


def _may_sign(authority: Certificate, between: int) -> bool:
    return authority.is_authority and (authority.path_length is None or authority.path_length >= between)
