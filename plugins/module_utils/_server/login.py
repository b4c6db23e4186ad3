# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to a NATS server as a client does, one step after the other, to see which of them fails.

The standard library does it, so that a host without the client's own library can be looked at, and no program of the
bot's is given what is not for the bot. The protocol is in server/client.go of nats-server 2.10.7, what a client says
first in nats/aio/client.py of nats-py 2.16.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import info_line, nkeys

SCHEMES = ("nats", "tls")
_LONGEST = 1 << 20
_AHEAD = 1 << 16
_ERROR, _MESSAGE, _STATUS, _PING, _PONG = "-ERR ", "MSG ", "HMSG ", "PING", "PONG"
_VIOLATION = "permissions violation"
_NEEDED_FOR_KEYS = "cryptography or PyNaCl (python3-nacl)"


class Step(StrEnum):
    """What a client does, in this order."""

    RESOLVE = "resolve the name"
    CONNECT = "connect"
    GREET = "hear the server's greeting"
    ENCRYPT = "encrypt the connection"
    LOG_IN = "log in"
    DONE = "nothing more"


class Flaw(StrEnum):
    """What a client refuses a certificate for."""

    EXPIRED = "expired"
    NOT_YET = "not yet"
    NAME = "name"
    UNTRUSTED = "untrusted"


# X509_V_ERR_* of OpenSSL, include/openssl/x509_vfy.h; any other one is about who signed it.
_FLAWS = {9: Flaw.NOT_YET, 10: Flaw.EXPIRED, 62: Flaw.NAME, 64: Flaw.NAME}


@dataclass(frozen=True)
class Trust:
    """How a client checks a certificate. ca_file: whom it trusts, None for the system. name: expected, None: the host.

    first: it encrypts before the server's greeting.
    """

    ca_file: str | None = None
    name: str | None = None
    first: bool = False


@dataclass(frozen=True)
class Login:
    """How far a login came.

    url: of the server, without user and password. addresses: what its host means. failed: the step that failed; error:
    why, in the words of the system, of OpenSSL or of the server. flaw, names: of a certificate that was refused, what
    for, and the names that it is for. info: how the server greeted, without what is secret.
    """

    url: str
    addresses: tuple[str, ...] = ()
    failed: Step = Step.DONE
    error: str = ""
    flaw: Flaw | None = None
    names: tuple[str, ...] = ()
    info: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether no step failed."""
        return self.failed is Step.DONE

    @property
    def port(self) -> int:
        """The port of the URL, which carries one."""
        return t.cast("int", urlsplit(self.url).port)


class LoginError(Exception):
    """The end of a login. login: how far it came."""

    def __init__(self, login: Login) -> None:
        super().__init__(login.error)
        self.login = login


@dataclass(frozen=True)
class Session:
    """What a client may say that has logged in. login: how it did."""

    login: Login
    _connection: socket.socket = field(repr=False)

    def ask(
        self,
        subject: str,
        inbox: str,
        *,
        payload: str = "",
        publish: Iterable[str] = (),
        subscribe: Iterable[str] = (),
    ) -> tuple[bytes, list[str]]:
        """Ask a question, and then try to say and to hear something; give the answer, and what was refused.

        inbox: where the answer goes. publish, subscribe: subjects. A refusal is in the server's words. OSError where
        there is no answer.
        """
        said = [f"SUB {inbox} 1", f"PUB {subject} {inbox} {len(payload.encode())}\r\n{payload}"]
        said += [f"PUB {each} 0\r\n" for each in publish]
        said += [f"SUB {each} {number}" for number, each in enumerate(subscribe, start=2)]
        self._connection.sendall("".join(f"{line}\r\n" for line in (*said, _PING)).encode())
        answer: bytes | None = None
        refused: list[str] = []
        is_through = False
        end = _end(self._connection)
        while answer is None or not is_through:
            line = _line(self._connection, end)
            if line.startswith(_MESSAGE):
                answer = _read(self._connection, int(line.split()[-1]) + len("\r\n"), end)[:-2]
            elif line.startswith(_STATUS):
                raise ConnectionError("nobody answers")
            elif line.startswith(_PONG):
                is_through = True
            elif line.startswith(_PING):
                self._connection.sendall(f"{_PONG}\r\n".encode())
            elif line.startswith(_ERROR):
                words = _words_of(line)
                if not words.lower().startswith(_VIOLATION):
                    raise ConnectionError(words)
                refused.append(words)
        return answer, refused


def log_in(url: str, credentials: Mapping[str, str] | None, trust: Trust, *, name: str, seconds: float) -> Login:
    """Log in as session() does, and leave again; give how far it came."""
    try:
        with session(url, credentials, trust, name=name, seconds=seconds) as opened:
            return opened.login
    except LoginError as end:
        return end.login


@contextmanager
def session(
    url: str, credentials: Mapping[str, str] | None, trust: Trust, *, name: str, seconds: float
) -> Iterator[Session]:
    """Log in, and leave at the end; LoginError.

    url: with its port, without user and password, of one of SCHEMES. credentials: user and password, or token, or the
    seed of a key as nkeys_seed_str, or nothing; None where they are of a kind that can't be tried here, and the login
    ends before them. name: what the server shows the client as. seconds: for each step.
    """
    login = _resolved(Login(url))
    with ExitStack() as opened:
        connection = opened.enter_context(_connected(login, seconds))
        if trust.first:
            connection = opened.enter_context(_encrypted(login, connection, trust))
        login = _greeted(login, connection)
        if not trust.first and _wants_encryption(login, urlsplit(url).scheme):
            connection = opened.enter_context(_encrypted(login, connection, trust))
        if credentials is not None:
            _introduce(login, connection, {"name": name, **_proofs(login, credentials)})
        yield Session(login, connection)


def shown_certificate(url: str, *, first: bool, seconds: float) -> bytes:
    """Give the certificate that a server shows, in DER, whoever signed it for whom; LoginError.

    url: with its port. first: it begins with TLS, as whatever is no port for clients does. seconds: for each step.
    """
    login = _resolved(Login(url))
    with ExitStack() as opened:
        connection = opened.enter_context(_connected(login, seconds))
        if not first:
            login = _greeted(login, connection)
            if not _wants_encryption(login, "tls"):
                raise LoginError(replace(login, failed=Step.ENCRYPT, error="the server offers no TLS there"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            secured = opened.enter_context(context.wrap_socket(connection, server_hostname=urlsplit(url).hostname))
        except (OSError, ValueError) as error:
            raise LoginError(_failed(login, Step.ENCRYPT, error)) from error
        return secured.getpeercert(binary_form=True) or b""


def _resolved(login: Login) -> Login:
    parts = urlsplit(login.url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # no name in IDNA is a UnicodeError
        raise LoginError(_failed(login, Step.RESOLVE, error)) from error
    return replace(login, addresses=tuple(dict.fromkeys(str(each[4][0]) for each in found)))


def _connected(login: Login, seconds: float) -> socket.socket:
    """Connect to the first address that answers, as the client does."""
    errors = {}
    for address in login.addresses:
        try:
            return socket.create_connection((address, login.port), seconds)
        except OSError as error:
            errors[address] = error.strerror or str(error)
    said = ", ".join(f"{address}: {why}" for address, why in errors.items())
    raise LoginError(replace(login, failed=Step.CONNECT, error=said))


def _greeted(login: Login, connection: socket.socket) -> Login:
    try:
        said = _line(connection)
    except OSError as error:
        raise LoginError(_failed(login, Step.GREET, error)) from error
    _check_for_refusal(login, said)
    info = info_line.read(said)
    if info is None:
        raise LoginError(replace(login, failed=Step.GREET, error="no greeting of a NATS server"))
    return replace(login, info=info)


def _wants_encryption(login: Login, scheme: str) -> bool:
    return bool(login.info.get("tls_required") or (scheme == "tls" and login.info.get("tls_available")))


def _proofs(login: Login, credentials: Mapping[str, str]) -> dict[str, str]:
    """Give what proves a client, by the names that the server has for it (ClientOpts in server/client.go)."""
    names = {"user": "user", "password": "pass", "token": "auth_token"}
    given = {names[name]: value for name, value in credentials.items() if name in names}
    seed = credentials.get("nkeys_seed_str")
    if not seed:
        return given
    if not nkeys.HAS_LIBRARY:
        raise LoginError(replace(login, failed=Step.LOG_IN, error=f"{sys.executable} has no {_NEEDED_FOR_KEYS}"))
    try:
        signed = nkeys.signature(seed, str(login.info.get("nonce", "")))
        return {**given, "nkey": nkeys.public_key(seed), "sig": signed}
    except nkeys.NkeyError as error:
        raise LoginError(replace(login, failed=Step.LOG_IN, error=f"what is there {error}")) from None


def _introduce(login: Login, connection: socket.socket, given: Mapping[str, str]) -> None:
    try:
        connection.sendall(_first_words(given, encrypted=isinstance(connection, ssl.SSLSocket)))
        end = _end(connection)
        while not (said := _line(connection, end)).startswith(_PONG):
            _check_for_refusal(login, said)
    except OSError as error:
        raise LoginError(_failed(login, Step.LOG_IN, error)) from error


def _check_for_refusal(login: Login, said: str) -> None:
    if said.startswith(_ERROR):
        raise LoginError(replace(login, failed=Step.LOG_IN, error=_words_of(said)))


def _words_of(said: str) -> str:
    return redaction.readable(said.removeprefix(_ERROR).strip("'"))


def _encrypted(login: Login, connection: socket.socket, trust: Trust) -> ssl.SSLSocket:
    name = trust.name or urlsplit(login.url).hostname
    try:
        return ssl.create_default_context(cafile=trust.ca_file).wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        flaw = _FLAWS.get(error.verify_code, Flaw.UNTRUSTED)
        names = _names(login, trust, connection.gettimeout()) if flaw is Flaw.NAME else ()
        failed = replace(login, failed=Step.ENCRYPT, error=error.verify_message.rstrip("."), flaw=flaw, names=names)
        raise LoginError(failed) from error
    except (OSError, ValueError) as error:  # the name may be none that a certificate can be for
        raise LoginError(_failed(login, Step.ENCRYPT, error)) from error


def _names(login: Login, trust: Trust, seconds: float | None) -> tuple[str, ...]:
    """Ask for the certificate once more, without a word on its names, for it is read only where it is trusted."""
    context = ssl.create_default_context(cafile=trust.ca_file)
    context.check_hostname = False
    try:
        with _connected(login, seconds or 0) as connection:
            if not trust.first:
                _line(connection)
            with context.wrap_socket(connection) as secured:
                found = t.cast("Mapping[str, t.Any]", secured.getpeercert() or {})
    except (OSError, LoginError):
        return ()
    return tuple(str(name) for _kind, name in found.get("subjectAltName", ()))


def _line(connection: socket.socket, end: float | None = None) -> str:
    """Read one line; OSError where the other side ends before it does, or takes too long. end: of all that is read."""
    line = bytearray()
    end = _end(connection) if end is None else end
    while not line.endswith(b"\n"):
        line += _piece(connection, _size_of_line(connection), end)
        if len(line) > _LONGEST:
            raise ConnectionError(f"the other side said more than {_LONGEST} bytes in a line")
    return line.decode(errors="replace").strip()


def _size_of_line(connection: socket.socket) -> int:
    """Tell how many bytes belong to a line for sure: what follows the greeting belongs to TLS."""
    if isinstance(connection, ssl.SSLSocket):
        return 1  # it can't look ahead, and has what came in one record anyway
    ahead = connection.recv(_AHEAD, socket.MSG_PEEK)
    return ahead.find(b"\n") + 1 or max(1, len(ahead))


def _read(connection: socket.socket, size: int, end: float) -> bytes:
    """Read so many bytes; OSError likewise."""
    if not 0 <= size <= _LONGEST:
        raise ConnectionError(f"the other side announced {size} bytes; expected {_LONGEST} at most")
    found = bytearray()
    while len(found) < size:
        found += _piece(connection, size - len(found), end)
    return bytes(found)


def _piece(connection: socket.socket, size: int, end: float) -> bytes:
    piece = connection.recv(size)
    if not piece:
        raise ConnectionError("the other side ended the connection")
    if time.monotonic() > end:
        raise TimeoutError("timed out")
    return piece


def _end(connection: socket.socket) -> float:
    """Give when to end, so that one who says a little again and again does not keep anybody."""
    return time.monotonic() + (connection.gettimeout() or 0)


def _first_words(given: Mapping[str, str], *, encrypted: bool) -> bytes:
    """Say what nats-py says, as long as it is, since the server limits its length."""
    options = {
        "echo": True,
        "headers": True,
        "lang": "python3",
        "no_responders": True,
        "pedantic": False,
        "protocol": 1,
        "tls_required": encrypted,
        "verbose": False,
        "version": "2.16.0",
        **given,
    }
    return b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n"


def _failed(login: Login, step: Step, error: OSError | ValueError) -> Login:
    said = error.strerror if isinstance(error, OSError) else ""
    return replace(login, failed=step, error=said or str(error) or type(error).__name__)
