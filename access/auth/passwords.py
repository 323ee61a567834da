"""Passwords (argon2), and the brake on guessing them."""

import hashlib
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from access.models import User
from access.services.audit import sign_in_failed
from runai_cp.lib.errors import TooMany

FAILURES = 10
WINDOW_SECONDS = 300


class PasswordBackend(BaseBackend):
    """Checks e-mail and password in the schema of the request's tenant."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """None for a wrong pair. Raises ``TooMany`` after ten failures of one address within five minutes."""
        if not username or not password or len(username) > 254 or len(password) > 200 or "\x00" in username:
            return None
        brake = "login-failures:" + hashlib.sha256(username.lower().encode()).hexdigest()
        if _count(brake) >= FAILURES:
            raise TooMany("Too many failed sign-ins for this address; wait five minutes.")
        user = User.objects.filter(email__iexact=username, is_active=True).first()
        if user is None:
            make_password(password)  # the same time as a real check, so that addresses cannot be probed
        elif user.check_password(password):
            return user
        _add(brake)
        sign_in_failed(name=username, kind="user", reason="wrong address or password")
        return None

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()


def _count(brake: str) -> int:
    try:
        return int(cache.get(brake, 0))
    except RedisError:
        return 0  # rate limits fail open: the passwords are still argon2


def _add(brake: str) -> None:
    try:
        cache.add(brake, 0, WINDOW_SECONDS)
        cache.incr(brake)
    except (RedisError, ValueError):
        return
