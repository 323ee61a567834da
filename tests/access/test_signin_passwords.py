"""Passwords: how they are stored, which are refused, how guessing is braked, and what the time of an answer tells."""

import hashlib
import random

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.core.cache import cache

from access.auth import breaches, passwords
from access.auth.hashers import Argon2
from access.models import AuditEntry, User
from access.services.bootstrap import system_actor
from access.services.users import create_user, set_password
from runai_cp.lib.errors import Invalid
from tests.conftest import PASSWORD

pytestmark = pytest.mark.services
BOB = "bob@example.test"


def try_to_sign_in(home, email=BOB, password="wrong horse", **extra):
    return home.client(**extra).post("/login/", {"email": email, "password": password})


def test_passwords_are_stored_by_owasps_parameters(acme):
    encoded = User.objects.get(email=BOB).password
    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_with_other_parameters_matches_and_is_made_anew(acme):
    old = type("Old", (Argon2,), {"memory_cost": 8192})()
    User.objects.filter(email=BOB).update(password=old.encode(PASSWORD, old.salt()))
    assert try_to_sign_in(acme, password=PASSWORD).status_code == 302
    assert "m=19456" in User.objects.get(email=BOB).password


@pytest.mark.parametrize(
    ("password", "why"), [("short", "too short"), ("password123456", "too common"), ("x" * 201, "at most 200")]
)
def test_a_poor_password_is_refused(acme, password, why):
    with pytest.raises(Invalid, match=why):
        create_user(actor=system_actor(), email="new@example.test", password=password)


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_the_breach_list_finds_what_it_holds_and_nothing_else(tmp_path, count):
    digest = {n: hashlib.sha1(f"secret {n}".encode()).hexdigest().upper() for n in range(2 * count)}
    listed = random.Random(count).sample(sorted(digest), count)
    file = tmp_path / "breached.txt"
    file.write_text("\r\n".join(f"{line}:{len(line)}" for line in sorted(digest[n] for n in listed)) + "\r\n")
    found = [n for n in digest if breaches.contains(file, f"secret {n}")]
    assert found == sorted(listed)


def test_an_empty_breach_list_refuses_nothing(tmp_path):
    (tmp_path / "none").touch()
    assert not breaches.contains(tmp_path / "none", "anything")


def test_a_breached_password_is_refused(acme, settings, tmp_path):
    settings.BREACHED_PASSWORDS_FILE = str(tmp_path / "list")
    (tmp_path / "list").write_text(hashlib.sha1(b"a very good phrase").hexdigest().upper() + ":7\n")
    with pytest.raises(Invalid, match="seen in a breach"):
        set_password(actor=system_actor(), user=User.objects.get(email=BOB), password="a very good phrase")


@pytest.mark.parametrize("who", ["nobody@example.test", BOB, "off@example.test", "sso@example.test"])
def test_every_failure_computes_exactly_one_hash(acme, monkeypatch, who):
    """Unknown, wrong, disabled and without a password: nobody can tell them apart by the clock."""
    User.objects.create(email="off@example.test", password=User.objects.get(email=BOB).password, is_active=False)
    sso = User(email="sso@example.test", is_local=False)
    sso.set_unusable_password()
    sso.save()
    hashes = []
    for name in ("encode", "verify"):
        real = getattr(Argon2, name)
        monkeypatch.setattr(Argon2, name, lambda self, *a, _real=real, **k: hashes.append(1) or _real(self, *a, **k))
    try_to_sign_in(acme, who)
    assert len(hashes) == 1


def test_a_right_password_ends_the_count_of_its_address(acme):
    for _ in range(2):
        for _ in range(passwords.FAILURES - 1):
            assert try_to_sign_in(acme).status_code == 422
        assert try_to_sign_in(acme, password=PASSWORD).status_code == 302


def test_one_source_that_guesses_at_many_addresses_is_braked(acme, monkeypatch):
    monkeypatch.setattr(passwords, "SOURCE_FAILURES", 3)
    for number in range(3):
        try_to_sign_in(acme, f"guess-{number}@example.test", REMOTE_ADDR="192.0.2.9")
    braked = try_to_sign_in(acme, password=PASSWORD, REMOTE_ADDR="192.0.2.9")
    elsewhere = try_to_sign_in(acme, password=PASSWORD, REMOTE_ADDR="192.0.2.10")
    assert (braked.status_code, elsewhere.status_code) == (422, 302)


def test_one_tenants_guessing_does_not_brake_the_others(acme, globex):
    for _ in range(passwords.FAILURES):
        try_to_sign_in(acme)
    assert try_to_sign_in(acme, password=PASSWORD).status_code == 422
    assert try_to_sign_in(globex, password=PASSWORD).status_code == 302
    cache.clear()


def test_a_failed_sign_in_is_audited_with_its_reason(acme):
    try_to_sign_in(acme)
    entry = AuditEntry.objects.filter(action="sign-in", entity_name=BOB).latest("id")
    assert (entry.result, entry.after["reason"]) == ("failed", "wrong address or password")


def test_the_hasher_is_the_only_one():
    assert identify_hasher(Argon2().encode("x", "saltsalt")).algorithm == "argon2"
