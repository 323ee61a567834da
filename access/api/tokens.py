"""``POST /api/v1/token`` and ``/api/v2/token``: secrets against signed access tokens (runai-api.md section b.1)."""

from typing import Any, ClassVar

from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.api.token_grants import DEVICE, grant_token
from access.guard import PUBLIC
from access.services.authorizations import CLIENT, DEVICE_LIFE, POLL_S, Waiting, ask_device
from access.services.refresh import revoke_refresh_token
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotAuthenticated
from runai_cp.lib.openapi_parts import TEXT, one_of

GRANTS = ("client_credentials", "app_token", "password", "refresh_token", "exchange_token")
GRANTS_V2 = ("client_credentials", "password", "refresh_token", "authorization_code", DEVICE)
FORM = "application/x-www-form-urlencoded"
_TOKEN = (
    "clientID",
    "clientSecret",
    "appID",
    "appSecret",
    "username",
    "password",
    "otp",
    "refreshToken",
    "code",
    "codeVerifier",
    "redirectUri",
)
_TOKEN_V2 = (
    "client_id",
    "client_secret",
    "username",
    "password",
    "otp",
    "refresh_token",
    "code",
    "code_verifier",
    "redirect_uri",
    "device_code",
)


class TokenView(ApiView):
    """Version 1. Keys match in any case, as the public clients write ``AppId``, ``appID`` and ``clientId``."""

    authentication_classes: ClassVar[list[Any]] = []
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"grantType*": one_of(*GRANTS), **dict.fromkeys(_TOKEN, TEXT)}}
    rate = "token"

    def post(self, request: Request) -> Response:
        given = {key.lower(): value for key, value in body(request).items() if value is not None}
        grant = str(given.get("granttype", ""))[:100]
        if grant not in GRANTS:
            raise Invalid(FieldError("grantType", f"allowed are {', '.join(GRANTS)}", grant, list(GRANTS)))
        fields = {
            "client_id": given.get("clientid") or given.get("appid"),
            "client_secret": given.get("clientsecret") or given.get("appsecret"),
            "username": given.get("username"),
            "password": given.get("password"),
            "otp": given.get("otp"),
            "refresh_token": given.get("refreshtoken"),
            "code": given.get("code"),
            "code_verifier": given.get("codeverifier"),
            "redirect_uri": given.get("redirecturi"),
        }
        try:
            granted = grant_token(request, grant, fields)
        except NotAuthenticated as error:
            raise Invalid(message=error.message) from error  # the contract declares 400 here, and clients retry a 401
        answer = {"accessToken": granted.access.token, "expiresIn": granted.access.expires_in}
        shown = answer | ({"refreshToken": granted.refresh} if granted.refresh else {})
        return Response(shown, headers={"Cache-Control": "no-store"})


_TEXTS_V2 = dict.fromkeys(_TOKEN_V2, TEXT)


class TokenV2View(ApiView):
    """Version 2: OAuth 2 form body and OAuth 2 errors."""

    authentication_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [FormParser, JSONParser]
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"grant_type*": one_of(*GRANTS_V2), **_TEXTS_V2}}
    media = FORM
    rate = "token"

    def post(self, request: Request) -> Response:
        fields = _form(request)
        grant = str(fields.get("grant_type", ""))[:100]
        if grant not in GRANTS_V2:
            return _oauth_error("unsupported_grant_type", f"grant_type {grant!r} is not supported")
        try:
            granted = grant_token(request, grant, fields)
        except NotAuthenticated as error:
            if grant == "client_credentials":
                return _oauth_error("invalid_client", error.message, 401)
            return _oauth_error("invalid_grant", error.message, 401)
        except Waiting as error:
            return _oauth_error(error.code, _DEVICE_WORDS[error.code])
        except Invalid as error:
            code = "mfa_required" if any(item.field == "otp" for item in error.fields) else "invalid_request"
            return _oauth_error(code, error.message, error.status)
        answer = {
            "access_token": granted.access.token,
            "token_type": "Bearer",
            "expires_in": granted.access.expires_in,
        }
        shown = answer | ({"refresh_token": granted.refresh} if granted.refresh else {})
        return Response(shown, headers={"Cache-Control": "no-store"})


class DeviceView(ApiView):
    """``POST /api/v2/device``: a device asks to be let through (RFC 8628, section 3.1)."""

    authentication_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [FormParser, JSONParser]
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"client_id*": one_of(CLIENT), "label": TEXT}}
    media = FORM
    rate = "token"

    def post(self, request: Request) -> Response:
        fields = _form(request)
        if fields.get("client_id") != CLIENT:
            return _oauth_error("invalid_client", f"client_id must be {CLIENT}", 401)
        device, user = ask_device(label=str(fields.get("label") or ""))
        page = request.build_absolute_uri("/device/")
        answer = {
            "device_code": device,
            "user_code": user,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={user}",
            "expires_in": int(DEVICE_LIFE.total_seconds()),
            "interval": POLL_S,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


class RevokeView(ApiView):
    """``POST /api/v2/token/revoke``: end a sign-in by its refresh token (RFC 7009); 200 whether it was one or not."""

    authentication_classes: ClassVar[list[Any]] = []
    parser_classes: ClassVar[list[Any]] = [FormParser, JSONParser]
    allow = {"POST": PUBLIC}
    accepts = {"POST": {"token*": TEXT}}
    media = FORM
    rate = "token"

    def post(self, request: Request) -> Response:
        token = _form(request).get("token")
        if not isinstance(token, str) or not token:
            return _oauth_error("invalid_request", "token: the refresh token is missing")
        revoke_refresh_token(token[:4096])
        return Response({})


class ApplicationTokenView(ApiView):
    """The oldest form, deprecated: an application's id, name and secret."""

    authentication_classes: ClassVar[list[Any]] = []
    allow = {"POST": PUBLIC}
    rate = "token"

    def post(self, request: Request) -> Response:
        data = body(request)
        granted = grant_token(request, "app_token", {"client_id": data.get("id"), "client_secret": data.get("secret")})
        return Response({"access_token": granted.access.token, "id_token": granted.access.token})


_DEVICE_WORDS = {
    "authorization_pending": "nobody has approved the code yet",
    "slow_down": f"ask at most every {POLL_S} seconds",
    "access_denied": "the person said no",
    "expired_token": "the code is too old; ask for another",
    "invalid_grant": "the device code is not known, or was used",
}


def _form(request: Request) -> dict[str, Any]:
    data = body(request) if isinstance(request.data, dict) else {}
    return {key: value[0] if isinstance(value, list) and value else value for key, value in data.items()}


def _oauth_error(code: str, description: str, status: int = 400) -> Response:
    return Response({"error": code, "error_description": description}, status=status)
