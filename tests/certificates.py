# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorities and certificates of servers, good ones and such as somebody refuses, made as they are asked for."""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Kind

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
NAME = "localhost"

Key = t.Any


def _usage(**said: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: said.get(name, False) for name in names})


@cache
def rsa_key(bits: int, number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    """A certificate with its key, and those that lead from it to the root, without that."""

    certificate: x509.Certificate
    key: Key
    between: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return pem(self.certificate)

    @property
    def chain(self) -> bytes:
        return pem(self.certificate, *self.between)

    @property
    def key_pem(self) -> bytes:
        return self.written()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def written(
        self,
        form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
        passphrase: bytes | None = None,
    ) -> bytes:
        """Give the key in a form."""
        locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return t.cast("bytes", self.key.private_bytes(serialization.Encoding.PEM, form, locked))


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def make(
    name: str,
    by: Made | None = None,
    *,
    names: Sequence[str] = (),
    authority: bool = False,
    path_length: int | None = None,
    key: Key | None = None,
    since: datetime = NOW - 100 * DAY,
    until: datetime = NOW + 100 * DAY,
    uses: Sequence[x509.ObjectIdentifier] = (),
    key_usage: x509.KeyUsage | None = None,
    pss: bool = False,
    serial: int | None = None,
) -> Made:
    """Make a certificate; one that nobody is named for signs itself."""
    key = key or ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        builder = builder.add_extension(
            key_usage or _usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True
        )
    elif key_usage:
        builder = builder.add_extension(key_usage, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    signer = by.key if by else key
    plain = isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    digest = None if plain else hashes.SHA256()
    form = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else None
    made = builder.sign(signer, digest, rsa_padding=form)
    return Made(made, key, (by.certificate, *by.between) if by and _has_issuer(by) else ())


def _has_issuer(made: Made) -> bool:
    return made.certificate.issuer != made.certificate.subject


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


# What is judged

ROOT = make("root", authority=True)
BETWEEN = make("between", ROOT, authority=True)
_RENEWED_KEY = ec_key()
PAST, RENEWED = (
    make("renewed", ROOT, authority=True, key=_RENEWED_KEY, until=until) for until in (NOW - DAY, NOW + 100 * DAY)
)


@dataclass(frozen=True)
class Case:
    """A server's files, and what is said of them.

    kinds: what is wrong. starts: whether nats-server takes them. python, go: whether such a client does then; None
    where that depends on the version.
    """

    name: str
    chain: bytes
    key: bytes
    authorities: bytes
    kinds: tuple[Kind, ...] = ()
    starts: bool = True
    python: bool | None = True
    go: bool | None = True


@cache
def cases() -> tuple[Case, ...]:
    """Make every case, each for a server that is reached as NAME."""
    return (*_good(), *_bad())


def _case(name: str, made: Made, authority: Made, **files: t.Any) -> Case:
    return replace(Case(name, made.chain, made.key_pem, authority.pem), **files)


def _good() -> Iterator[Case]:
    def good(name: str, made: Made, authority: Made = ROOT, **files: t.Any) -> Case:
        return _case(name, made, authority, **files)

    leaf, alone = make("leaf", ROOT, names=[NAME]), make("alone", names=[NAME])
    deep, renewed = make("deep", BETWEEN, names=[NAME]), make("of renewed", RENEWED, names=[NAME])
    both_uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    rsa_root = make("rsa root", authority=True, key=rsa_key(2048))
    old_form = leaf.written(serialization.PrivateFormat.TraditionalOpenSSL)
    both = pem(BETWEEN.certificate, ROOT.certificate)
    both_ages = pem(renewed.certificate, PAST.certificate, RENEWED.certificate)
    yield good("issued by the root", leaf)
    yield good("issued in between", deep)
    yield good("that in between among the authorities", deep, chain=deep.pem, authorities=both)
    yield good("its own authority", alone, alone)
    yield good("an authority that was renewed, the old one first", renewed, chain=both_ages)
    yield good("for servers and clients", make("both", ROOT, uses=both_uses, names=[NAME]))
    yield good("RSA of 2048 bits", make("rsa", ROOT, key=rsa_key(2048), names=[NAME]))
    yield good("signed with RSA", make("by rsa", rsa_root, names=[NAME]), rsa_root)
    yield good("signed with RSA-PSS", make("by pss", rsa_root, pss=True, names=[NAME]), rsa_root)
    yield good("P-384", make("p384", ROOT, key=ec_key(ec.SECP384R1()), names=[NAME]))
    yield good("P-521", make("p521", ROOT, key=ec_key(ec.SECP521R1()), names=[NAME]))
    yield good("Ed25519", make("ed", ROOT, key=ed25519.Ed25519PrivateKey.generate(), names=[NAME]))
    yield good("a key as openssl wrote it earlier", leaf, key=_EC_PARAMETERS + old_form)
    yield good("words before the certificate", leaf, chain=b"subject=leaf\n" + leaf.chain)


def _bad() -> Iterator[Case]:
    def bad(
        name: str,
        made: Made,
        *kinds: Kind,
        authority: Made = ROOT,
        python: bool | None = False,
        go: bool | None = False,
        **files: t.Any,
    ) -> Case:
        return replace(_case(name, made, authority, **files), kinds=kinds, python=python, go=go)

    def useless(name: str, made: Made, *kinds: Kind, **files: t.Any) -> Case:
        return replace(bad(name, made, *kinds, **files), starts=False)

    leaf, deep, alone = (
        make("leaf", ROOT, names=[NAME]),
        make("deep", BETWEEN, names=[NAME]),
        make("alone", names=[NAME]),
    )
    yield bad("nothing in between", deep, Kind.UNTRUSTED, chain=deep.pem)
    # Python ends there since 3.13
    yield bad("an authority in the middle", deep, Kind.UNTRUSTED, authority=BETWEEN, python=None, go=True)
    yield bad("signed by itself", alone, Kind.UNTRUSTED)
    yield bad("another authority", leaf, Kind.UNTRUSTED, authority=make("other", authority=True))
    yield bad("another authority of its name", leaf, Kind.UNTRUSTED, authority=make("root", authority=True))
    yield bad("signed by a server", make("below", make("no authority", ROOT), names=[NAME]), Kind.UNTRUSTED)
    short = make("below short", make("short", ROOT, authority=True, path_length=0), authority=True)
    yield bad("too long a chain", make("too long", short, names=[NAME]), Kind.UNTRUSTED)
    blind = make("blind", ROOT, authority=True, key_usage=_usage(digital_signature=True))
    yield bad("an authority that may not sign", make("of blind", blind, names=[NAME]), Kind.UNTRUSTED)
    yield bad("no authorities", leaf, Kind.UNTRUSTED, python=None, go=None, authorities=b"")

    yield bad("expired", make("past", ROOT, until=NOW - DAY, names=[NAME]), Kind.EXPIRED)
    yield bad("not yet", make("future", ROOT, since=NOW + DAY, names=[NAME]), Kind.NOT_YET)
    yield bad("an authority that expired", make("of past", PAST, names=[NAME]), Kind.EXPIRED)

    yield bad("another name", make("elsewhere", ROOT, names=["bus.example.org"]), Kind.NAME)
    yield bad("an address alone", make("address", ROOT, names=["127.0.0.1"]), Kind.NAME)
    # OpenSSL takes it for the name
    yield bad("a common name alone", make(NAME, ROOT), Kind.NO_NAMES, python=True)

    clients = [ExtendedKeyUsageOID.CLIENT_AUTH]
    of_clients = make("clients only", ROOT, authority=True, uses=clients)
    by_word = make("any", ROOT, uses=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], names=[NAME])
    yield bad("for clients", make("client", ROOT, uses=clients, names=[NAME]), Kind.NO_SERVER_USE)
    yield bad("for any use by that word", by_word, Kind.NO_SERVER_USE, go=True)
    yield bad("an authority for clients", make("of clients", of_clients, names=[NAME]), Kind.NO_SERVER_USE)

    rsa_root = make("rsa root", authority=True, key=rsa_key(2048))
    forged = with_sha1(make("sha1", rsa_root, names=[NAME]), rsa_root)
    yield bad("RSA of 1024 bits", make("small", ROOT, key=rsa_key(1024), names=[NAME]), Kind.WEAK, go=True)
    yield bad("SHA-1", forged, Kind.WEAK, authority=rsa_root)
    yield bad("P-224", make("p224", ROOT, key=ec_key(ec.SECP224R1()), names=[NAME]), Kind.WEAK)
    yield useless("secp256k1", make("k1", ROOT, key=ec_key(ec.SECP256K1()), names=[NAME]), Kind.WEAK)
    yield useless("Ed448", make("448", ROOT, key=ed448.Ed448PrivateKey.generate(), names=[NAME]), Kind.WEAK)

    openssl = serialization.PrivateFormat.TraditionalOpenSSL
    turned = pem(BETWEEN.certificate, deep.certificate)
    yield useless("the key of another", leaf, Kind.KEY_DOES_NOT_FIT, key=deep.key_pem)
    yield useless("the chain turned round", deep, Kind.KEY_DOES_NOT_FIT, Kind.NO_NAMES, chain=turned)
    yield useless("no key", leaf, Kind.NO_KEY, key=leaf.pem)
    yield useless("half a key", leaf, Kind.NO_KEY, key=_half(leaf.key_pem))
    yield useless("a key with a passphrase", leaf, Kind.ENCRYPTED_KEY, key=leaf.written(passphrase=b"secret"))
    yield useless("a passphrase of old", leaf, Kind.ENCRYPTED_KEY, key=leaf.written(openssl, b"secret"))
    yield useless("nothing", leaf, Kind.NO_CERTIFICATE, chain=b"")
    yield useless("the key instead of it", leaf, Kind.NO_CERTIFICATE, chain=leaf.key_pem)
    yield useless("half a certificate", leaf, Kind.NO_CERTIFICATE, chain=_half(leaf.pem))


def with_sha1(made: Made, by: Made) -> Made:
    """Sign a certificate of an authority with RSA anew, with SHA-1, with which the library signs none."""
    sha256, sha1 = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
    said = made.certificate.tbs_certificate_bytes.replace(sha256, sha1)
    signature = by.key.sign(said, padding.PKCS1v15(), hashes.SHA1())
    der = made.der.replace(made.certificate.tbs_certificate_bytes, said).replace(sha256, sha1)
    der = der.replace(made.certificate.signature, signature)
    return replace(made, certificate=x509.load_der_x509_certificate(der))


_EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def _half(text: bytes) -> bytes:
    """Take a line out of the middle of a PEM block."""
    lines = text.splitlines(keepends=True)
    return b"".join([*lines[:1], *lines[2:]])
