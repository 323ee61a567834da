"""Webhooks: every event once in the queue, signed, retried, and never to an address of ours."""

import hmac
import json
from datetime import timedelta
from hashlib import sha256

import httpx
import pytest
from django.utils import timezone

from access.models import Webhook, WebhookDelivery
from access.services import webhooks
from access.services.audit import record
from access.services.bootstrap import system_actor
from runai_cp.lib import egress
from tests.access.test_access_audit_chain import seal

pytestmark = pytest.mark.services
JSON = "application/json"


@pytest.fixture
def hook(acme):
    body = {"name": "chat", "url": "https://hooks.example.com/x", "events": ["group.*"]}
    made = acme.api().post("/api/v1/webhooks", body, content_type=JSON)
    assert made.status_code == 201, made.content
    seal()
    return made.json()


@pytest.fixture
def posted(monkeypatch):
    """What was sent; ``answers`` are given back in turn, then 200."""
    sent = []

    def post(url, *, content, headers):
        sent.append((url, content, headers))
        answer = posted.answers.pop(0) if posted.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return egress.Answer(answer, b"")

    posted.answers = []
    monkeypatch.setattr(webhooks.egress, "post", post)
    return sent


posted.answers = []


def happen(action="create", entity_type="group"):
    record(actor=system_actor(), action=action, entity_type=entity_type, entity_name="team")
    seal()


def run(hook, now=None):
    now = now or timezone.now()
    webhooks.take_in(hook["id"], now)
    return [webhooks.deliver(pk, now) for pk in webhooks.due(now)]


def test_an_event_arrives_once_and_signed(hook, posted):
    happen()
    assert run(hook) == [True]
    assert run(hook) == []
    url, content, headers = posted[0]
    at, given = (part.split("=", 1)[1] for part in headers["X-Runai-Signature"].split(","))
    wanted = hmac.new(hook["secret"].encode(), f"{at}.".encode() + content, sha256).hexdigest()
    assert (url, given) == ("https://hooks.example.com/x", wanted)
    assert json.loads(content)["event"] == "group.create"


def test_other_events_are_not_its_business(hook, posted):
    happen(entity_type="project")
    assert run(hook) == []


@pytest.mark.parametrize("trouble", [500, 301, httpx.ConnectTimeout("slow"), egress.EgressRefused("inside")])
def test_a_failure_is_tried_again_later_with_the_same_id(hook, posted, trouble):
    happen()
    import_answers([trouble])
    assert run(hook) == [False]
    assert webhooks.due(timezone.now()) == []
    later = timezone.now() + timedelta(minutes=1)
    assert run(hook, later) == [True]
    assert posted[0][2]["X-Runai-Delivery"] == posted[1][2]["X-Runai-Delivery"]


def import_answers(answers):
    posted.answers = list(answers)


def test_after_a_day_of_failures_it_is_given_up(hook, posted):
    happen()
    import_answers([500] * webhooks.TRIES)
    now = timezone.now()
    for _ in range(webhooks.TRIES):
        run(hook, now)
        now += timedelta(hours=7)
    row = WebhookDelivery.objects.get()
    assert (row.state, row.attempts, row.status_code) == ("given-up", webhooks.TRIES, 500)


def test_a_disabled_webhook_hears_nothing(hook, posted):
    Webhook.objects.update(enabled=False)
    happen()
    assert run(hook) == []


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com", "https://", "file:///etc/passwd", "https://u:p@hooks.example.com", "x" * 600, 7],
)
def test_an_address_that_is_none_is_refused(acme, url):
    answer = acme.api().post("/api/v1/webhooks", {"name": "bad", "url": url}, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "url")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_public_addresses_are_reached(address, public):
    assert egress.is_public(address) is public


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    rows = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(egress.socket, "getaddrinfo", lambda *args, **kwargs: rows)
    with pytest.raises(egress.EgressRefused, match=r"10\.0\.0\.1"):
        egress.post("https://rebind.example.com/", content=b"", headers={})
