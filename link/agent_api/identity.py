"""Enrolment, access tokens, rotation, sessions, version."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.wire.enrolment import EnrolRequest, RotateAnswer, RotateRequest, TokenAnswer, TokenRequest, VersionAnswer
from agent.wire.messages import PROTOCOL_VERSION, SessionRequest
from agent.wire.tokens import ACCESS_TTL_S, parse_enrolment, parse_scopes
from link import credentials
from link.agent_api.desk import ENROLMENTS, SESSIONS, Desk
from link.agent_api.http import Request, Response, answer
from link.refusal import Refused
from link.store import identities


async def enroll(desk: Desk, request: Request) -> Response:
    """``POST enroll``: a one-time token for an identity."""
    desk.charge("", "enrolments", ENROLMENTS)
    message = await request.message(EnrolRequest)
    try:
        token = parse_enrolment(request.bearer())
    except ValueError as error:
        raise Refused(401, "enrolment_refused", str(error), permanent=True) from error
    for name in ("enrolment_id", "cluster_uid"):
        if not 1 <= len(getattr(message, name)) <= 64:
            raise Refused(422, "bad_message", f"{name}: 1 to 64 characters are needed", permanent=True)
    key_id = credentials.key_id_of(message.public_key)
    credentials.check_proof(message.public_key, message.enrolment_id, message.proof)
    done = await identities.enrol(desk.pool, token, message, key_id, request.client)
    if done.schema_name:
        desk.nudger.nudge(done.schema_name, {"security"})
    if done.refused is not None:
        raise done.refused
    return answer(done.answer)


async def token(desk: Desk, request: Request) -> Response:
    """``POST token``: a signed client assertion for a 15 minute access token."""
    desk.check_load()
    message = await request.message(TokenRequest)
    try:
        scopes = parse_scopes(message.scope)
    except ValueError as error:
        raise Refused(422, "bad_scope", str(error), permanent=True) from error
    claimed = credentials.read_assertion(message.client_assertion)
    desk.charge(str(claimed.cluster_id), "tokens", (1.0, 30.0))
    known = await identities.find_key(desk.pool, claimed.cluster_id, claimed.key_id)
    jti = credentials.verify_assertion(message.client_assertion, known.public_key, desk.audience)
    await identities.use_assertion(desk.pool, jti)
    made = desk.tokens.make(claimed.cluster_id, known.schema_name, known.key_version, scopes, known.epoch)
    return answer(TokenAnswer(made, ACCESS_TTL_S * 1000, " ".join(scopes)))


async def rotate(desk: Desk, request: Request) -> Response:
    """``POST credential/rotate``: the next key."""
    caller = desk.caller(request, "rotate")
    message = await request.message(RotateRequest)
    if not 1 <= len(message.rotation_id) <= 64:
        raise Refused(422, "bad_message", "rotationId: 1 to 64 characters are needed", permanent=True)
    key_id = credentials.key_id_of(message.public_key)
    credentials.check_proof(message.public_key, message.rotation_id, message.proof)
    await identities.rotate(desk.pool, caller, message, key_id)
    return answer(RotateAnswer(key_id))


async def session(desk: Desk, request: Request) -> Response:
    """``POST session``: epoch, cursors, directives."""
    desk.charge("", "sessions", SESSIONS)
    caller = desk.caller(request, "poll")
    message = await request.message(SessionRequest)
    if not 1 <= len(message.instance_id) <= 64:
        raise Refused(422, "bad_message", "instanceId: 1 to 64 characters are needed", permanent=True)
    if message.protocol != PROTOCOL_VERSION:
        raise Refused(426, "upgrade", f"protocol {message.protocol} given, {PROTOCOL_VERSION} is spoken here")
    try:
        made = await identities.session(desk.pool, caller, message, desk.directives())
    except Refused:
        desk.nudger.nudge(caller.schema_name, {"security"})
        raise
    return answer(made)


async def version(desk: Desk, request: Request) -> Response:
    """``GET version``: needs no credential; also the health probe."""
    return answer(VersionAnswer(PROTOCOL_VERSION, PROTOCOL_VERSION, datetime.now(UTC).isoformat()))
