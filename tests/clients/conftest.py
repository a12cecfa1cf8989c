"""What tests share: one server for all, a fresh sample for each, the published client as it is."""

import json
import os

import pytest
import urllib3
from dynamics.customerinsights.api import CustomerInsights

from proxy import Proxy
from server import KEY, Http, Server
from shop import Shop

BINARY = os.environ["SANNTID_BINARY"]
# With urllib3 1.26 the client sends writes again by itself, with 2.x only reads.
RESENDS_WRITES = urllib3.__version__.startswith("1.")

_servers: list[Server] = []


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Starts servers with settings of their own; all end with the session, and end well."""

    def start(*settings: str) -> Server:
        server = Server(BINARY, tmp_path_factory.mktemp("server"), *settings)
        _servers.append(server)
        return server

    yield start
    assert [server.stop() for server in _servers] == [0] * len(_servers)


@pytest.fixture(scope="session")
def server(start_server):
    return start_server()


@pytest.fixture(scope="session")
def http(server):
    http = Http(server.url)
    yield http
    http.close()


def published_client(base_url: str, key: str | None = KEY) -> CustomerInsights:
    """The published client, with the key in the header that its documents name."""
    client = CustomerInsights(base_url)
    if key is not None:
        client.config.headers["Ocp-Apim-Subscription-Key"] = key
    return client


@pytest.fixture
def client(server):
    with published_client(f"{server.url}/api") as client:
        yield client


@pytest.fixture
def shop(http):
    return Shop(http)


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(proxy):
    with published_client(f"{proxy.url}/api") as client:
        yield client


def document(**fields) -> str:
    """A body as the published client takes it: a text that holds a JSON document."""
    return json.dumps(fields)


def pytest_runtest_setup(item):
    for server in _servers:
        server.mark_log()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in _servers:
            report.sections.append((f"log of {server.url}", server.log()))
    return report
