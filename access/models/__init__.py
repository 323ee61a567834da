"""Tables of the access room; one file a subject."""

from access.models.access_key import AccessKey, RefreshToken
from access.models.application import Application
from access.models.audit import AuditAnchor, AuditEntry
from access.models.authorization import Authorization, AuthorizationState
from access.models.factor import FactorKind, RecoveryCode, SecondFactor
from access.models.group import Group, GroupMember, GroupOrigin
from access.models.idempotency import IdempotencyKey
from access.models.identity import Identity, SsoRequest
from access.models.issuer_key import IssuerKey
from access.models.logo import Logo
from access.models.provider import IdentityProvider, ProviderKind
from access.models.role import Role
from access.models.rule import AccessRule, SubjectKind
from access.models.scope import Scope, ScopeKind
from access.models.session import UserSession
from access.models.setting import Setting
from access.models.user import User
from access.models.view import SavedView
from access.models.webhook import DeliveryState, Webhook, WebhookDelivery

__all__ = [
    "AccessKey",
    "AccessRule",
    "Application",
    "AuditAnchor",
    "AuditEntry",
    "Authorization",
    "AuthorizationState",
    "DeliveryState",
    "FactorKind",
    "Group",
    "GroupMember",
    "GroupOrigin",
    "IdempotencyKey",
    "Identity",
    "IdentityProvider",
    "IssuerKey",
    "Logo",
    "ProviderKind",
    "RecoveryCode",
    "RefreshToken",
    "Role",
    "SavedView",
    "Scope",
    "ScopeKind",
    "SecondFactor",
    "Setting",
    "SsoRequest",
    "SubjectKind",
    "User",
    "UserSession",
    "Webhook",
    "WebhookDelivery",
]
