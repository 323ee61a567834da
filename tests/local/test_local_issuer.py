"""What an API server is told of our issuer, and the relay through which it asks for keys."""

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

from local.files import ROOT, free_ports, listens
from local.kube import authentication

TRUSTED = {"issuer": {"url": "https://link.example:1/oidc/t_x", "audiences": ["cluster:1"]}}


def test_keys_are_asked_for_where_the_cluster_reaches_us():
    found = authentication.reached_at(TRUSTED, "https://10.213.1.1:1", "PEM")["issuer"]
    assert found["url"] == TRUSTED["issuer"]["url"]
    assert found["discoveryURL"] == "https://10.213.1.1:1/oidc/t_x/.well-known/openid-configuration"
    assert found["certificateAuthority"] == "PEM"


def test_an_address_that_says_nothing_new_is_left_out():
    assert "discoveryURL" not in authentication.reached_at(TRUSTED, "https://link.example:1", "PEM")["issuer"]


def test_the_file_is_written_when_it_changed_alone(tmp_path):
    path = tmp_path / "authentication.json"
    authentication.write(path, [TRUSTED])
    before = path.stat().st_ino
    authentication.write(path, [TRUSTED])
    assert path.stat().st_ino == before
    assert json.loads(path.read_text())["jwt"] == [TRUSTED]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_relay_hands_on_both_ways_and_ends_when_told():
    port, far = free_ports(2)
    with socket.create_server(("127.0.0.1", far)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        argv = [sys.executable, "-m", "local.relay", "127.0.0.1", str(port), "127.0.0.1", str(far)]
        process = subprocess.Popen(argv, cwd=ROOT)
        try:
            deadline = time.monotonic() + 30
            while not listens("127.0.0.1", port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with socket.create_connection(("127.0.0.1", port), 10) as link:
                link.sendall(b"hello")
                link.shutdown(socket.SHUT_WR)
                assert link.makefile("rb").read() == b"hello"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            while chunk := connection.recv(1000):
                connection.sendall(chunk)
