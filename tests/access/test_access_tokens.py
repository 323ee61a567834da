"""Access tokens: every door that gives one, and every reason to refuse one."""

import base64
import json
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.api.token_grants import USED_EVERY
from access.models import Application, AuditEntry
from access.services.applications import regenerate_secret, set_enabled
from access.services.bootstrap import system_actor

pytestmark = pytest.mark.services
FORM = "application/x-www-form-urlencoded"


def ask(home, **body):
    return home.client().post("/api/v1/token", body, content_type="application/json")


@pytest.mark.parametrize(
    ("id_key", "secret_key", "grant"),
    [
        ("clientID", "clientSecret", "client_credentials"),
        ("AppId", "AppSecret", "app_token"),
        ("appID", "appSecret", "app_token"),
    ],
)
def test_an_application_gets_a_token_whatever_the_case_of_its_keys(acme, id_key, secret_key, grant):
    answer = ask(acme, grantType=grant, **{id_key: acme.application_id, secret_key: acme.application_secret})
    assert answer.status_code == 200
    payload = answer.json()["accessToken"].split(".")[1]
    assert json.loads(base64.b64decode(payload + "=="))["exp"] > 0


def test_a_wrong_secret_is_refused_with_400(acme):
    answer = ask(acme, grantType="client_credentials", clientID=acme.application_id, clientSecret="wrong")
    assert (answer.status_code, answer.json()["message"]) == (400, "The client id or the secret is wrong.")


def test_an_unknown_grant_names_the_field_and_what_is_allowed(acme):
    error = ask(acme, grantType="magic").json()["errors"][0]
    assert error["field"] == "grantType"
    assert "client_credentials" in error["allowed"]


def test_the_second_version_speaks_oauth(acme):
    body = {
        "grant_type": "client_credentials",
        "client_id": acme.application_id,
        "client_secret": acme.application_secret,
    }
    answer = acme.client().post("/api/v2/token", urlencode(body), content_type=FORM)
    assert answer.json()["token_type"] == "Bearer"


def test_the_second_version_answers_401_with_an_oauth_error(acme):
    body = {"grant_type": "client_credentials", "client_id": "app-none", "client_secret": "x"}
    answer = acme.client().post("/api/v2/token", urlencode(body), content_type=FORM)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_token_of_one_tenant_is_refused_on_the_other_host(acme, globex):
    answer = ask(
        acme, grantType="client_credentials", clientID=acme.application_id, clientSecret=acme.application_secret
    )
    header = {"authorization": f"Bearer {answer.json()['accessToken']}"}
    refused = globex.client(headers=header).get("/api/v1/users")
    assert (refused.status_code, refused.json()["message"]) == (401, "Issuer is not familiar.")


def test_a_disabled_application_is_out_with_its_next_request(acme):
    client = acme.api()
    Application.objects.filter(client_id=acme.application_id).update(enabled=False)
    assert client.get("/api/v1/users").status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic abc"])
def test_without_a_valid_bearer_the_answer_is_401(acme, header):
    client = acme.client(headers={"authorization": header} if header else {})
    answer = client.get("/api/v1/users")
    assert answer.status_code == 401
    assert answer.json()["code"] == 401


def test_guessing_a_password_is_braked(acme):
    codes = [ask(acme, grantType="password", username="bob@example.test", password="no").status_code for _ in range(11)]
    assert codes[:10] == [400] * 10
    assert codes[10] == 429


def test_a_token_costs_few_queries_however_often_it_is_asked_for(acme):
    """The tenant, the account and its rules (and two schemas); "last used" is written once a minute at most."""
    body = {
        "grantType": "client_credentials",
        "clientID": acme.application_id,
        "clientSecret": acme.application_secret,
    }
    ask(acme, **body)
    with CaptureQueriesContext(connection) as seen:
        assert ask(acme, **body).status_code == 200
    assert len(seen) <= 5, [query["sql"][:100] for query in seen]
    assert not any("UPDATE" in query["sql"] for query in seen)


def test_a_programs_sign_in_is_audited_once_a_minute(acme):
    body = {"clientID": acme.application_id, "clientSecret": acme.application_secret}
    Application.objects.filter(client_id=acme.application_id).update(last_used_at=None)
    mine = AuditEntry.objects.filter(action="sign-in", entity_type="application", result="success")
    before = mine.count()
    for _ in range(3):
        ask(acme, grantType="client_credentials", **body)
    assert mine.count() == before + 1
    Application.objects.filter(client_id=acme.application_id).update(last_used_at=timezone.now() - USED_EVERY * 2)
    ask(acme, grantType="client_credentials", **body)
    assert mine.count() == before + 2


def test_enabling_from_an_old_copy_revives_no_revoked_token(acme):
    stale = Application.objects.get(client_id=acme.application_id)
    old = acme.api()
    regenerate_secret(actor=system_actor(), application=Application.objects.get(pk=stale.pk))
    set_enabled(actor=system_actor(), application=stale, enabled=True)
    assert old.get("/api/v1/clusters").status_code == 401
