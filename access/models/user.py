"""A person of one tenant. The same address in another tenant is another person."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower

from runai_cp.lib.models import BaseModel


class Theme(models.TextChoices):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__same=username)


class User(BaseModel, AbstractBaseUser):
    email = models.EmailField()
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    created_by = models.CharField(max_length=200, blank=True)
    is_local = models.BooleanField(default=True)
    """False for somebody whom an identity provider brought; they have no password here."""
    must_change_password = models.BooleanField(default=False)
    token_generation = models.PositiveIntegerField(default=0)
    """Tokens carry it; raising it ends all tokens given out before."""
    factor_failures = models.PositiveSmallIntegerField(default=0)
    """Wrong second factors since the last right one."""
    factor_locked_until = models.DateTimeField(null=True)
    attributes = models.JSONField(default=dict)
    """What the identity provider said at the last sign-in: ``uid``, ``gid``, ``supplementaryGroups`` (numbers)."""
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.email
