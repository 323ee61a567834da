"""ID tokens for kubectl: whose they are, for which cluster, and the life of the keys that sign them."""

import uuid
from datetime import timedelta

import jwt
import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from access.models import AuditEntry, Group, GroupMember, IssuerKey, Scope, User
from access.services import issuer_keys
from access.services.bootstrap import system_actor
from access.services.issuer_keys import PUBLISHED_AFTER, PUBLISHED_BEFORE, ROTATE_AFTER, rotate_keys, signing_key
from link.models import Issuer
from tests.conftest import grant
from tests.fixtures_rooms import make_cluster, make_project

pytestmark = pytest.mark.services
TOKEN = "/api/v1/kubernetes/token"


def ask(client, cluster_id):
    return client.post(TOKEN, {"clusterId": str(cluster_id)}, content_type="application/json")


def published(home):
    return {key["kid"]: key for key in Issuer.objects.get(schema_name=home.schema_name).keys}


def read(home, token, cluster_id):
    """As an API server would: by the published key of the token's id."""
    key = published(home)[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, jwt.PyJWK(key), algorithms=["ES256"], audience=f"cluster:{cluster_id}")


def test_a_person_is_called_as_rules_call_them(acme, project):
    """The names of the token and those that the rule's document carries into the cluster must be the same."""
    grant("bob@example.test", "researcher", project.scope)
    group = Group.objects.create(name="vision people")
    GroupMember.objects.create(group=group, user=User.objects.get(email="bob@example.test"))
    answer = ask(acme.api("bob@example.test"), project.cluster.pk)
    claims = read(acme, answer.json()["token"], project.cluster.pk)
    assert (claims["preferred_username"], claims["groups"]) == ("bob@example.test", ["vision people"])
    assert claims["iss"].endswith(f"/oidc/{acme.schema_name}")
    assert claims["exp"] - claims["iat"] <= 600


def test_a_token_of_one_cluster_is_for_no_other(acme, project):
    token = ask(acme.api(), project.cluster.pk).json()["token"]
    with pytest.raises(jwt.InvalidAudienceError):
        read(acme, token, uuid.uuid4())


def test_who_holds_nothing_in_a_cluster_gets_no_token_for_it(acme, cluster):
    other = make_project(make_cluster("beta"), "team-b")
    grant("bob@example.test", "researcher", other.scope)
    client = acme.api("bob@example.test")
    assert ask(client, cluster.pk).status_code == 404
    assert ask(client, other.cluster.pk).status_code == 200


@pytest.mark.parametrize("given", ["", "none", None, 7, {"a": 1}])
def test_a_cluster_that_is_no_uuid_is_named(acme, given):
    answer = acme.api().post(TOKEN, {"clusterId": given}, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "clusterId")


def test_another_tenants_cluster_is_not_there(acme, globex, cluster):
    assert ask(globex.api(), cluster.pk).status_code == 404


def test_tenants_sign_with_keys_of_their_own(acme, globex):
    kid, _ = signing_key()
    with tenant_context(globex.tenant):
        other, _ = signing_key()
    assert kid in published(acme)
    assert kid not in published(globex)
    assert other not in published(acme)


def test_private_keys_are_sealed(acme):
    _, key = signing_key()
    number = key.private_numbers().private_value.to_bytes(32, "big")
    assert number not in bytes(IssuerKey.objects.get().secret)
    assert all("d" not in key for key in published(acme).values())


def test_every_token_is_in_the_audit(acme, cluster):
    ask(acme.api(), cluster.pk)
    assert AuditEntry.objects.filter(action="token", entity_type="cluster", entity_id=str(cluster.pk)).exists()


def test_a_month_later_the_next_key_is_published_before_it_signs(acme, monkeypatch):
    now = timezone.now()
    old, _ = signing_key()
    later = now + ROTATE_AFTER + timedelta(minutes=1)
    assert not rotate_keys(actor=system_actor(), now=now)
    assert rotate_keys(actor=system_actor(), now=later)
    assert not rotate_keys(actor=system_actor(), now=later), "safe to repeat"
    assert len(published(acme)) == 2
    assert signer_at(monkeypatch, later) == old
    new = signer_at(monkeypatch, later + PUBLISHED_BEFORE)
    assert new != old
    rotate_keys(actor=system_actor(), now=later + PUBLISHED_BEFORE + timedelta(minutes=5))
    assert set(published(acme)) == {old, new}, "tokens of the old key may still be about"
    rotate_keys(actor=system_actor(), now=later + PUBLISHED_BEFORE + PUBLISHED_AFTER)
    assert set(published(acme)) == {new}


def signer_at(monkeypatch, moment):
    monkeypatch.setattr(issuer_keys.timezone, "now", lambda: moment)
    try:
        return signing_key()[0]
    finally:
        monkeypatch.undo()


def test_a_key_that_leaked_is_withdrawn_at_once(acme):
    old, _ = signing_key()
    rotate_keys(actor=system_actor(), now=timezone.now(), at_once=True)
    assert old not in published(acme)
    assert signing_key()[0] in published(acme)


def test_the_configuration_is_for_who_may_change_the_cluster(acme, project):
    address = f"/api/v1/kubernetes/clusters/{project.cluster.pk}/authentication"
    grant("bob@example.test", "researcher", project.scope)
    assert acme.api("bob@example.test").get(address).status_code == 403
    [issuer] = acme.api().get(address).json()["jwt"]
    assert issuer["issuer"]["audiences"] == [f"cluster:{project.cluster.pk}"]
    assert issuer["claimMappings"]["username"] == {"claim": "preferred_username", "prefix": ""}


def test_a_cluster_elsewhere_is_not_there(acme):
    assert Scope.objects.filter(kind="cluster").count() == 0
    assert acme.api().get(f"/api/v1/kubernetes/clusters/{uuid.uuid4()}/authentication").status_code == 404
