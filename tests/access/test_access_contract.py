"""Responses of the access room against the public contract, operation by operation.

What we add (groups, role writes, rule updates, webhooks, tenants/me) is not in it: our own OpenAPI rules there.
"""

import base64
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from access.models import AccessRule, User
from runai_cp.lib.openapi_parts import REFUSALS
from tests.access.pictures import png

pytestmark = pytest.mark.services
JSON = "application/json"
V1 = "/api/v1"
RULES = f"{V1}/authorization/access-rules"
SPAN = "start=2020-01-01T00:00:00Z&end=2099-01-01T00:00:00Z"


@pytest.fixture
def check(contract):
    """``check(method, template, answer)``: the body fits, or it is a refusal that any operation may give."""

    def run(method, template, answer):
        assert answer.status_code < 400, answer.content
        body = answer.json() if answer.content else None
        shown = SimpleNamespace(status_code=answer.status_code, content=answer.content, json=lambda: verbs_apart(body))
        contract(method, template, shown)
        return body

    return run


class Verbs(list):
    """The validator asks whether the whole list is in the enum of its items: it is when each of them is."""

    def __eq__(self, other):
        return other in tuple(self)

    __hash__ = None


def verbs_apart(body):
    if isinstance(body, list):
        return [verbs_apart(item) for item in body]
    if not isinstance(body, dict):
        return body
    found = {key: verbs_apart(value) for key, value in body.items()}
    return found | ({"actions": Verbs(found["actions"])} if "resourceType" in found else {})


def test_users(acme, check):
    client = acme.api()
    made = check("POST", f"{V1}/users", client.post(f"{V1}/users", {"email": "new@example.test"}, content_type=JSON))
    at = f"{V1}/users/{made['id']}"
    check("GET", f"{V1}/users", client.get(f"{V1}/users"))
    check("GET", f"{V1}/users/count", client.get(f"{V1}/users/count"))
    check("GET", f"{V1}/users/{{userId}}", client.get(at))
    check("POST", f"{V1}/users/{{userId}}/password", client.post(f"{at}/password"))
    check("POST", f"{V1}/users/{{userId}}/logout", client.post(f"{at}/logout"))
    check("DELETE", f"{V1}/users/{{userId}}", client.delete(at))


@pytest.mark.parametrize(("kind", "one"), [("service-accounts", "serviceAccountId"), ("apps", "appId")])
def test_service_accounts(acme, check, kind, one):
    client, at = acme.api(), f"{V1}/{kind}"
    made = check("POST", at, client.post(at, {"name": "bot"}, content_type=JSON))
    check("GET", at, client.get(at))
    template = f"{at}/{{{one}}}"
    check("GET", template, client.get(f"{at}/{made['id']}"))
    check("PATCH", template, client.patch(f"{at}/{made['id']}", {"enabled": False}, content_type=JSON))
    check("POST", f"{template}/secret", client.post(f"{at}/{made['id']}/secret"))
    check("DELETE", template, client.delete(f"{at}/{made['id']}"))


@pytest.mark.parametrize(("kind", "one"), [("access-keys", "accessKeyId"), ("user-applications", "appId")])
def test_access_keys(acme, check, kind, one):
    client, at, every = acme.api("alice@example.test"), f"{V1}/{kind}", f"{V1}/administration/{kind}"
    made = check("POST", at, client.post(at, {"name": "laptop"}, content_type=JSON))
    check("GET", at, client.get(at))
    check("GET", f"{at}/{{{one}}}", client.get(f"{at}/{made['id']}"))
    check("POST", f"{at}/{{{one}}}/secret", client.post(f"{at}/{made['id']}/secret"))
    check("GET", every, client.get(every))
    check("DELETE", f"{at}/{{{one}}}", client.delete(f"{at}/{made['id']}"))
    again = client.post(at, {"name": "other"}, content_type=JSON).json()
    check("DELETE", f"{every}/{{{one}}}", client.delete(f"{every}/{again['id']}"))


def test_roles_and_permissions(acme, check):
    client = acme.api()
    roles = check("GET", f"{V1}/authorization/roles", client.get(f"{V1}/authorization/roles"))
    for role in roles:
        at = f"{V1}/authorization/roles/{role['id']}"
        check("GET", f"{V1}/authorization/roles/{{roleIdPath}}", client.get(at))
    check("GET", f"{V1}/authorization/permissions", client.get(f"{V1}/authorization/permissions"))
    at = f"{V1}/authorization/permitted-scopes"
    check("POST", at, client.post(at, {"resourceType": "project", "action": "read"}, content_type=JSON))


def test_access_rules(acme, project, check):
    client = acme.api()
    body = {"subjectId": "bob@example.test", "subjectType": "user", "roleId": 3}
    scope = {"scopeType": "project", "scopeId": str(project.pk)}
    made = check("POST", RULES, client.post(RULES, {**body, **scope}, content_type=JSON))
    check("GET", RULES, client.get(f"{RULES}?includeDeleted=true"))
    check("GET", f"{RULES}/count", client.get(f"{RULES}/count"))
    check("GET", f"{RULES}/{{accessRuleId}}", client.get(f"{RULES}/{made['id']}"))
    subjects = [
        {"subjectId": "charlie@example.test", "subjectType": "user"},
        {"subjectId": "no", "subjectType": "user"},
    ]
    payload = {"payload": {"roleId": 4, "subjects": subjects, "scopes": [scope]}}
    at = f"{RULES}/batch-create"
    without = {"payload": {**payload["payload"], "roleId": None}}
    assert client.post(at, without, content_type=JSON).json()["errors"][0]["field"] == "payload.roleId"
    many = check("POST", at, client.post(at, payload, content_type=JSON))
    assert (len(many["succeeded"]), [item["code"] for item in many["failed"]]) == (1, [400])
    ids = [f"00000000-0000-0000-0000-{number:012x}" for number in (many["succeeded"][0]["id"], 10**9)]
    at = f"{RULES}/batch"
    for action in ("validate_delete", "delete"):
        gone = check("POST", at, client.post(at, {"ids": ids, "action": action}, content_type=JSON))
        assert (gone["succeeded"], [item["code"] for item in gone["failed"]]) == (ids[:1], [404])
    check("DELETE", f"{RULES}/{{accessRuleId}}", client.delete(f"{RULES}/{made['id']}"))
    assert AccessRule.ever.get(pk=made["id"]).deleted_at is not None


def test_me(acme, check):
    client, at = acme.api("alice@example.test"), f"{V1}/authorization/me/access-rules"
    assert check("GET", at, client.get(at))["accessRules"]["totalRecords"] == 1
    assert check("GET", f"{at}/count", client.get(f"{at}/count")) == {"count": 1}


def test_settings(acme, check):
    client, at = acme.api(), f"{V1}/security/settings"
    check("GET", at, client.get(at))
    for key, value in {"autoRedirectSSO": {"enabled": True, "idpAlias": "x"}, "logoutRedirectUri": {"uri": ""}}.items():
        check("PUT", f"{at}/{{key}}", client.put(f"{at}/{key}", value, content_type=JSON))
        assert check("GET", f"{at}/{{key}}", client.get(f"{at}/{key}")) == value
    legacy = "/v1/k8s/setting"
    check("GET", legacy, client.get(legacy))
    asked = {"key": "mfaRequired", "value": True}
    check("PUT", legacy, client.put(legacy, asked, content_type=JSON))
    assert check("GET", f"{legacy}/{{settingKey}}", client.get(f"{legacy}/mfaRequired")) is True


def test_logo(acme, check):
    client, at = acme.api(), f"{V1}/logo"
    assert client.get(at).status_code == 204
    picture = {"logo": base64.b64encode(png()).decode()}
    check("POST", at, client.post(at, picture, content_type=JSON))
    assert check("GET", at, client.get(at)) == picture


PROVIDERS = [
    {
        "type": "oidc",
        "oidcData": {
            "clientId": "a",
            "clientSecret": "b",
            "discoverDocumentUrl": "https://idp.example.com",
            "scopes": ["openid"],
        },
    },
    {
        "type": "saml",
        "samlData": {"metadataXmlType": "url", "metadataXmlUrl": "https://idp.example.com/m", "entityId": "e"},
    },
    {"type": "saml", "samlData": {"metadataXmlType": "file", "metadataXmlFile": "<x/>", "fileName": "m.xml"}},
    {"type": "openshift-v4", "ocpData": {"idpBaseUrl": "https://ocp.example.com", "clientSecret": "b"}},
]


@pytest.mark.parametrize("body", PROVIDERS, ids=["oidc", "saml by url", "saml by file", "openshift"])
def test_identity_providers(acme, check, body):
    client, at = acme.api(), f"{V1}/idps"
    alias = check("POST", at, client.post(at, {**body, "name": "corporate"}, content_type=JSON))["alias"]
    check("GET", at, client.get(at))
    check("GET", f"{at}/{{idp}}", client.get(f"{at}/{alias}"))
    check("PUT", f"{at}/{{idp}}", client.put(f"{at}/{alias}", body, content_type=JSON))
    mappers = f"{at}/{alias}/mappers"
    check("GET", f"{at}/{{idp}}/mappers", client.get(mappers))
    check("PUT", f"{at}/{{idp}}/mappers", client.put(mappers, {"groups": "teams"}, content_type=JSON))
    check("DELETE", f"{at}/{{idp}}", client.delete(f"{at}/{alias}"))


def test_audit(acme, check):
    client, at = acme.api(), f"{V1}/audit/log"
    client.post(f"{V1}/users", {"email": "seen@example.test"}, content_type=JSON)
    found = check("GET", at, client.get(f"{at}?{SPAN}&numberOfSamples=2"))
    assert len(found["audit_logs"]) == 2
    assert found["next"] == 2


def test_tokens(acme, check):
    asked = {"clientID": acme.application_id, "clientSecret": acme.application_secret}
    client = acme.client()
    answer = client.post(f"{V1}/token", {"grantType": "client_credentials", **asked}, content_type=JSON)
    check("POST", f"{V1}/token", answer)
    form = {"grant_type": "client_credentials", "client_id": asked["clientID"], "client_secret": asked["clientSecret"]}
    answer = client.post("/api/v2/token", urlencode(form), content_type="application/x-www-form-urlencoded")
    check("POST", "/api/v2/token", answer)
    old = {"id": asked["clientID"], "name": "x", "secret": asked["clientSecret"]}
    at = "/v1/k8s/auth/oauth/apptoken"
    check("POST", at, client.post(at, old, content_type=JSON))


def test_a_password_is_changed(acme):
    client = acme.api("bob@example.test")
    body = {"currentPassword": "correct horse battery", "newPassword": "another horse battery"}
    assert client.post(f"{V1}/me/password", body, content_type=JSON).status_code == 200
    assert User.objects.get(email="bob@example.test").check_password("another horse battery")


def test_refusals_have_the_declared_shape(acme):
    answer = acme.api().get(f"{V1}/users/0199a000-0000-7000-8000-000000000000")
    assert str(answer.status_code) in REFUSALS
    assert {"code", "message", "title", "status", "type"} <= set(answer.json())
