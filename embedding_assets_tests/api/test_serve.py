"""The service as processes of the operating system, on a free port of this machine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from embedding_assets.api.serve import Address, ServeError, listen

SERVER = """
import asyncio
import sys
from functools import partial
from embedding_assets.api import app, protocol, serve
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.settings import load_settings

served_app = serve.served_app


def hashing_app(settings, *, is_loopback):
    app.create_app = partial(app.create_app, encoder=HashingEncoder)
    protocol.HEAD_SECONDS = 0.3
    made = served_app(settings, is_loopback=is_loopback)

    @made.post("/slow")
    async def slow():
        print("slow", flush=True)
        await asyncio.sleep(0.5)
        return {"done": True}

    return made


if __name__ == "__main__":
    serve.served_app = hashing_app
    listener, address = serve.listen(serve.Address("127.0.0.1", 0))
    print(address.port, flush=True)
    serve.serve(load_settings(), listener, address, int(sys.argv[1]))
    print("ended", flush=True)
"""


class Server:
    """A server process; its port is known once it listens."""

    def __init__(self, folder, workers=1, **service):
        self.script = folder / "server.py"
        self.script.write_text(SERVER)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EMBEDDING")}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        environment["EMBEDDING_ASSETS_DATA_DIR"] = str(folder / "store")
        for name, value in service.items():
            environment[f"EMBEDDING_ASSETS_SERVICE__{name.upper()}"] = str(value)
        with (folder / "server.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(self.script), str(workers)],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.port = int(self.process.stdout.readline())

    def ask(self, method, path, body=None):
        """Status and JSON of an answer over a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def end(self, number=signal.SIGTERM):
        """The exit code after that signal, and what was printed."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed


@pytest.fixture
def start(tmp_path):
    servers = []

    def start_one(**options):
        servers.append(Server(tmp_path, **options))
        return servers[-1]

    yield start_one
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_the_end(start, number):
    server = start()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.ask("POST", "/slow")))
    asking.start()
    assert server.process.stdout.readline() == "slow\n"
    assert server.end(number) == (0, "ended\n")
    asking.join()
    assert answers == [(200, {"done": True})]


def test_what_is_not_done_in_time_is_given_up(start):
    server = start(drain_seconds=0)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.request("POST", "/slow")
        assert server.process.stdout.readline() == "slow\n"
        assert server.end() == (0, "ended\n")


def test_slow_and_endless_clients_are_hung_up_on(start):
    server = start()
    server.ask("GET", "/health/live")
    begun = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
    for sent, answer in (
        (b"", b""),
        (b"\r\n", b""),
        (begun, b"HTTP/1.1 408 "),
        (b"no HTTP at all\r\n\r\n", b"HTTP/1.1 400 "),
        (begun + b"X: " + b"x" * 100_000, b"HTTP/1.1 431 "),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(sent)
            received = b"".join(iter(lambda: client.recv(65_536), b""))
        assert received.startswith(answer)
        assert bool(received) is bool(answer)
        if answer:
            head, _, body = received.partition(b"\r\n\r\n")
            assert b"content-type: application/problem+json" in head
            assert json.loads(body)["mend"]
    assert server.ask("GET", "/health/live") == (200, {"status": "live"})


def test_many_silent_connections_hold_up_nobody(start):
    server = start()
    server.ask("GET", "/health/live")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    try:
        assert server.ask("GET", "/health/live") == (200, {"status": "live"})
    finally:
        for client in silent:
            client.close()


def test_two_workers_share_limits_and_end_when_their_parent_was_killed(start):
    server = start(workers=2, requests_per_minute=20)
    statuses = [server.ask("POST", "/embed", {"texts": ["a"]})[0] for _ in range(50)]
    # A minute may end in between.
    assert statuses.count(200) in range(20, 41)
    assert statuses.count(429) == 50 - statuses.count(200)
    server.process.kill()
    server.process.wait()
    refused = False
    while not refused:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
        except ConnectionError:
            refused = True


def test_a_port_that_is_taken_is_a_named_error():
    first, address = listen(Address("127.0.0.1", 0))
    with closing(first), pytest.raises(ServeError, match=f"port {address.port} .* is taken"):
        listen(address)


def test_a_host_of_somebody_else_is_a_named_error():
    with pytest.raises(ServeError, match="cannot be listened on"):
        listen(Address("192.0.2.1", 0))
    with pytest.raises(ServeError, match="not known"):
        listen(Address("no.such.host.invalid", 0))


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_an_address_knows_whether_others_can_reach_it(host, is_loopback):
    assert Address(host, 1).is_loopback is is_loopback


def test_an_address_has_a_url():
    assert Address("::1", 80).url == "http://[::1]:80"
