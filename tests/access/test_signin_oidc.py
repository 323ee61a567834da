"""Sign-in through OIDC: a round trip with a real provider, and every lie that one could tell."""

import base64
import hashlib
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django_tenants.utils import tenant_context

from access.models import AuditEntry, GroupMember, Identity, Setting, SsoRequest, User
from access.services.bootstrap import system_actor
from access.services.providers import create_provider
from runai_cp.lib import egress
from tests.access.oidc_worlds import PERSON, lying_provider, whole_provider
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
ERIN = PERSON["email"]


@pytest.fixture(autouse=True)
def near(settings):
    settings.SSO_PRIVATE_ADDRESSES = True


@pytest.fixture(scope="module")
def whole():
    with whole_provider(PERSON) as base:
        yield base


@pytest.fixture(scope="module")
def liar_process():
    with lying_provider() as world:
        yield world


@pytest.fixture
def liar(liar_process):
    """As honest as it was at first, before each test."""
    fresh = type(liar_process)()
    fresh.base = liar_process.base
    liar_process.__dict__.update(fresh.__dict__)
    return liar_process


def make_provider(base, alias="idp", **more):
    data = {
        "clientId": "console",
        "clientSecret": "s",
        "discoverDocumentUrl": f"{base}/.well-known/openid-configuration",
        **more,
    }
    return create_provider(actor=system_actor(), values={"type": "oidc", "alias": alias, "oidcData": data})


def asked_for(answer):
    """The query of a redirect to the provider."""
    assert answer.status_code == 302, answer.content[-600:]
    return {key: value[0] for key, value in parse_qs(urlsplit(answer["Location"]).query).items()}


def come_back(client, asked, **changes):
    params = {"code": "c", "state": asked["state"]} | changes
    return client.get("/sso/idp/callback", {name: value for name, value in params.items() if value is not None})


def said(answer):
    return answer.content.decode().split('role="alert"')[-1].split("</div>")[0]


def whole_trip(home, base, sub=PERSON["sub"], **extra):
    """Through the real provider, as a browser goes; the client and the last answer."""
    client = home.client()
    away = client.get("/sso/idp/start", extra)
    chosen = httpx.post(away["Location"], data={"sub": sub})
    assert chosen.status_code == 302, chosen.text
    back = urlsplit(chosen.headers["location"])
    return client, client.get(f"{back.path}?{back.query}")


def test_a_whole_trip_ends_signed_in_where_one_wanted(acme, whole):
    make_provider(whole)
    client, answer = whole_trip(acme, whole, next="/workloads/?q=a")
    assert (answer.status_code, answer["Location"]) == (302, "/workloads/?q=a")
    assert client.get("/account/").status_code == 200


def test_the_first_trip_makes_the_person_with_groups_and_ids(acme, whole):
    make_provider(whole)
    whole_trip(acme, whole)
    user = User.objects.get(email=ERIN)
    assert (user.name, user.is_local, user.has_usable_password()) == ("Erin Example", False, False)
    assert user.attributes == {"uid": 4242, "gid": 100, "supplementaryGroups": [7, 9]}
    assert set(GroupMember.objects.filter(user=user).values_list("group__name", flat=True)) == {"ml", "Platform"}
    assert Identity.objects.get(user=user).subject == "u-1"
    made = AuditEntry.objects.filter(entity_type="user", action="create", entity_name=ERIN).get()
    assert made.after == {"provider": "idp"}
    assert AuditEntry.objects.get(action="sign-in", actor_name=ERIN).after == {"with": "single sign-on with idp"}


def test_the_second_trip_finds_the_same_person(acme, whole):
    make_provider(whole)
    whole_trip(acme, whole)
    whole_trip(acme, whole)
    assert Identity.objects.count() == 1


def test_each_tenant_has_its_own_provider_and_people(acme, globex, whole):
    make_provider(whole)
    with tenant_context(globex.tenant):
        assert globex.client().get("/sso/idp/start").status_code == 400
        make_provider(whole)
        whole_trip(globex, whole)
        assert User.objects.filter(email=ERIN).exists()
    with tenant_context(acme.tenant):
        assert not User.objects.filter(email=ERIN).exists()


def test_a_callback_of_one_tenant_opens_nothing_in_the_other(acme, globex, liar):
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    with tenant_context(globex.tenant):
        make_provider(liar.base)
        other = globex.client()
        other.cookies.update(client.cookies)
        answer = come_back(other, asked)
    assert "over or was used" in said(answer)


def test_the_request_carries_nonce_state_and_a_hashed_verifier(acme, liar):
    make_provider(liar.base, scopes=["email", "groups"])
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    kept = SsoRequest.objects.get().state
    digest = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).rstrip(b"=").decode()
    assert (asked["nonce"], asked["code_challenge"], asked["code_challenge_method"]) == (kept["nonce"], digest, "S256")
    assert (asked["scope"], asked["response_type"]) == ("openid email groups", "code")
    assert asked["redirect_uri"] == f"http://{acme.host}/sso/idp/callback"
    liar.claims = {"nonce": asked["nonce"]}
    assert come_back(client, asked).status_code == 302
    assert liar.forms[0]["code_verifier"] == kept["verifier"]
    assert liar.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"console:s").decode()


def sign_in(acme, liar, **lies):
    """A trip to the lying provider; the last answer."""
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"], **lies}
    return come_back(client, asked)


PAST = int(time.time()) - 3600


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "somebody else"}, "Audience"),
        ({"aud": ["console", "other"]}, "another party"),
        ({"aud": ["console", "other"], "azp": "other"}, "another party"),
        ({"azp": "other"}, "another party"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"exp": PAST}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": None}, "iat"),
        ({"sub": None}, "sub"),
        ({"nbf": 2**33}, "not yet valid"),
        ({"email": None}, "no e-mail address"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "false"}, "not verified"),
        ({"email": "ерин@example.test"}, "cannot be used"),
    ],
)
def test_a_token_that_does_not_fit_opens_nothing_and_says_why(acme, liar, lies, why):
    make_provider(liar.base)
    answer = sign_in(acme, liar, **lies)
    assert answer.status_code == 400
    assert why.lower() in said(answer).lower()
    assert not User.objects.filter(identities__isnull=False).exists()
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.result) == ("sign-in", "failed")
    assert why.lower() in entry.after["reason"].lower()


def test_an_honest_liar_is_believed(acme, liar):
    make_provider(liar.base)
    assert sign_in(acme, liar).status_code == 302
    assert sign_in(acme, liar, aud=["console", "other"], azp="console").status_code == 302


def test_a_token_signed_with_another_key_is_refused(acme, liar):
    make_provider(liar.base)
    liar.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "Signature verification failed" in said(sign_in(acme, liar))


@pytest.mark.parametrize(("algorithm", "key"), [("HS256", "s" * 32), ("none", None)])
def test_symmetric_and_unsigned_tokens_are_refused(acme, liar, algorithm, key):
    make_provider(liar.base)
    liar.algorithm, liar.key = algorithm, key
    answer = sign_in(acme, liar)
    assert (answer.status_code, "ID token is not valid" in said(answer)) == (400, True)


def test_a_key_that_the_provider_does_not_publish_is_refused(acme, liar):
    make_provider(liar.base)
    liar.kid = "k2"
    assert "no key of the provider fits" in said(sign_in(acme, liar))


def test_user_info_of_somebody_else_is_refused(acme, liar):
    make_provider(liar.base)
    liar.info = {"sub": "u-2"}
    assert "somebody else" in said(sign_in(acme, liar))


def test_user_info_adds_but_never_overrules_the_token(acme, liar):
    make_provider(liar.base)
    liar.info = {"email": "admin@example.test", "department": "x"}
    sign_in(acme, liar)
    assert User.objects.filter(email=ERIN).exists()


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"state": None}, "over or was used"),
        ({"state": "0199a000-0000-7000-8000-000000000000"}, "over or was used"),
        ({"state": "' OR 1=1"}, "over or was used"),
        ({"code": None}, "no code"),
        ({"error": "access_denied", "error_description": "not <b>you</b>"}, "not &lt;b&gt;you"),
        ({"iss": "https://evil.example"}, "another identity provider"),
    ],
)
def test_a_callback_that_does_not_fit_is_refused(acme, liar, params, why):
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"]}
    answer = come_back(client, asked, **params)
    assert answer.status_code == 400
    assert why in said(answer)


def test_a_provider_that_names_itself_must_do_so(acme, liar):
    make_provider(liar.base)
    liar.document = {"authorization_response_iss_parameter_supported": True}
    assert "another identity provider" in said(sign_in(acme, liar))


def test_another_browser_cannot_finish_what_this_one_began(acme, liar):
    """Login CSRF: somebody else's sign-in is not slipped in."""
    make_provider(liar.base)
    asked = asked_for(acme.client().get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"]}
    victim = acme.client()
    victim.get("/login/")
    assert "not begun in this browser" in said(come_back(victim, asked))
    assert victim.get("/account/").status_code == 302


def test_a_planted_session_key_is_not_kept(acme, liar):
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    planted = client.session.session_key
    liar.claims = {"nonce": asked["nonce"]}
    assert come_back(client, asked).status_code == 302
    assert client.session.session_key != planted


def test_a_callback_works_once(acme, liar):
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"]}
    assert come_back(client, asked).status_code == 302
    assert "over or was used" in said(come_back(client, asked))


def test_a_state_of_another_provider_is_refused(acme, liar):
    make_provider(liar.base)
    make_provider(liar.base, alias="other")
    client = acme.client()
    asked = asked_for(client.get("/sso/other/start"))
    assert "over or was used" in said(come_back(client, asked))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"issuer": "https://evil.example"}, "not of"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"jwks_uri": "not an address"}, "jwks_uri"),
    ],
)
def test_a_discovery_document_that_does_not_fit_is_refused(acme, liar, document, why):
    make_provider(liar.base)
    liar.document = document
    answer = acme.client().get("/sso/idp/start")
    assert (answer.status_code, why in said(answer)) == (400, True)


def test_a_code_that_the_provider_refuses_is_said(acme, liar):
    make_provider(liar.base)
    liar.token_answer = (400, {"error": "invalid_grant"})
    assert "invalid_grant" in said(sign_in(acme, liar))


def test_a_provider_that_is_not_there_is_said_in_words(acme):
    make_provider("http://127.0.0.1:9")
    assert "there is no connection to that address" in said(acme.client().get("/sso/idp/start"))


def test_private_addresses_are_refused_where_they_are_not_allowed(acme, liar, settings):
    settings.SSO_PRIVATE_ADDRESSES = False
    make_provider(liar.base)
    assert "https://" in said(acme.client().get("/sso/idp/start"))
    with pytest.raises(egress.EgressRefused, match="no public address"):
        egress.ask("GET", liar.base.replace("http://", "https://"))


def test_a_mandatory_claim_keeps_others_out(acme, liar):
    make_provider(liar.base, mandatoryClaim={"claim": "department", "values": ["ml", "ops"]})
    assert "department" in said(sign_in(acme, liar, department=["sales"]))
    assert sign_in(acme, liar, department=["sales", "ops"]).status_code == 302


def test_a_disabled_person_stays_out(acme, liar):
    make_provider(liar.base)
    sign_in(acme, liar)
    User.objects.filter(email=ERIN).update(is_active=False)
    assert "disabled" in said(sign_in(acme, liar))


def test_groups_follow_the_provider_at_each_sign_in(acme, liar):
    make_provider(liar.base)
    sign_in(acme, liar, GROUPS=["ml", "ops"])
    sign_in(acme, liar, GROUPS=["ops", "system:masters"])
    names = GroupMember.objects.filter(user__email=ERIN).values_list("group__name", flat=True)
    assert set(names) == {"ops"}


def test_an_account_with_a_password_is_linked_only_by_showing_it(acme, liar):
    """Whoever controls an address at the provider gets nobody's account by it."""
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"], "email": "bob@example.test"}
    assert come_back(client, asked)["Location"] == "/login/?local"
    assert client.get("/account/").status_code == 302
    assert b"Sign in with its password once" in client.get("/login/?local").content
    client.post("/login/", {"email": "bob@example.test", "password": PASSWORD})
    assert Identity.objects.get(subject="u-1").user.email == "bob@example.test"
    assert sign_in(acme, liar, email="bob@example.test").status_code == 302


def test_the_password_of_another_account_links_nothing(acme, liar):
    make_provider(liar.base)
    client = acme.client()
    asked = asked_for(client.get("/sso/idp/start"))
    liar.claims = {"nonce": asked["nonce"], "email": "bob@example.test"}
    come_back(client, asked)
    client.post("/login/", {"email": "charlie@example.test", "password": PASSWORD})
    assert not Identity.objects.exists()


def test_another_subject_with_the_same_address_is_refused(acme, liar):
    make_provider(liar.base)
    sign_in(acme, liar)
    liar.info = {"sub": "u-2"}
    assert "another identity" in said(sign_in(acme, liar, sub="u-2"))


def test_the_sign_in_page_offers_the_providers_or_goes_there_at_once(acme, liar):
    make_provider(liar.base)
    page = acme.client().get("/login/?next=/nodes/").content.decode()
    assert 'href="/sso/idp/start?next=%2Fnodes%2F"' in page
    Setting.objects.create(key="autoRedirectSSO", value={"enabled": True, "idpAlias": "idp"}, updated_by="test")
    assert acme.client().get("/login/?next=/nodes/")["Location"] == "/sso/idp/start?next=%2Fnodes%2F"
    assert acme.client().get("/login/?local").status_code == 200


def test_a_disabled_provider_is_as_good_as_none(acme, liar):
    provider = make_provider(liar.base)
    provider.enabled = False
    provider.save()
    assert acme.client().get("/sso/idp/start").status_code == 400
    assert b"/sso/idp/start" not in acme.client().get("/login/").content
