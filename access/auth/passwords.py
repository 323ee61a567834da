"""Passwords (argon2), and the brake on guessing them."""

import hashlib
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from access.models import User
from access.services.audit import sign_in_failed, source_ip
from runai_cp.lib.errors import TooMany

FAILURES = 10
"""Wrong passwords for one e-mail address in a window, from wherever they come."""
SOURCE_FAILURES = 100
"""Wrong passwords from one network address in a window, for whomever they are."""
WINDOW_SECONDS = 300


class PasswordBackend(BaseBackend):
    """Checks e-mail and password in the schema of the request's tenant."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """None for a wrong pair. Raises ``TooMany`` after ten failures of one e-mail address, or a hundred from one
        network address, within five minutes.

        One hash is computed whether the address exists, is disabled, has no password, or has another one: the time of
        the answer tells nothing.
        """
        if not username or not password or len(username) > 254 or len(password) > 200 or "\x00" in username:
            return None
        brakes = _brakes(username)
        counts = _counts(brakes)
        if any(counts.get(brake, 0) >= most for brake, most in brakes.items()):
            raise TooMany("Too many failed sign-ins; wait five minutes.")
        user = User.objects.filter(email__same=username, is_active=True).first()
        if user is None:
            make_password(password)
        elif user.check_password(password):
            if counts:  # there were failures: else nothing is kept, and nothing to forget
                _forget(next(iter(brakes)))
            return user
        for brake in brakes:
            _add(brake)
        sign_in_failed(name=username, kind="user", reason="wrong address or password")
        return None

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()


def _brakes(username: str) -> dict[str, int]:
    """Counter → failures allowed: first the e-mail address, then where the request came from."""
    address = hashlib.sha256(username.lower().encode()).hexdigest()
    source = source_ip.get()
    return {f"login-failures:{address}": FAILURES} | (
        {f"login-failures-from:{source}": SOURCE_FAILURES} if source else {}
    )


def _counts(brakes: dict[str, int]) -> dict[str, int]:
    """Failures by counter, for those that have any."""
    try:
        return {brake: int(count) for brake, count in cache.get_many(brakes).items()}
    except RedisError:
        return {}  # rate limits fail open: the passwords are still argon2


def _add(brake: str) -> None:
    try:
        cache.add(brake, 0, WINDOW_SECONDS)
        cache.incr(brake)
    except (RedisError, ValueError):
        return


def _forget(brake: str) -> None:
    """A right password ends the count of its address; where it came from may still be guessing at others."""
    try:
        cache.delete(brake)
    except RedisError:
        return
