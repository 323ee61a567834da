"""``runai login`` through a browser and by device code, against a running console; then refresh and logout."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.config import Config, claims
from local.files import ROOT
from tests.fixtures_stack import RunningStack

pytestmark = pytest.mark.stack
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """The command with a browser that writes down which address it was told to open."""
    browser = home / "browser"
    browser.write_text(f"#!{sys.executable}\nimport sys\nopen({str(home / 'opened')!r}, 'w').write(sys.argv[1])\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    env = {**os.environ, "RUNAI_CLI_CONFIG_PATH": str(home), "BROWSER": str(browser), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "cli", *words]
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str]:
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out + err


@contextmanager
def signed_in(stack: RunningStack) -> Iterator[httpx.Client]:
    """A console session of the first administrator."""
    facts = stack.facts["tenants"][0]
    with httpx.Client(base_url=facts["api"], follow_redirects=False, timeout=30) as browser:
        page = browser.get("/login/")
        form = {**facts["admin"], "csrfmiddlewaretoken": TOKEN.findall(page.text)[0]}
        assert browser.post("/login/", data=form).status_code == 302
        yield browser


def waited(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "the command opened no browser"
        time.sleep(0.1)
    return path.read_text()


def test_the_browser_brings_the_code_back(stack: RunningStack, tmp_path: Path) -> None:
    facts = stack.facts["tenants"][0]
    command = start(tmp_path, "login", "--url", facts["api"])
    address = waited(tmp_path / "opened").removeprefix(facts["api"])
    with signed_in(stack) as browser:
        page = browser.get(address)
        form = {"answer": "yes", "csrfmiddlewaretoken": TOKEN.findall(page.text)[0]}
        back = browser.post(address, data=form)
        assert back.headers["location"].startswith("http://127.0.0.1:")
        assert "close this page" in httpx.get(back.headers["location"]).text
    assert ended(command) == (0, f"Approve in the browser:\n  {facts['api']}{address}\nsigned in as "
                              f"{facts['admin']['email']} at {facts['api']}\n")  # fmt: skip


def test_a_device_code_signs_in_and_out(stack: RunningStack, tmp_path: Path) -> None:
    facts = stack.facts["tenants"][0]
    command = start(tmp_path, "login", "--url", facts["api"], "--device")
    assert command.stderr is not None
    lines = [command.stderr.readline() for _ in range(3)]
    with signed_in(stack) as browser:
        page = browser.get("/device/")
        form = {"code": lines[2].strip(), "answer": "yes", "csrfmiddlewaretoken": TOKEN.findall(page.text)[0]}
        assert "signs in as" in browser.post("/device/", data=form).text
    assert ended(command)[0] == 0
    config = Config(tmp_path)
    old = config.refresh_token
    stored = json.loads(config.authentication.read_text())
    assert ended(start(tmp_path, "whoami"))[1].startswith(facts["admin"]["email"])
    assert claims(config.token or "")["tid"]
    config.save_tokens(_ended(config.token or ""), stored["refreshToken"])
    assert ended(start(tmp_path, "project", "list"))[0] == 0, "an ended token is renewed on the way"
    assert config.refresh_token != old
    token = config.token
    assert ended(start(tmp_path, "logout"))[0] == 0
    answer = httpx.get(f"{facts['api']}/api/v1/users", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def _ended(token: str) -> str:
    """The same token, saying of itself that it has ended: the command must not even try it."""
    head, body, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"exp": 1}
    return ".".join([head, base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("="), signature])
