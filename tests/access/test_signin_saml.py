"""Sign-in through SAML: a round trip with pysaml2 as the provider, and the attacks that such documents invite."""

import base64
import zlib
from urllib.parse import parse_qs, urlsplit

import pytest

from access.models import GroupMember, Identity, SsoRequest, User
from access.services.bootstrap import system_actor
from access.services.providers import create_provider
from tests.access.saml_world import SHA1, Provider, encoded, wrapped

pytestmark = pytest.mark.services
ACS, FRIDA = "/sso/idp/callback", "frida@example.test"


@pytest.fixture(scope="module")
def idp(tmp_path_factory):
    return Provider(tmp_path_factory.mktemp("idp"))


@pytest.fixture
def trip(acme, idp):
    """``trip(**answer)`` → (browser, XML of the answer, RelayState): away to the provider and its answer made."""
    body = {"metadataXmlType": "file", "metadataXmlFile": idp.metadata}
    create_provider(actor=system_actor(), values={"type": "saml", "alias": "idp", "samlData": body})
    ours = acme.client().get("/sso/idp/metadata").content.decode()

    def go(provider=idp, **answer):
        client = acme.client()
        away = client.get("/sso/idp/start?next=/workloads/")
        xml, relay = provider.answer(away["Location"], ours, **answer)
        return client, xml, relay

    return go


def post(home, response, relay):
    """As the provider's page posts it: from another site, so without our cookies."""
    return home.client(enforce_csrf_checks=True).post(ACS, {"SAMLResponse": response, "RelayState": relay})


def said(answer):
    return answer.content.decode().split('role="alert"')[-1].split("</div>")[0]


def test_a_whole_trip_ends_signed_in_where_one_wanted(acme, trip):
    client, xml, relay = trip()
    answer = post(acme, encoded(xml), relay)
    assert answer.status_code == 302, said(answer)
    done = client.get(answer["Location"])
    assert (done.status_code, done["Location"]) == (302, "/workloads/")
    assert client.get("/account/").status_code == 200
    assert Identity.objects.get(subject="u-1").user.email == FRIDA


def test_attributes_become_name_groups_and_ids(acme, trip):
    attributes = {"mail": [FRIDA], "displayName": ["Frida F"], "GROUPS": ["ml", "ops"], "UID": ["7"], "GID": ["8"]}
    client, xml, relay = trip(attributes=attributes)
    client.get(post(acme, encoded(xml), relay)["Location"])
    user = User.objects.get(email=FRIDA)
    assert (user.name, user.attributes) == ("Frida F", {"uid": 7, "gid": 8})
    assert set(GroupMember.objects.filter(user=user).values_list("group__name", flat=True)) == {"ml", "ops"}


def test_another_browser_cannot_complete_what_this_one_began(acme, trip):
    _, xml, relay = trip()
    answer = post(acme, encoded(xml), relay)
    assert "not begun in this browser" in said(acme.client().get(answer["Location"]))


def test_an_answer_is_taken_once(acme, trip):
    client, xml, relay = trip()
    first = post(acme, encoded(xml), relay)
    client.get(first["Location"])
    assert "over or was used" in said(post(acme, encoded(xml), relay))
    assert "over or was used" in said(client.get(first["Location"]))


def test_nothing_completes_before_the_provider_has_answered(trip):
    client, _, relay = trip()
    assert "not answered yet" in said(client.get(f"/sso/idp/complete?state={relay}"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"signed": False}, "not signed"),
        ({"algorithms": SHA1}, "Deprecated"),
        ({"in_response_to": "id-another"}, "InResponseTo"),
        ({"destination": "https://other.example/sso/idp/callback"}, "received at"),
        ({"sp_entity_id": "https://other.example"}, "audience"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_says_why(acme, trip, answer, why):
    _, xml, relay = trip(**answer)
    refused = post(acme, encoded(xml), relay)
    assert refused.status_code == 400
    assert why.lower() in said(refused).lower()
    assert not Identity.objects.exists()


def test_an_answer_of_another_provider_with_the_same_name_is_refused(acme, trip, tmp_path):
    _, xml, relay = trip(provider=Provider(tmp_path))
    refused = post(acme, encoded(xml), relay)
    assert (refused.status_code, "ignature" in said(refused)) == (400, True)


@pytest.mark.parametrize(
    "how",
    [
        "sibling before",
        "sibling after",
        "genuine inside the forged",
        "genuine in an object of the forged signature",
        "genuine in the extensions",
        "same id twice",
        "changed after signing",
    ],
)
def test_a_signature_wraps_nothing_but_what_it_signed(acme, trip, how):
    _, xml, relay = trip()
    refused = post(acme, wrapped(xml, how), relay)
    assert refused.status_code == 400, how
    assert not SsoRequest.objects.filter(state__has_key="claims").exists()
    assert not Identity.objects.exists()


def test_a_comment_does_not_cut_a_name_short(acme, trip):
    """Canonical XML has no comments, so the signature holds: the whole text must be read, not the part before."""
    client, xml, relay = trip(subject="administrator")
    answer = post(acme, wrapped(xml, "comment in the name"), relay)
    assert answer.status_code == 302, said(answer)
    client.get(answer["Location"])
    assert Identity.objects.get().subject == "administrator"


@pytest.mark.parametrize(
    "response",
    [
        "",
        "not base64 !",
        base64.b64encode(b"<a").decode(),
        base64.b64encode(b"\x00\xff" * 50).decode(),
        base64.b64encode(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>').decode(),
        base64.b64encode(b"<samlp:Response xmlns:samlp='urn:oasis:names:tc:SAML:2.0:protocol'/>").decode(),
        "A" * 300_000,
    ],
)
def test_what_is_no_answer_is_refused(acme, trip, response):
    _, _, relay = trip()
    refused = post(acme, response, relay)
    assert (refused.status_code, SsoRequest.objects.count()) == (400, 0)


def test_an_entity_of_a_file_is_not_read(acme, trip, tmp_path):
    (tmp_path / "secret").write_text("frida-the-secret")
    _, xml, relay = trip()
    bomb = f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>' + xml.replace("u-1", "&x;")
    refused = post(acme, encoded(bomb), relay)
    assert refused.status_code == 400
    assert b"frida-the-secret" not in refused.content


def test_the_request_names_us_and_where_to_answer(acme, trip):
    client = acme.client()
    query = parse_qs(urlsplit(client.get("/sso/idp/start")["Location"]).query)
    text = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15).decode()
    assert f'AssertionConsumerServiceURL="http://{acme.host}{ACS}"' in text
    assert f"http://{acme.host}/sso/idp/metadata" in text


@pytest.mark.parametrize("text", ["<a/>", "no xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_metadata_of_no_provider_is_said(acme, text):
    body = {"metadataXmlType": "file", "metadataXmlFile": text}
    create_provider(actor=system_actor(), values={"type": "saml", "alias": "idp", "samlData": body})
    answer = acme.client().get("/sso/idp/start")
    assert (answer.status_code, "metadata" in said(answer)) == (400, True)
