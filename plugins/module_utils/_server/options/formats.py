# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms that a text of an option may have, as the server reads them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Format, Option, Unit


@dataclass(frozen=True)
class FormatRule:
    """What a text of one format is: a predicate, the words for one that is none, and a text that is one."""

    accepts: Callable[[str], bool]
    fault: str
    expected: str
    remedy: str
    example: str


ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[+-]?[0-9]{1,18})", re.DOTALL)
_ADVERTISED_ADDRESS = re.compile(r"(?:\[(?P<inside>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[+-]?[0-9]{1,18}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_LONGEST_NAME = 253
_BASE_PATH_TEXT = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_BCRYPT_START = re.compile(r"\$2[abxy]\$[0-9]{2}\$")
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_LEAFNODE_VERSION = re.compile(r"v?([0-9]{1,18})\.?([0-9]{1,18})?\.?([0-9]{1,18})?", re.ASCII)
RESOLVER_IN_MEMORY = re.compile(r"MEM|MEMORY", re.IGNORECASE)
RESOLVER_URL = re.compile(r"URL(?:\(\"?([^\s\"]*)\"?\s*\))?", re.IGNORECASE)
_KEY_BYTES_AT_LEAST = 4


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_of_socket(text: str) -> bool:
    """Tell whether Go listens on the text, or asks for it as a name (net/dnsclient.go, isDomainName); "" is none."""
    if not text or _is_ip_address(text):
        return True
    name = text.removesuffix(".")
    is_name = all(map(_LABEL.fullmatch, name.split("."))) and len(name) <= _LONGEST_NAME
    return is_name and re.search("[A-Za-z_]", name) is not None


def _is_advertised(text: str) -> bool:
    """Tell what server/util.go, parseHostPort, reads, with a host and a port that clients can use."""
    match = _ADVERTISED_ADDRESS.fullmatch(text)
    if not text or match is None:
        return not text
    host = match["host"] if match["inside"] is None else match["inside"]
    return bool(host) and _is_host_of_socket(host) and _is_whole(match["port"] or "0", minimum=-1, maximum=65535)


def _is_destination(text: str) -> bool:
    """Tell roughly what server/sublist.go, ValidateMappingDestination, tells; nats-server -t knows the functions."""
    return not text or (subjects.is_valid(re.sub(r"\{\{.*?\}\}", "function", text)) and "*" not in text.split("."))


def _is_permission(text: str) -> bool:
    """Tell what server/opts.go, checkPermSubjectArray, tells: a subject, or one and a queue group."""
    words = re.split(f"[{model.SPACES}]+", text.strip(model.SPACES))
    return subjects.is_valid(text) or (len(words) == len(("subject", "queue")) and subjects.is_valid(words[0]))


def _is_key(prefix: str) -> Callable[[str], bool]:
    """Make the check of a public key of package nkeys: base32 of the prefix, the key and its CRC."""

    def accepts(text: str) -> bool:
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except ValueError:
            return False
        sound = len(raw) >= _KEY_BYTES_AT_LEAST and binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")
        return sound and text.startswith(prefix)

    return accepts


def _key_rule(prefix: str, owner: str, example: str) -> FormatRule:
    wanted = f"the public key of a{'n' if owner[0] in 'ao' else ''} {owner}, 56 characters that begin with {prefix}"
    return FormatRule(_is_key(prefix), "is no such key", wanted, "copy the public key, never the seed", example)


def _is_whole(text: str, *, minimum: int, maximum: int) -> bool:
    number = units.integer(text)
    return number is not None and minimum <= number <= maximum


def _is_sampling(text: str) -> bool:
    return text.strip(model.SPACES).lower() == "headers" or _is_whole(text.removesuffix("%"), minimum=1, maximum=100)


def _is_leafnode_version(text: str) -> bool:
    match = _LEAFNODE_VERSION.match(text)
    return match is not None and None not in match.groups() and tuple(map(int, match.groups())) >= (2, 8, 0)


def _is_resolver(text: str) -> bool:
    match = RESOLVER_URL.search(text)
    return RESOLVER_IN_MEMORY.search(text) is not None or (match is not None and is_url(match[1] or ""))


def is_url(text: str) -> bool:
    """Tell whether Go's ``url.Parse`` reads the text; server/opts.go, parseURL, trims it before."""
    rest, _mark, fragment = text.partition("#")
    if re.search(r"[\x00-\x1f\x7f]", rest) or rest.startswith(":"):
        return False
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", rest)
    rest = rest.removeprefix(scheme[0]).partition("?")[0] if scheme else rest.partition("?")[0]
    if not rest.startswith("/"):
        return _is_escaped(fragment) and (scheme is not None or (":" not in rest.split("/")[0] and _is_escaped(rest)))
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        return _is_authority(authority) and _is_escaped(slash + path) and _is_escaped(fragment)
    return _is_escaped(rest) and _is_escaped(fragment)


def _is_authority(text: str) -> bool:
    """Tell whether Go's url.parseAuthority reads the user and host of a URL."""
    user, _at_sign, host = text.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", user) or not _is_escaped(user):
        return False
    if host.startswith("["):
        inside, bracket, port = host[1:].rpartition("]")
        return bool(bracket) and re.fullmatch(r"(:[0-9]*)?", port) is not None and _is_host(inside)
    name, colon, port = host.rpartition(":")
    return re.fullmatch(r"[0-9]*", port if colon else "") is not None and _is_host(name if colon else host)


def _is_host(text: str) -> bool:
    character = r"[A-Za-z0-9!$&'()*+,;=:\]<>\"\-_.~]|[^\x00-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f]"
    return re.fullmatch(f"(?:{character})*", text) is not None


def _is_escaped(text: str) -> bool:
    return re.search(r"%(?![0-9A-Fa-f]{2})", text) is None


FORMATS: dict[Format, FormatRule] = {
    Format.ADDRESS: FormatRule(
        lambda text: ADDRESS.fullmatch(text) is not None,
        "is no address",
        'an address with a port, such as "127.0.0.1:4222"',
        "write host:port",
        "127.0.0.1:4222",
    ),
    Format.HOST: FormatRule(
        _is_host_of_socket,
        "is no host",
        'an address or a name alone, such as "127.0.0.1", "::1" or "localhost"',
        "write it without brackets, and the port as the option port",
        "127.0.0.1",
    ),
    Format.ADVERTISED: FormatRule(
        _is_advertised,
        "is no host to advertise",
        'a host, or one with a port, such as "nats.example.org:4222" or "[2001:db8::1]:4222"',
        "write host:port, with brackets around an IPv6 address",
        "nats.example.org:4222",
    ),
    # The server takes any text, and is then asked in vain: what follows ? or # is no part of a path.
    Format.BASE_PATH: FormatRule(
        lambda text: _BASE_PATH_TEXT.fullmatch(text) is not None,
        "is no path of a URL",
        'a path of letters, digits and slashes, such as "/nats"',
        "remove ?, #, % and blanks",
        "/nats",
    ),
    Format.DOMAIN: FormatRule(
        lambda text: re.search(r"[ \t\r\n\f.*>]", text) is None,
        "is no domain of JetStream",
        "a name without dots, spaces, * and >",
        "write it with - in place of them",
        "eu-west",
    ),
    Format.URL: FormatRule(
        lambda text: is_url(text.strip(model.SPACES)),
        "is no URL",
        'a URL, such as "nats://127.0.0.1:6222"',
        "write scheme://host:port",
        "nats://127.0.0.1:6222",
    ),
    Format.SUBJECT: FormatRule(
        subjects.is_valid,
        "is no subject",
        "tokens joined by dots, without spaces, and > only at the end",
        "remove spaces and empty tokens",
        "rosey.dev.>",
    ),
    Format.DESTINATION: FormatRule(
        _is_destination,
        "is no subject to map to",
        "tokens joined by dots, without spaces, with $1 in place of a wildcard *",
        "remove spaces, empty tokens and *",
        "rosey.dev",
    ),
    Format.PERMISSION: FormatRule(
        _is_permission,
        "is no subject",
        "a subject, or a subject and a queue group with a space between them",
        "remove spaces and empty tokens",
        "rosey.dev.> workers",
    ),
    Format.USER_KEY: _key_rule("U", "user", "UAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB63NN"),
    Format.ACCOUNT_KEY: _key_rule("A", "account", "AAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB776S"),
    Format.OPERATOR_KEY: _key_rule("O", "operator", "OAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7JSU"),
    Format.CURVE_KEY: _key_rule("X", "curve", "XAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7QO7"),
    Format.ACCOUNT_NAME: FormatRule(
        lambda text: text != "$G", "is the server's own account", "a name other than $G", "choose another name", "APP"
    ),
    Format.ACCOUNT_JWT: FormatRule(
        lambda text: re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", text, re.ASCII) is not None,
        "is no JWT",
        "the JWT of an account, three parts joined by dots",
        "copy it from the account server",
        "eyJ0eXAiOiJKV1QifQ.eyJuYW1lIjoiQVBQIn0.c2lnbmF0dXJl",
    ),
    Format.FINGERPRINT: FormatRule(
        lambda text: re.fullmatch(r"[A-Fa-f0-9]{64}", text) is not None,
        "is no fingerprint",
        "the SHA-256 of a certificate's public key, 64 hexadecimal digits",
        "remove colons and spaces",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    Format.LEAFNODE_VERSION: FormatRule(
        _is_leafnode_version,
        "is no version that leaf nodes can have",
        'a version from "2.8.0" on',
        "write three numbers joined by dots",
        "2.8.0",
    ),
    Format.RESOLVER: FormatRule(
        _is_resolver,
        "is no account resolver",
        '"MEMORY", "URL(address of an account server)", or a mapping with type and dir',
        "choose one of them",
        "MEMORY",
    ),
    Format.PERCENTAGE: FormatRule(
        lambda text: _is_whole(text.removesuffix("%"), minimum=0, maximum=100),
        "is no percentage",
        'a percentage from "0%" to "100%"',
        "write a whole number and %",
        "50%",
    ),
    Format.SAMPLING: FormatRule(
        _is_sampling,
        "is no sampling rate",
        'a percentage from "1%" to "100%", or "headers"',
        "write a whole number and %",
        "50%",
    ),
    # A text that begins like a bcrypt hash is compared as one: nobody can log in when it is incomplete.
    Format.PASSWORD: FormatRule(
        lambda text: _BCRYPT_START.match(text) is None or _BCRYPT.fullmatch(text) is not None,
        "begins like a bcrypt hash and is none",
        "a password, or a whole bcrypt hash of 60 characters",
        "put the real hash in place of the placeholder",
        "$2a$11$" + "a" * 53,
    ),
    # Only the server can tell: it reads the file while it checks the configuration.
    Format.FILE: FormatRule(
        lambda _text: True, "is no file", "the path of a file", "correct the path", "/etc/nats/server.pem"
    ),
}


def is_given(value: Any, row: Option) -> bool:
    """Tell whether a value is more than an unset option: what is false or empty, and a port of 0, changes nothing."""
    address = ADDRESS.fullmatch(value) if row.unit is Unit.ADDRESS and isinstance(value, str) else None
    if table.PORT in row.forms and (value == 0 or (address and not int(address["port"]))):
        return False
    if (
        model.is_list(value)
        and not value
        and any(form.format is Format.URL for each in row.forms for form in each.items)
    ):
        return False
    return value is not None and value is not False and value != ""
