# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitoring endpoint of nats-server: one kept-alive HTTP session, checked answers, errors that name URL and cause.

What the endpoint answers is in server/monitor.go of nats-server 2.10.7."""

from __future__ import annotations

import codecs
import http.client
import json
import re
import typing as t
from collections.abc import Callable, Collection, Iterable, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._server import endpoints, http_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer, mapping, moment
from ansible_collections.rosey.nats.plugins.module_utils._server.endpoints import ENDPOINTS
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError, Reader

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "monitoring_url": {"type": "str", "required": True},
    "timeout": {"type": "float", "default": http_reader.TIMEOUT},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
}
REQUIRED_BY = {"client_key": ("client_cert",)}


def connect(params: Mapping[str, t.Any]) -> Monitor:
    """Make a Monitor from the parameters of a module that has ARGUMENTS; MonitoringError where the URL can't be one."""
    return Monitor(params["monitoring_url"], **reader_options(params))


def reader_options(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give what a Reader takes besides its URL, from the parameters of a module that has ARGUMENTS."""
    return {name: params[name] for name in ARGUMENTS if name != "monitoring_url"}


class Monitor(Reader):
    """The monitoring endpoint of one server.

    url: with the base path where the server has one. options: those of Reader.
    """

    def __init__(self, url: str, **options: t.Any) -> None:
        super().__init__(url, http_reader.NATS_SERVER, **options)
        self.url = self.url.rstrip("/")

    def varz(self) -> Answer:
        """Give the state and the effective configuration of the server."""
        answer = self._ask("varz")
        for name in ("start", "config_load_time"):
            if moment(answer[name]) is None:
                raise MonitoringError(self._url("varz"), f"{name} is no time: {http_reader.excerpt(answer[name])}")
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
        details = self._ask("jsz", {"accounts": 1, "limit": endpoints.EVERYTHING}).get("account_details") or []
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
        remedy = http_reader.remedy_of_status(status, self._advice)
        rest = split.rest().encode()
        if status != http.HTTPStatus.OK:
            raise MonitoringError(url, f"HTTP status {status}{http_reader.shown_as(rest)}", remedy)
        details = http_reader.parsed(url, status, rest, remedy).get("account_details") or []
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
        if endpoint == "varz":
            return self.varz()
        if endpoint == "healthz":
            return self.healthz()
        if endpoint == "connz":
            return self._connections(details=details)
        if endpoint == "accountz" and details:
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
        query = {"limit": endpoints.EVERYTHING, **(ENDPOINTS["connz"].details if details else {})}
        by_cid: dict[int, Answer] = {}
        while True:
            page = self._ask("connz", {**query, "offset": len(by_cid)})
            before = len(by_cid)
            for connection in page["connections"]:
                if not isinstance(connection, dict) or not isinstance(connection.get("cid"), int):
                    raise MonitoringError(self._url("connz"), "a connection has no number (cid)")
                by_cid[connection["cid"]] = connection
            if len(by_cid) >= page["total"] or len(by_cid) == before:
                connections = [by_cid[number] for number in sorted(by_cid)]
                size = len(connections)
                return {**page, "num_connections": size, "offset": 0, "limit": size, "connections": connections}

    def _accounts(self) -> Answer:
        answer = self._ask("accountz")
        details = [
            self._ask("accountz", {"acc": name}, {"account_detail": http_reader.OBJECT}) for name in answer["accounts"]
        ]
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
            endpoints.check_field(url, answer, name, kind)
        for name in shape.optional.keys() & answer.keys():
            endpoints.check_field(url, answer, name, shape.optional[name])
        for path, kind in shape.inside.items():
            endpoints.check_inside(url, answer, path, kind)
        for name, fields in shape.items.items():
            for item in answer[name]:
                for inner, kind in fields.items():
                    endpoints.check_field(url, mapping(item), inner, kind, f"{name}.{inner}")
        return {**answer, "status_code": status} if any_status else answer

    def _url(self, endpoint: str) -> str:
        return f"{self.url}/{endpoint}"


_BETWEEN = re.compile(r"[ \t\r\n,]*")


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
        # how much of it was taken; it is cut for all of that at once
        self._at = 0
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
        self._text, self._at = self._text[self._at :], 0
        self._enough = 2 * len(self._text)

    def _next_list(self) -> bool:
        start = self._start.search(self._text, self._at)
        if start is None:
            return False
        self._kept.append(self._text[self._at : start.end()])
        self._at, self._in_list = start.end(), True
        return True

    def _next_item(self) -> bool:
        self._at = t.cast("re.Match[str]", _BETWEEN.match(self._text, self._at)).end()
        if self._text.startswith("]", self._at):
            self._in_list = False
            return True
        try:
            item, self._at = self._items.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return False
        self._take(item)
        return True


# What write_log_line() makes the server write (server/monitor.go, HandleHealthz).
LOG_LINE = "Healthcheck: js-enabled deprecated"
