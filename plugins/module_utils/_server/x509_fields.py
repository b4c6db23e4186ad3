# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of an X.509 certificate, by whatever version of the library cryptography a host has, from 3.3 on.

Debian 11 has that one. What is said of Go is in crypto/tls and crypto/x509 of Go 1.21, with which nats-server 2.10.7 is
built.
"""

from __future__ import annotations

import typing as t
from contextlib import suppress
from datetime import datetime, timezone

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True
    # What the library raises for a certificate that it can't read; not all of these are kinds of ValueError.
    UNREADABLE = (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    )

# Bits of an RSA key that OpenSSL takes at the security level 2, which Debian sets.
LEAST_RSA_BITS = 2048
# Those that Go's TLS signs with (crypto/tls/auth.go), by the names that the library and openssl have for them.
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


_Extension = t.TypeVar("_Extension")


def extension(found: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Give what an extension says, by its class; None where there is none."""
    try:
        return t.cast("_Extension", found.extensions.get_extension_for_class(t.cast("t.Any", kind)).value)
    except x509.ExtensionNotFound:
        return None


def moment(found: x509.Certificate, name: str) -> datetime:
    """Give one of its times, not_valid_before or not_valid_after; the library has them with their zone since 42."""
    value = getattr(found, f"{name}_utc", None) or getattr(found, name).replace(tzinfo=timezone.utc)
    return t.cast("datetime", value)


def names(found: x509.Certificate) -> tuple[str, ...]:
    """Give the DNS names and addresses that it is for; whatever its subject says is no name to Go."""
    alternatives = extension(found, x509.SubjectAlternativeName)
    if alternatives is None:
        return ()
    kinds = (x509.DNSName, x509.IPAddress)
    return tuple(str(each.value) for each in alternatives if isinstance(each, kinds))


def is_authority(found: x509.Certificate) -> bool:
    """Tell whether it may sign others."""
    constraints, usage = extension(found, x509.BasicConstraints), extension(found, x509.KeyUsage)
    return bool(constraints and constraints.ca) and (usage is None or usage.key_cert_sign)


def path_length(found: x509.Certificate) -> int | None:
    """Give how many authorities may come below it; None for any number."""
    constraints = extension(found, x509.BasicConstraints)
    return constraints.path_length if constraints else None


def serial(found: x509.Certificate) -> str:
    """Give its serial number in hexadecimal, as openssl shows it."""
    number = f"{found.serial_number:X}"
    return number.zfill(len(number) + len(number) % 2)


def hash_name(found: x509.Certificate) -> str:
    """Name what it is signed with; empty where there is no such thing, or an older library can't tell it of PSS."""
    try:
        return found.signature_hash_algorithm.name if found.signature_hash_algorithm else ""
    except UnsupportedAlgorithm:
        return ""


def serves(found: x509.Certificate) -> bool:
    """Tell whether a server may show it; OpenSSL does not count a word for any use as one for this."""
    uses = extension(found, x509.ExtendedKeyUsage)
    return uses is None or ExtendedKeyUsageOID.SERVER_AUTH in uses


def connects(found: x509.Certificate) -> bool:
    """Tell whether a client may show it to a server of Go's, to which a word for any use counts."""
    uses = extension(found, x509.ExtendedKeyUsage)
    wanted = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return uses is None or not wanted.isdisjoint(uses)


def strength(found: x509.Certificate) -> tuple[str, str]:
    """Give the key in words, and what is too weak in it."""
    key = public_key(found)
    if isinstance(key, rsa.RSAPublicKey):
        weak = f"has fewer than {LEAST_RSA_BITS} bits, which OpenSSL refuses"
        return f"RSA of {key.key_size} bits", weak if key.key_size < LEAST_RSA_BITS else ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = CURVES.get(key.curve.name)
        return f"ECDSA on {known or key.curve.name}", "" if known else "is on a curve that Go's TLS does not serve"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", ""
    kind = "of an unknown kind" if key is None else type(key).__name__.strip("_").replace("PublicKey", "")
    return kind, "is of a kind that Go does not serve"


def public_key(found: x509.Certificate) -> t.Any:
    """Give its key; None where the library knows nothing of such keys."""
    try:
        return found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def fits(found: x509.Certificate, private_key: t.Any) -> bool:
    """Tell whether it certifies a key."""
    key = public_key(found)
    return key is not None and _written(key) == _written(private_key.public_key())


def _written(key: t.Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return t.cast("bytes", key.public_bytes(serialization.Encoding.DER, form))


def is_signed_by(signed: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether the key of an authority signed a certificate."""
    key = public_key(authority)
    try:
        for parameters in _ways_to_sign(key, signed):
            with suppress(InvalidSignature):
                key.verify(signed.signature, signed.tbs_certificate_bytes, *parameters)
                return True
    except (UnsupportedAlgorithm, TypeError, ValueError):
        pass  # by a key, or in a way, that Go knows nothing of either
    return False


def _ways_to_sign(key: t.Any, signed: x509.Certificate) -> list[tuple[t.Any, ...]]:
    """Give what the check of a signature takes besides, by the kind of the key."""
    if isinstance(key, rsa.RSAPublicKey) and signed.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        # the only ones that Go takes (crypto/x509/x509.go), since the library tells which it is only since 41
        known = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
        return [(padding.PSS(padding.MGF1(each), each.digest_size), each) for each in known]
    if isinstance(key, rsa.RSAPublicKey):
        return [(padding.PKCS1v15(), signed.signature_hash_algorithm)]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return [(ec.ECDSA(t.cast("hashes.HashAlgorithm", signed.signature_hash_algorithm)),)]
    return [()] if isinstance(key, ed25519.Ed25519PublicKey) else []
