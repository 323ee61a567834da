"""The stack's REST client against a scripted server: it repeats what is safe, with the same key, and tells errors."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.rest import Rest, RestError


class Script(ThreadingHTTPServer):
    """Answers each request with the next of ``answers``; remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any]] = []
        self.seen: list[tuple[str, str, str | None]] = []
        self.tokens = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Script

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/v1/token":
            self.server.tokens += 1
            self._send(200, {"accessToken": f"token-{self.server.tokens}"})
            return
        self._answer()

    def _answer(self) -> None:
        self.server.seen.append((self.path, self.headers["Authorization"], self.headers.get("Idempotency-Key")))
        self._send(*self.server.answers.pop(0))

    def _send(self, status: int, value: Any) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script()
    threading.Thread(target=script.serve_forever, daemon=True).start()
    yield script
    script.shutdown()
    script.server_close()


@pytest.fixture
def rest(server: Script) -> Iterator[Rest]:
    with Rest(server.base, "app", "secret") as made:
        yield made


def test_a_restarting_server_is_asked_again_with_the_same_key(server: Script, rest: Rest) -> None:
    server.answers = [(503, {}), (201, {"id": 1})]
    assert rest.post("/clusters", {"name": "c"}).json() == {"id": 1}
    assert len(server.seen) == 2
    assert len({key for _, _, key in server.seen}) == 1
    assert server.seen[0][2]


def test_a_given_key_is_sent(server: Script, rest: Rest) -> None:
    server.answers = [(201, {})]
    rest.post("/clusters", {}, key="mine")
    assert server.seen[0][2] == "mine"


def test_an_old_token_is_replaced_once(server: Script, rest: Rest) -> None:
    server.answers = [(401, {}), (200, [])]
    assert rest.get("/clusters") == []
    assert [token for _, token, _ in server.seen] == ["Bearer token-1", "Bearer token-2"]


def test_an_error_carries_status_and_words(server: Script, rest: Rest) -> None:
    server.answers = [(409, {"message": "there is a cluster named c"})]
    with pytest.raises(RestError, match=r"POST /clusters: 409 .*there is a cluster named c") as caught:
        rest.post("/clusters", {"name": "c"})
    assert caught.value.status == 409
