# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitoring endpoint of nats-server: one kept-alive HTTP session, checked answers, errors that name URL and cause.

What the endpoint answers is in server/monitor.go of nats-server 2.10.7.
"""

from __future__ import annotations

import codecs
import http.client
import json
import queue
import re
import socket
import ssl
import threading
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.module_utils._server import greeting

try:
    import requests
    import urllib3
except ImportError:
    HAS_REQUESTS = False
else:
    HAS_REQUESTS = True

Answer = dict[str, t.Any]

TIMEOUT = 5.0
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "timeout": {"type": "float", "default": TIMEOUT},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
}
REQUIRED_BY = {"client_key": ("client_cert",)}

# One answer then holds everything, as the server was at one moment. It fits into the int of a 32-bit server, twice.
_EVERYTHING = 1 << 30
_LARGEST_ANSWER = 1 << 29
_PIECE = 1 << 16
_BEYOND_ALL_NUMBERS = 1 << 65
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
    address="check that url has the port of http_port or https_port of the server's configuration",
    start="check that nats-server runs and that url has the port of its http_port or https_port",
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


_TEXT: tuple[type, ...] = (str,)
_NUMBER: tuple[type, ...] = (int, float)
_LIST: tuple[type, ...] = (list,)
_OBJECT: tuple[type, ...] = (dict,)
_NOUNS: dict[tuple[type, ...], str] = {_TEXT: "a text", _NUMBER: "a number", _LIST: "a list", _OBJECT: "an object"}


@dataclass(frozen=True)
class Endpoint:
    """What an answer has in it.

    required, optional: names of fields with their types; a list may also be null, which is how the server writes an
    empty one. inside: likewise of what stands deeper, where it is there, by dotted paths. items: the fields that each
    item of a list has. details: the query that asks for the single things behind the numbers as well.
    """

    required: Mapping[str, tuple[type, ...]]
    optional: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    inside: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, tuple[type, ...]]] = field(default_factory=dict)
    details: Mapping[str, str | int] = field(default_factory=dict)


def _all(names: str, kind: tuple[type, ...]) -> dict[str, tuple[type, ...]]:
    return dict.fromkeys(names.split(), kind)


_IDENTITY = _all("server_id now", _TEXT)
ENDPOINTS: dict[str, Endpoint] = {
    "varz": Endpoint(
        required={
            **_all("server_id server_name version host start now config_load_time", _TEXT),
            **_all("port max_connections mem connections total_connections in_msgs slow_consumers", _NUMBER),
        },
        optional={
            **_all("cluster gateway leaf mqtt websocket jetstream", _OBJECT),
            **_all("cpu cores max_pending", _NUMBER),
        },
        inside={"jetstream.config": _OBJECT, "jetstream.config.store_dir": _TEXT},
    ),
    # No auth=1: it would show the token of a client as its authorized_user.
    "connz": Endpoint(
        required={**_IDENTITY, **_all("total", _NUMBER), **_all("connections", _LIST)},
        details={"subs": 1, "limit": _EVERYTHING},
    ),
    # The pages of several calls don't fit together: the order changes from call to call.
    "subsz": Endpoint(
        required=_all("num_subscriptions", _NUMBER),
        optional=_all("subscriptions_list", _LIST),
        details={"subs": 1, "limit": _EVERYTHING},
    ),
    "routez": Endpoint(
        required={**_IDENTITY, **_all("num_routes", _NUMBER), **_all("routes", _LIST)},
        items={"routes": {"remote_id": _TEXT}},
        details={"subs": 1},
    ),
    "leafz": Endpoint(
        required={**_IDENTITY, **_all("leafnodes", _NUMBER), **_all("leafs", _LIST)}, details={"subs": 1}
    ),
    "gatewayz": Endpoint(
        required={**_IDENTITY, **_all("outbound_gateways inbound_gateways", _OBJECT)}, details={"accs": 1}
    ),
    # The first page is in no order and the next ones are, so that pages would overlap.
    "jsz": Endpoint(
        required={**_IDENTITY, **_all("streams consumers messages bytes", _NUMBER)},
        optional={
            **_all("config meta_cluster", _OBJECT),
            **_all("account_details", _LIST),
            **_all("memory storage", _NUMBER),
        },
        inside={
            "config.store_dir": _TEXT,
            "config.max_memory": _NUMBER,
            "config.max_storage": _NUMBER,
            "meta_cluster.replicas": _LIST,
            "meta_cluster.cluster_size": _NUMBER,
        },
        details={"accounts": 1, "streams": 1, "consumers": 1, "config": 1, "limit": _EVERYTHING},
    ),
    "healthz": Endpoint(required=_all("status", _TEXT), optional={**_all("error", _TEXT), **_all("errors", _LIST)}),
    "accountz": Endpoint(required={**_IDENTITY, **_all("accounts", _LIST)}),
}


def connect(params: Mapping[str, t.Any]) -> Monitor:
    """Make a Monitor from the parameters of a module that has ARGUMENTS; MonitoringError where url can't be one."""
    return Monitor(**{name: params[name] for name in ARGUMENTS})


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
        status = self._fetch(url, query or {}, body.extend)
        remedy = _remedy_of_status(status, self._advice)
        if status != http.HTTPStatus.OK and not any_status:
            raise MonitoringError(url, f"HTTP status {status}{_said(bytes(body))}", remedy)
        return status, _parsed(url, status, bytes(body), remedy)

    def _fetch(self, url: str, query: Mapping[str, str | int], take: Callable[[bytes], object]) -> int:
        """Give the status, and the body piece by piece to take. A thread does it, to bound the whole answer's time."""
        outcome: queue.SimpleQueue[tuple[int, str] | Exception] = queue.SimpleQueue()
        timeout, session = self.timeout, self._session

        def fetch() -> None:
            try:
                outcome.put(_exchange(session, url, query, timeout, take))
            except Exception as error:  # it is raised again below, in the thread that waits for it
                outcome.put(error)

        threading.Thread(target=fetch, daemon=True).start()
        try:
            found = outcome.get(timeout=timeout)
        except queue.Empty:
            self._session = self._new_session()  # the thread still has the other one
            found = TimeoutError()
        if isinstance(found, MonitoringError):
            raise found
        if isinstance(found, _failures()):
            raise MonitoringError(url, *_explain(found, url, timeout, self._advice)) from found
        if isinstance(found, Exception):
            raise found
        status, location = found
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


class Monitor(Reader):
    """The monitoring endpoint of one server.

    url: with the base path where the server has one. options: those of Reader.
    """

    def __init__(self, url: str, **options: t.Any) -> None:
        super().__init__(url, NATS_SERVER, **options)
        self.url = self.url.rstrip("/")

    def varz(self) -> Answer:
        """Give the state and the effective configuration of the server."""
        answer = self._ask("varz")
        for name in ("start", "config_load_time"):
            if moment(answer[name]) is None:
                raise MonitoringError(self._url("varz"), f"{name} is no time: {excerpt(answer[name])}")
        return answer

    def jsz(self) -> Answer:
        """Give the state of JetStream; ``disabled`` is true where it is off."""
        return self._ask("jsz")

    def healthz(self) -> Answer:
        """Give the verdict of the server on itself, with every error, and the HTTP status as ``status_code``.

        With details the server always answers 200, so the verdict is in the body.
        """
        return {"errors": [], **self._ask("healthz", {"details": "true"}, any_status=True)}

    def account_ids(self) -> list[str]:
        """Name the accounts that have JetStream, by their ids."""
        details = self._ask("jsz", {"accounts": 1, "limit": _EVERYTHING}).get("account_details") or []
        found = [detail.get("id") or detail.get("name") for detail in details if isinstance(detail, dict)]
        named = [each for each in found if isinstance(each, str)]
        if len(named) < len(details):
            raise MonitoringError(self._url("jsz"), "an account has no name")
        return sorted(named)

    def account_streams(self, account: str, take: Callable[[Answer], object]) -> Answer | None:
        """Give one account's details, and its streams to take, one by one, so that they are never held all at once.

        None where there is no such account by now; then nothing that take was given is of it. limit and offset of /jsz
        are of accounts, so that the streams of one come in a single answer (server/monitor.go, Jsz).
        """
        url = self._url("jsz")
        split = ListSplitter("stream_detail", take)
        status = self._fetch(url, {"acc": account, "streams": 1, "consumers": 1, "config": 1}, split.feed)
        remedy = _remedy_of_status(status, self._advice)
        rest = split.rest().encode()
        if status != http.HTTPStatus.OK:
            raise MonitoringError(url, f"HTTP status {status}{_said(rest)}", remedy)
        details = _parsed(url, status, rest, remedy).get("account_details") or []
        # Asked for an account that it does not have, the server tells of all that it has.
        if len(details) != 1 or account not in (details[0].get("id"), details[0].get("name")):
            return None
        return t.cast("Answer", details[0])

    def write_log_line(self) -> None:
        """Make the server write LOG_LINE to its log, a harmless warning, and wait until it has."""
        self._ask("healthz", {"js-enabled": "true"}, any_status=True)

    def read(self, endpoint: str, *, details: bool = False) -> Answer:
        """Give the whole answer of an endpoint, one of ENDPOINTS.

        details: with the subscriptions, streams, consumers and accounts behind the numbers. Lists are complete.
        """
        match endpoint:
            case "varz":
                return self.varz()
            case "healthz":
                return self.healthz()
            case "connz":
                return self._connections(details=details)
            case "accountz" if details:
                return self._accounts()
        answer = self._ask(endpoint, ENDPOINTS[endpoint].details if details else {})
        if endpoint == "subsz" and details:
            answer.setdefault("subscriptions_list", [])  # where there are none, the server answers without details
        return answer

    def read_each(
        self, endpoints: Iterable[str], *, detailed: Collection[str] = ()
    ) -> dict[str, Answer | MonitoringError]:
        """Read endpoints, by their names; one that gives no usable answer has its error, and the others are read.

        detailed: those to be read with details. After /varz has failed it stands for the rest.
        """
        answers: dict[str, Answer | MonitoringError] = {}
        for name in endpoints:
            first = answers.get("varz")
            if isinstance(first, MonitoringError):
                answers[name] = first  # it would keep each further question waiting as long
                continue
            try:
                answers[name] = self.read(name, details=name in detailed)
            except MonitoringError as error:
                answers[name] = error
        return answers

    def _connections(self, *, details: bool) -> Answer:
        """Read pages until the total is there, by whatever limit the other side goes."""
        query = {"limit": _EVERYTHING, **(ENDPOINTS["connz"].details if details else {})}
        found: dict[int, Answer] = {}
        while True:
            page = self._ask("connz", {**query, "offset": len(found)})
            before = len(found)
            for connection in page["connections"]:
                if not isinstance(connection, dict) or not isinstance(connection.get("cid"), int):
                    raise MonitoringError(self._url("connz"), "a connection has no number (cid)")
                found[connection["cid"]] = connection
            if len(found) >= page["total"] or len(found) == before:
                connections = [found[number] for number in sorted(found)]
                size = len(connections)
                return {**page, "num_connections": size, "offset": 0, "limit": size, "connections": connections}

    def _accounts(self) -> Answer:
        answer = self._ask("accountz")
        details = [self._ask("accountz", {"acc": name}, {"account_detail": _OBJECT}) for name in answer["accounts"]]
        return {**answer, "account_details": [detail["account_detail"] for detail in details]}

    def _ask(
        self,
        endpoint: str,
        query: Mapping[str, str | int] | None = None,
        required: Mapping[str, tuple[type, ...]] | None = None,
        *,
        any_status: bool = False,
    ) -> Answer:
        """Ask once and check the types of the answer's fields. any_status: the body counts whatever the HTTP status."""
        url = self._url(endpoint)
        status, answer = self.ask(url, query, any_status=any_status)
        shape = ENDPOINTS[endpoint]
        for name, kind in (shape.required if required is None else required).items():
            _check_field(url, answer, name, kind)
        for name in shape.optional.keys() & answer.keys():
            _check_field(url, answer, name, shape.optional[name])
        for path, kind in shape.inside.items():
            _check_inside(url, answer, path, kind)
        for name, fields in shape.items.items():
            for item in answer[name]:
                for inner, kind in fields.items():
                    _check_field(url, item if isinstance(item, dict) else {}, inner, kind, f"{name}.{inner}")
        return {**answer, "status_code": status} if any_status else answer

    def _url(self, endpoint: str) -> str:
        return f"{self.url}/{endpoint}"


class ListSplitter:
    """Takes the lists of one name out of a JSON text that comes in pieces, item by item.

    take: gets each item, an object. What is left, with the lists empty, is small.
    """

    def __init__(self, name: str, take: Callable[[Answer], object]) -> None:
        # A quote within a text is escaped, so that no text can hold this.
        self._start = re.compile(rf'"{name}"\s*:\s*\[')
        self._take = take
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._items = json.JSONDecoder()
        self._kept: list[str] = []
        self._text = ""
        self._in_list = False
        self._enough = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the text."""
        self._text += self._decode(piece)
        # What takes many pieces is not looked through again for each of them.
        if len(self._text) >= self._enough:
            self._split()

    def rest(self) -> str:
        """Give what is left once all pieces are there."""
        self._split()
        return "".join(self._kept) + self._text

    def _split(self) -> None:
        while self._next_item() if self._in_list else self._next_list():
            pass

    def _next_list(self) -> bool:
        start = self._start.search(self._text)
        if start is None:
            self._enough = 2 * len(self._text)
            return False
        self._kept.append(self._text[: start.end()])
        self._text, self._enough = self._text[start.end() :], 0
        self._in_list = True
        return True

    def _next_item(self) -> bool:
        self._text = self._text.lstrip(" \t\r\n,")
        if self._text.startswith("]"):
            self._in_list, self._enough = False, 0
            return True
        try:
            item, end = self._items.raw_decode(self._text)
        except (ValueError, RecursionError):
            self._enough = 2 * len(self._text)
            return False
        self._text, self._enough = self._text[end:], 0
        self._take(item)
        return True


def _failures() -> tuple[type[Exception], ...]:
    """Name what the libraries raise, older and newer ones, where the other side does not answer as it should."""
    return (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


# What write_log_line() makes the server write (server/monitor.go, HandleHealthz).
LOG_LINE = "Healthcheck: js-enabled deprecated"


def moment(text: str) -> datetime | None:
    """Read a point in time as the server writes it; None where the text is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def routed_servers(routez: Answer) -> dict[str, str]:
    """Name the other servers that routes lead to, by their ids; several routes lead to the same server."""
    return {route["remote_id"]: str(route.get("remote_name")) for route in routez["routes"]}


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
            if size > _LARGEST_ANSWER:
                raise MonitoringError(url, f"the answer has more than {_LARGEST_ANSWER} bytes")
            take(piece)
        announced = response.headers.get("Content-Length", "")
        if re.fullmatch("[0-9]{1,18}", announced) and size < int(announced):
            raise http.client.IncompleteRead(b"", int(announced) - size)
        return response.status_code, response.headers.get("Location", "")


def _checked_url(url: str, remedy: str) -> str:
    """Give the URL; MonitoringError where it can't be one of an endpoint."""
    if "@" in url:
        raise MonitoringError(url.rpartition("@")[2], "url holds a user or a password", remedy)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MonitoringError(url, f"url is no URL: {error}", remedy) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise MonitoringError(url, "url has to begin with http:// or https://, the name of a host and its port", remedy)
    if parts.query or parts.fragment:
        raise MonitoringError(url, "url has a query or a fragment", remedy)
    return url


def _no_number(word: str) -> t.NoReturn:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(word)


def _parsed(url: str, status: int, body: bytes, remedy: str) -> Answer:
    try:
        answer = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        what = "half an answer" if body.lstrip()[:1] in (b"{", b"[") else "no JSON"
        raise MonitoringError(url, f"the answer (HTTP status {status}) is {what}{_said(body)}", remedy) from error
    if not isinstance(answer, dict):
        raise MonitoringError(url, f"the answer is {noun(answer)}; expected an object{_said(body)}", remedy)
    return answer


def _check_inside(url: str, answer: Answer, path: str, kind: tuple[type, ...]) -> None:
    """Check what stands deeper in an answer; null is as good as nothing there."""
    *above, name = path.split(".")
    for each in above:
        found = answer.get(each)
        if not isinstance(found, dict):
            return
        answer = found
    if answer.get(name) is not None:
        _check_field(url, answer, name, kind, path)


def _check_field(url: str, answer: Answer, name: str, kind: tuple[type, ...], path: str = "") -> None:
    """Check one field of an object. path: where that stands in the answer, where it is not the answer itself."""
    path = path or name
    if name not in answer:
        raise MonitoringError(url, f"the answer has no {path}; this does not seem to be nats-server")
    if answer[name] is None and kind is _LIST:
        answer[name] = []
    value: t.Any = answer[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = "" if isinstance(value, dict | list) else f", {excerpt(json.dumps(value))}"
        raise MonitoringError(
            url,
            f"{path} is {noun(value)}{shown}; expected {_NOUNS[kind]}; this does not seem to be nats-server",
        )
    if isinstance(value, int | float) and not -_BEYOND_ALL_NUMBERS < value < _BEYOND_ALL_NUMBERS:
        raise MonitoringError(url, f"{path} is out of range; expected a number of 64 bits")


def noun(value: t.Any) -> str:
    """Name the kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return next(noun for kind, noun in _NOUNS.items() if isinstance(value, kind))


def _said(body: bytes) -> str:
    text = excerpt(body[:_PIECE].decode("utf-8", "replace"))
    return f", and says: {text}" if text else ", and empty"


def excerpt(text: str) -> str:
    """Give the beginning of a foreign text on one line, without what looks like a secret."""
    readable = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(redaction.redact(readable).split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."


def _remedy_of_status(status: int, advice: Advice) -> str:
    if status == http.HTTPStatus.NOT_FOUND:
        return advice.path
    return advice.log if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else advice.address


def _explain(error: Exception, url: str, timeout: float, advice: Advice) -> tuple[str, str]:
    """Give cause and remedy of what the HTTP library raised; the words of the library itself say little to a user."""
    chain = list(_chain(error))
    for kind, explain in _EXPLANATIONS:
        for each in chain:
            if isinstance(each, kind):
                return explain(each, url, timeout, advice)
    return excerpt(str(error)), advice.address


def _chain(error: object) -> Iterator[BaseException]:
    """Give an exception and all that it was made from; the libraries keep that in several places."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


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
    if line.startswith(greeting.BANNER):
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
    (http.client.HTTPException, _plainly("what answers there does not speak HTTP: {reason}")),
    (ConnectionError, _plainly("the connection was closed: {reason}", "{start}")),
    (OSError, _plainly("{reason}")),
)
