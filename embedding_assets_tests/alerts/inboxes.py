"""A mail server and a webhook on this machine, real ones over real sockets, that can be told to
misbehave."""

import base64
import email
import email.policy
import json
import socketserver
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mailbox:
    """What a mail server received. answers: what it says to a command instead of yes, in turn."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.box: Mailbox = self.server.box
        self.secure = isinstance(self.request, ssl.SSLSocket)
        self.say("220 ready")
        while line := self.rfile.readline().decode(errors="replace").strip():
            command = line.split()[0].upper()
            self.box.commands.append(line)
            scripted = self.box.answers.get(command)
            if scripted:
                answer = scripted.pop(0)
                if answer == "hang":
                    self.server.freed.wait()
                    return
                self.say(answer)
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                getattr(self, command.lower(), self.fine)(line)

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def fine(self, _):
        self.say("250 ok")

    def ehlo(self, _):
        offers = ["mail.test", *(["STARTTLS"] if self.box.tls and not self.secure else [])]
        offers += ["AUTH PLAIN", "SMTPUTF8", "8BITMIME"]
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def starttls(self, _):
        self.say("220 go ahead")
        self.request = self.box.tls.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", buffering=0)
        self.secure = True

    def finish(self):
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def auth(self, line):
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        self.box.logins.append((user, password))
        self.say("235 welcome")

    def data(self, _):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        self.box.messages.append(
            email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        )
        self.box.encrypted.append(self.secure)
        self.say("250 taken")


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_):
        """A client that goes away in the middle is what some tests are about."""


@contextmanager
def mail_server(tls=None):
    with _MailServer(("127.0.0.1", 0), Session) as server:
        server.box = Mailbox(server.server_address[1], tls=tls)
        server.freed = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.box
        finally:
            server.freed.set()
            server.shutdown()
            thread.join()


@dataclass
class Hook:
    """What a webhook received. statuses: what it answers, in turn, before 204."""

    url: str = ""
    received: list[dict] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    tries: int = 0
    freed: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False


class Poster(BaseHTTPRequestHandler):
    def do_POST(self):
        hook: Hook = self.server.hook
        hook.tries += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if hook.hangs:
            hook.freed.wait()
            return
        status = hook.statuses.pop(0) if hook.statuses else 204
        if status < 300:
            hook.received.append(body)
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.server.hook.tries += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def webhook_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Poster) as server:
        server.hook = Hook(f"http://127.0.0.1:{server.server_port}/alerts")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.hook
        finally:
            server.hook.freed.set()
            server.shutdown()
            thread.join()
