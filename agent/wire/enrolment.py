"""Messages by which an agent gets and renews its identity (see ``messages`` for what comes after)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """``POST enroll`` with ``Authorization: Bearer rne_<id>_<secret>``. The key pair is made in the cluster."""

    enrolment_id: str
    """Chosen by the agent and stored before sending: the same one gets the same answer for 15 minutes."""
    public_key: str
    """PEM (SubjectPublicKeyInfo) of a P-256 key."""
    proof: str
    """Base64url ECDSA-SHA256 over ``enrolment_id`` by that key: proof of possession."""
    cluster_uid: str
    """UID of the ``kube-system`` namespace: one credential, one cluster."""
    agent_version: str = ""


@dataclass(frozen=True, slots=True)
class EnrolAnswer:
    cluster_id: str
    key_id: str
    server_generation: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """``POST token``: RFC 7523 client assertion (ES256; ``kid``: key id, ``sub``: cluster id, ``jti``; 60 s)."""

    client_assertion: str
    scope: str = ""
    """Space separated subset of ``tokens.SCOPES``; empty: all but ``metrics``."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    access_token: str
    expires_in_ms: int
    scope: str


@dataclass(frozen=True, slots=True)
class RotateRequest:
    """``POST credential/rotate``: the next key, under a ``rotation_id`` that may be sent again."""

    rotation_id: str
    public_key: str
    proof: str


@dataclass(frozen=True, slots=True)
class RotateAnswer:
    key_id: str


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    protocol_min: int
    protocol_max: int
    server_time: str
