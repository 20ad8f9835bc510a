import asyncio
from contextlib import suppress

from embedding_assets.benchmarks.load import Client, Load, Request, at_rate

ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s"


class Server:
    """Answers each request by its path: /200, /503, /close; keeps what it was sent."""

    def __init__(self):
        self.seen = []
        self.connections = 0

    async def talk(self, reader, writer):
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            lengths = [int(line[16:]) for line in lines if line.startswith("Content-Length: ")]
            body = await reader.readexactly(lengths[0]) if lengths else b""
            self.seen.append((lines[0], body))
            status = lines[0].split()[1].strip("/")
            if status == "close":
                writer.close()
                return
            writer.write(ANSWER % (int(status), 3, b"yes"))


def run(requests, rate=500, seconds=0.1):
    async def inner():
        server, talks = Server(), []

        async def talk(reader, writer):
            talks.append(asyncio.current_task())
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await server.talk(reader, writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        listening = await asyncio.start_server(talk, "127.0.0.1", 0)
        client = Client(listening.sockets[0].getsockname()[1])
        load = await at_rate(client, requests, rate, seconds)
        client.close()
        listening.close()
        await asyncio.gather(*talks)
        return server, load

    return asyncio.run(inner())


def test_as_many_requests_are_sent_as_the_rate_says_each_with_its_body():
    server, load = run([Request("/200"), Request("/200", b'{"k": 1}')])
    assert len(load.milliseconds) == 50
    assert not load.failures
    assert sorted(set(server.seen)) == [
        ("GET /200 HTTP/1.1", b""), ("POST /200 HTTP/1.1", b'{"k": 1}'),
    ]  # fmt: skip


def test_connections_are_kept():
    server, load = run([Request("/200")], rate=20, seconds=0.5)
    assert len(load.milliseconds) == 10
    assert server.connections < 10


def test_failures_are_counted_by_their_reason():
    _, load = run([Request("/200"), Request("/503"), Request("/close")], rate=300)
    assert len(load.milliseconds) == 10
    assert load.failures == {"503": 10, "IncompleteReadError": 10}


def test_an_answer_counts_from_the_moment_when_it_was_due():
    load = Load(10, seconds=2.0, milliseconds=[1.0, 2.0, 3.0, 4.0])
    assert (load.quantile(0.5), load.quantile(1.0), load.answered_per_second) == (2.5, 4.0, 2.0)
