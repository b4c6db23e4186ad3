# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What configurations are made of: the places of the option table's rows, and files and signed texts, all real."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ansible_collections.rosey.nats.plugins.module_utils._server.options import model
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import ANY_NAME, Form, Kind, Option
from ansible_collections.rosey.nats.plugins.module_utils._server.options.table import OPTIONS

Config = dict[str, t.Any]
Name = tuple[str, str]  # block and option


@dataclass(frozen=True)
class Material:
    """Files and signed texts that a configuration can name, most of them twice so that one can change.

    certificates: both of one key, each its own authority. keys: that key in two files. account_jwts: of the first
    account. user_jwt: of one of its users, who needs no key.
    """

    directory: Path
    certificates: tuple[str, str]
    keys: tuple[str, str]
    operator_jwt: str
    operator_file: str
    account_keys: tuple[str, str]
    account_jwts: tuple[str, str]
    user_jwt: str


UNLIMITED = dict.fromkeys(("conn", "subs", "data", "payload", "leaf", "imports", "exports"), -1) | {"wildcards": True}
USER, ACCOUNT, OPERATOR, CURVE = (letter << 3 for letter in (20, 0, 14, 23))


def nkey(prefix: int, public: bytes) -> str:
    """Write a public key as package nkeys does: base32 of a prefix, the key and a checksum."""
    raw = bytes([prefix]) + public
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def make_material(directory: Path) -> Material:
    """Make certificates, an operator and accounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = ed25519.Ed25519PrivateKey.generate()
    operator_key = nkey(OPERATOR, signer.public_key().public_bytes_raw())
    operator_jwt = _jwt(signer, operator_key, operator_key, {"type": "operator", "version": 2})
    account, other, user = (ed25519.Ed25519PrivateKey.generate() for _key in range(3))
    one, two = (nkey(ACCOUNT, each.public_key().public_bytes_raw()) for each in (account, other))
    claims = {"type": "account", "version": 2, "limits": UNLIMITED}
    _written(directory / "included.conf", b"# nothing\n")
    return Material(
        directory=directory,
        certificates=(
            _written(directory / "server.pem", _certificate(key)),
            _written(directory / "renewed.pem", _certificate(key)),
        ),
        keys=(_written(directory / "server.key", written), _written(directory / "moved.key", written)),
        operator_jwt=operator_jwt,
        operator_file=_written(directory / "operator.jwt", operator_jwt.encode()),
        account_keys=(one, two),
        account_jwts=(
            _jwt(signer, operator_key, one, claims),
            _jwt(signer, operator_key, one, {**claims, "limits": {**UNLIMITED, "payload": 1000}}),
        ),
        user_jwt=_jwt(
            account,
            one,
            nkey(USER, user.public_key().public_bytes_raw()),
            {"type": "user", "version": 2, "bearer_token": True, "subs": -1, "data": -1, "payload": -1},
        ),
    )


def _written(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    return str(file)


def _jwt(issuer: ed25519.Ed25519PrivateKey, issuer_key: str, subject: str, claims: Config) -> str:
    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).decode().rstrip("=")

    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {"jti": "x", "iat": 1700000000, "iss": issuer_key, "sub": subject, "name": "rosey", "nats": claims}
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, body))
    return f"{signed}.{encode(issuer.sign(signed.encode()))}"


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


# What the table knows, as a generator needs it

ROWS: dict[str, dict[str, Option]] = {}
for _row in OPTIONS:
    ROWS.setdefault(_row.block, {})[_row.name] = _row

TOP = OPTIONS[0].block
SETTABLE = [row for row in OPTIONS if row.forms]


def _forms(row: Option) -> Iterator[tuple[Form, bool]]:
    """Give the forms of an option and those of its items, with whether they are items."""
    for form in row.forms:
        yield form, False
        yield from ((item, True) for item in form.items)


@dataclass(frozen=True)
class Parent:
    """One place where a block stands: the option that holds it, whether in a list, and what is refused there."""

    row: Option
    in_list: bool
    without: tuple[str, ...]


PARENTS: dict[str, list[Parent]] = {}
for _row in OPTIONS:
    for _form, _in_list in _forms(_row):
        if _form.kind is Kind.BLOCK:
            PARENTS.setdefault(_form.block, []).append(Parent(_row, _in_list, _form.without))

EXPORTER = "EXPORTER"  # the account that every import comes from
EXPORTED = {"exports": [{"stream": "events.>"}, {"service": "events.>"}]}


def places() -> Iterator[model.Path]:
    """Give the path of every option at every place where it can stand with a value; NAME for a free key."""

    def walk(block: str, path: model.Path, without: tuple[str, ...]) -> Iterator[model.Path]:
        for row in ROWS[block].values():
            here = (*path, "NAME" if row.name == ANY_NAME else row.name)
            if row.name in without or not row.forms:
                continue
            yield here
            for form, in_list in _forms(row):
                if form.kind is Kind.BLOCK:
                    yield from walk(form.block, (*here, 0) if in_list else here, form.without)

    return walk(TOP, (), ())
