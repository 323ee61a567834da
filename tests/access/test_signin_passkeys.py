"""Passkeys: a software authenticator that signs as the standard says, and every answer that does not fit.

The browser's own side is in ``tests/browser``.
"""

import hashlib
import json
import secrets

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_encode

from access.models import AuditEntry, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
BOB = "bob@example.test"
USER_PRESENT, ATTESTED = 0x01, 0x40


class Authenticator:
    """A security key with one credential; ``origin``, ``party`` and ``count`` may be set to lie."""

    def __init__(self, host):
        self.key, self.id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32)
        self.origin, self.party, self.count, self.flags = f"http://{host}", host, 0, USER_PRESENT

    def _client_data(self, kind, options):
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _data(self, flags):
        return hashlib.sha256(self.party.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _answer(self, **response):
        encoded = {name: websafe_encode(value) for name, value in response.items()}
        own = websafe_encode(self.id)
        return json.dumps(
            {"id": own, "rawId": own, "type": "public-key", "response": encoded, "clientExtensionResults": {}}
        )

    def create(self, options):
        key = cbor.encode(dict(ES256.from_cryptography_key(self.key.public_key())))
        data = self._data(self.flags | ATTESTED) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + key
        statement = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(clientDataJSON=self._client_data("webauthn.create", options), attestationObject=statement)

    def sign(self, options, kind="webauthn.get"):
        self.count += 1
        data, client = self._data(self.flags), self._client_data(kind, options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)


@pytest.fixture
def own(acme):
    """Bob's authenticator, registered."""
    device = Authenticator(acme.host)
    client = acme.browser(BOB)
    options = client.post("/account/passkeys/options").json()
    assert client.post("/account/passkeys/", {"credential": device.create(options)}).status_code == 200
    return device


def password_shown(home):
    client = home.client()
    assert client.post("/login/", {"email": BOB, "password": PASSWORD})["Location"] == "/login/code/"
    return client


def show(client, device, **how):
    options = client.post("/login/passkey/options").json()
    return client.post("/login/passkey/", {"credential": device.sign(options, **how)})


def inside(client):
    return client.get("/account/").status_code == 200


def test_a_passkey_opens_the_session(acme, own):
    client = password_shown(acme)
    assert not inside(client)
    assert show(client, own).status_code == 302
    assert inside(client)


def test_the_first_passkey_comes_with_recovery_codes(acme, own):
    bob = User.objects.get(email=BOB)
    assert bob.recovery_codes.count() == 10
    entry = AuditEntry.objects.filter(entity_type="second-factor", action="create").get()
    assert entry.after == {"kind": "passkey", "user": BOB}


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://acme.localhost"},
        {"party": "globex.localhost"},
        {"flags": 0},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"id": b"x" * 32},
    ],
    ids=lambda lie: ", ".join(lie),
)
def test_an_answer_that_does_not_fit_opens_nothing(acme, own, lie):
    own.__dict__.update(lie)
    client = password_shown(acme)
    assert show(client, own).status_code == 422
    assert not inside(client)
    assert AuditEntry.objects.latest("id").after["reason"].startswith("wrong passkey")


def test_an_answer_of_a_registration_signs_nobody_in(acme, own):
    assert show(password_shown(acme), own, kind="webauthn.create").status_code == 422


def test_a_challenge_is_good_for_one_answer(acme, own):
    client = password_shown(acme)
    options = client.post("/login/passkey/options").json()
    own.origin = "http://evil.example"
    client.post("/login/passkey/", {"credential": own.sign(options)})
    own.origin = f"http://{acme.host}"
    assert client.post("/login/passkey/", {"credential": own.sign(options)}).status_code == 422


def test_a_challenge_of_another_session_is_refused(acme, own):
    one, two = password_shown(acme), password_shown(acme)
    answer = own.sign(one.post("/login/passkey/options").json())
    two.post("/login/passkey/options")
    assert two.post("/login/passkey/", {"credential": answer}).status_code == 422


def test_a_count_that_does_not_grow_tells_of_a_copy(acme, own):
    assert show(password_shown(acme), own).status_code == 302
    own.count = 0
    assert show(password_shown(acme), own).status_code == 422
    assert "may have been copied" in AuditEntry.objects.latest("id").after["reason"]


def test_somebody_elses_passkey_opens_nothing(acme, own):
    charlie = acme.browser("charlie@example.test")
    device = Authenticator(acme.host)
    options = charlie.post("/account/passkeys/options").json()
    charlie.post("/account/passkeys/", {"credential": device.create(options)})
    assert show(password_shown(acme), device).status_code == 422


def test_one_credential_is_registered_once(acme, own):
    other = acme.browser("charlie@example.test")
    options = other.post("/account/passkeys/options").json()
    assert other.post("/account/passkeys/", {"credential": own.create(options)}).status_code == 302
    assert not User.objects.get(email="charlie@example.test").factors.exists()


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"id": 5}', "x" * 30_000, '{"rawId": "AA", "response": {}}'])
def test_what_is_no_answer_is_refused(acme, own, answer):
    client = password_shown(acme)
    client.post("/login/passkey/options")
    assert client.post("/login/passkey/", {"credential": answer}).status_code == 422


def test_nobody_gets_a_challenge_without_the_password(acme, own):
    assert acme.client().post("/login/passkey/options").status_code == 409
    assert acme.client().post("/login/passkey/", {"credential": "{}"})["Location"] == "/login/"
