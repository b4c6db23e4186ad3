# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kept-alive HTTP session that reads JSON, with errors that name the URL and the cause."""

from __future__ import annotations

import http.client
import json
import queue
import re
import socket
import ssl
import threading
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.module_utils._server import info_line
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer

try:
    import requests
    import urllib3
except ImportError:
    HAS_REQUESTS = False
else:
    HAS_REQUESTS = True


TIMEOUT = 5.0
# Bytes of an answer that is held as a whole, and of one of which each piece is let go: whoever answers may be another.
_LARGEST_ANSWER = 1 << 26
_LARGEST_STREAM = 1 << 29
_PIECE = 1 << 16
_EXCERPT = 80
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class Advice:
    """What to do where no usable answer comes, in words that fit the one that was asked.

    form: where url can't be one. address: where something else answers. start: where nothing does. path: where the
    path leads nowhere. log: where the one that was asked has trouble.
    """

    form: str
    address: str
    start: str
    path: str
    log: str


NATS_SERVER = Advice(
    form="write it as http://127.0.0.1:8222, with the server's http_base_path at the end where it has one",
    address="check that the address has the port of http_port or https_port of the server's configuration",
    start="check that nats-server runs and that the address has the port of its http_port or https_port",
    path="check the path of url: it has to be the server's http_base_path, and nothing where the server has none",
    log="look at the log of the server",
)


class MonitoringError(Exception):
    """Why an endpoint gave no usable answer, as text: the URL, the cause, and what to do."""

    def __init__(self, url: str, cause: str, remedy: str = NATS_SERVER.address) -> None:
        super().__init__(f"{url}: {cause}; {remedy}")
        self.url = url
        self.cause = cause
        self.remedy = remedy


TEXT: tuple[type, ...] = (str,)
NUMBER: tuple[type, ...] = (int, float)
LIST: tuple[type, ...] = (list,)
OBJECT: tuple[type, ...] = (dict,)
NOUNS: dict[tuple[type, ...], str] = {TEXT: "a text", NUMBER: "a number", LIST: "a list", OBJECT: "an object"}


class Reader:
    """Reads JSON objects over one kept-alive HTTP session.

    url: http or https. advice: for who is asked. timeout: seconds that one whole answer may take. ca_path: file or
    directory of the authorities to trust. client_cert, client_key: files for a server that asks for a certificate.
    Every method raises MonitoringError.
    """

    def __init__(
        self,
        url: str,
        advice: Advice,
        *,
        timeout: float = TIMEOUT,
        validate_certs: bool = True,
        ca_path: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
    ) -> None:
        self.url = _checked_url(url, advice.form)
        if not 0 < timeout < threading.TIMEOUT_MAX:
            raise MonitoringError(url, f"timeout is {timeout:g}", "give the seconds that an answer may take")
        self.timeout = timeout
        self._advice = advice
        self._verify: bool | str = (ca_path or True) if validate_certs else False
        self._certificate = (client_cert, client_key) if client_cert and client_key else client_cert
        if not validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._session = self._new_session()

    def ask(
        self, url: str, query: Mapping[str, str | int] | None = None, *, any_status: bool = False
    ) -> tuple[int, Answer]:
        """Ask once; give the HTTP status and the object. any_status: the object counts whatever the status."""
        body = bytearray()
        status = self._fetch(url, query or {}, body.extend, _LARGEST_ANSWER)
        remedy = remedy_of_status(status, self._advice)
        if status != http.HTTPStatus.OK and not any_status:
            raise MonitoringError(url, f"HTTP status {status}{shown_as(bytes(body))}", remedy)
        return status, parsed(url, status, bytes(body), remedy)

    def _fetch(
        self, url: str, query: Mapping[str, str | int], take: Callable[[bytes], object], most: int = _LARGEST_STREAM
    ) -> int:
        """Give the status, and the body, at most so many bytes, piece by piece to take.

        A thread does it, to bound the whole answer's time. What comes later is nobody's.
        """
        outcome: queue.SimpleQueue[tuple[int, str] | Exception] = queue.SimpleQueue()
        timeout, session, is_late = self.timeout, self._session, threading.Event()
        left = most

        def take_in_time(piece: bytes) -> None:
            nonlocal left
            left -= len(piece)
            if is_late.is_set():
                raise TimeoutError
            if left < 0:
                raise MonitoringError(url, f"the answer has more than {most} bytes")
            take(piece)

        def fetch() -> None:
            try:
                outcome.put(_exchange(session, url, query, timeout, take_in_time))
            except Exception as error:  # it is raised again below, in the thread that waits for it
                outcome.put(error)

        threading.Thread(target=fetch, daemon=True).start()
        try:
            answer = outcome.get(timeout=timeout)
        except queue.Empty:
            is_late.set()
            self._session = self._new_session()  # the thread still has the other one
            answer = TimeoutError()
        if isinstance(answer, MonitoringError):
            raise answer
        if isinstance(answer, _failures()):
            raise MonitoringError(url, *_explain(answer, url, timeout, self._advice)) from answer
        if isinstance(answer, Exception):
            raise answer
        status, location = answer
        if status in _REDIRECTS:
            cause = f"HTTP status {status}, a redirect to {redaction.redact(location)}; expected an answer"
            raise MonitoringError(url, cause, self._advice.address)
        return status

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no proxy, no .netrc: the answer has to be the server's own
        session.verify = self._verify
        session.cert = self._certificate
        session.headers["Accept-Encoding"] = "identity"
        return session


def _failures() -> tuple[type[Exception], ...]:
    """Name what the libraries raise, older and newer ones, where the other side does not answer as it should."""
    return (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


def _exchange(
    session: requests.Session,
    url: str,
    query: Mapping[str, str | int],
    timeout: float,
    take: Callable[[bytes], object],
) -> tuple[int, str]:
    """Give status and location, and the body piece by piece to take."""
    with session.get(url, params=query, timeout=timeout, allow_redirects=False, stream=True) as response:
        size = 0
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            take(piece)
        announced = response.headers.get("Content-Length", "")
        if re.fullmatch("[0-9]{1,18}", announced) and size < int(announced):
            raise http.client.IncompleteRead(b"", int(announced) - size)
        return response.status_code, response.headers.get("Location", "")


def _checked_url(url: str, remedy: str) -> str:
    """Give the URL; MonitoringError where it can't be one of an endpoint."""
    if "@" in url:
        raise MonitoringError(url.rpartition("@")[2], "the URL holds a user or a password", remedy)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MonitoringError(url, f"url is no URL: {error}", remedy) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise MonitoringError(
            url, "the URL has to begin with http:// or https://, the name of a host and its port", remedy
        )
    if parts.query or parts.fragment:
        raise MonitoringError(url, "url has a query or a fragment", remedy)
    return url


def _no_number(word: str) -> t.NoReturn:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(word)


def parsed(url: str, status: int, body: bytes, remedy: str) -> Answer:
    """Give the JSON object that an answer is; MonitoringError."""
    try:
        answer = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        what = "half an answer" if body.lstrip()[:1] in (b"{", b"[") else "no JSON"
        raise MonitoringError(url, f"the answer (HTTP status {status}) is {what}{shown_as(body)}", remedy) from error
    if not isinstance(answer, dict):
        raise MonitoringError(url, f"the answer is {noun(answer)}; expected an object{shown_as(body)}", remedy)
    return answer


def noun(value: t.Any) -> str:
    """Name the kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return next(noun for kind, noun in NOUNS.items() if isinstance(value, kind))


def shown_as(body: bytes) -> str:
    """Say what a body that is none of JSON says."""
    text = excerpt(body[: 4 * _PIECE].decode("utf-8", "replace"))
    return f", and says: {text}" if text else ", and empty"


def excerpt(text: str) -> str:
    """Give the beginning of a foreign text on one line, without what looks like a secret."""
    line = " ".join(redaction.redact(redaction.readable(text[:_PIECE])).split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."


def remedy_of_status(status: int, advice: Advice) -> str:
    """Say what to do about a status that is no success."""
    if status == http.HTTPStatus.NOT_FOUND:
        return advice.path
    return advice.log if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else advice.address


def _explain(error: Exception, url: str, timeout: float, advice: Advice) -> tuple[str, str]:
    """Give cause and remedy of what the HTTP library raised; the words of the library itself say little to a user."""
    chain = list(_chain(error))
    for kind, explain in _EXPLANATIONS:
        for cause in chain:
            if isinstance(cause, kind):
                return explain(cause, url, timeout, advice)
    return excerpt(str(error)), advice.address


def _chain(error: object) -> Iterator[BaseException]:
    """Give an exception and all that it was made from; the libraries keep that in several places."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


Explanation = Callable[[t.Any, str, float, Advice], tuple[str, str]]


def _explain_tls(error: ssl.SSLError, _url: str, _timeout: float, _advice: Advice) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the server is not trusted: {error.verify_message}",
            "let the host trust the authority (update-ca-certificates), or name it in ca_path; and ask for the host by "
            "a name that the certificate has",
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return f"no TLS connection: {reason}", "check the scheme of url, ca_path, client_cert and client_key"


def _explain_status_line(
    error: http.client.BadStatusLine, _url: str, _timeout: float, advice: Advice
) -> tuple[str, str]:
    line = excerpt(str(error.args[0]))
    if line.startswith(info_line.BANNER):
        return "this is the port for clients of nats-server, which does not speak HTTP", advice.address
    return f"what answers there does not speak HTTP, it says: {line}", advice.address


def _plainly(cause: str, remedy: str = "{address}") -> Explanation:
    """Explain by texts; {host}, {seconds}, {reason} and what Advice has are filled in."""

    def explain(error: BaseException, url: str, timeout: float, advice: Advice) -> tuple[str, str]:
        reason = excerpt(getattr(error, "strerror", None) or str(error))
        shown = {"host": urlsplit(url).hostname, "seconds": f"{timeout:g}", "reason": reason, **vars(advice)}
        return cause.format_map(shown), remedy.format_map(shown)

    return explain


_NO_WHOLE_ANSWER = _plainly("no whole answer within {seconds} seconds", "raise timeout, or {log}")
# The first that fits anything in the chain counts.
_EXPLANATIONS: Iterable[tuple[type[BaseException], Explanation]] = (
    (ssl.SSLError, _explain_tls),
    (ConnectionRefusedError, _plainly("connection refused, nothing listens there", "{start}")),
    (socket.gaierror, _plainly("the name {host} can't be resolved: {reason}", "check the host in url")),
    (http.client.RemoteDisconnected, _plainly("the connection was closed without an answer", "{start}")),
    (http.client.BadStatusLine, _explain_status_line),
    (http.client.IncompleteRead, _plainly("the connection was closed after half an answer")),
    (TimeoutError, _NO_WHOLE_ANSWER),
    (socket.timeout, _NO_WHOLE_ANSWER),  # another one before Python 3.10
    (http.client.HTTPException, _plainly("what answers there does not speak HTTP: {reason}")),
    (ConnectionError, _plainly("the connection was closed: {reason}", "{start}")),
    (OSError, _plainly("{reason}")),
)
