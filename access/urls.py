"""Console routes of the access room."""

from django.urls import path, re_path

from access.urls_administration import urlpatterns as administration
from access.urls_settings import urlpatterns as settings
from access.views import entry, factors, passkeys, scope, sessions, sso

app_name = "access"
urlpatterns = [
    *administration,
    *settings,
    path("login/", entry.login, name="login"),
    path("login/code/", entry.login_code, name="login_code"),
    path("login/passkey/", passkeys.login_passkey, name="login_passkey"),
    path("login/passkey/options", passkeys.login_passkey_options, name="login_passkey_options"),
    path("login/password/", entry.login_password, name="login_password"),
    path("login/enrol/", entry.login_enrol, name="login_enrol"),
    re_path("^sso/(?P<alias>[a-z0-9_-]+)/start$", sso.sso_start, name="sso_start"),
    re_path("^sso/(?P<alias>[a-z0-9_-]+)/callback$", sso.sso_callback, name="sso_callback"),
    re_path("^sso/(?P<alias>[a-z0-9_-]+)/complete$", sso.sso_complete, name="sso_complete"),
    re_path("^sso/(?P<alias>[a-z0-9_-]+)/metadata$", sso.sso_metadata, name="sso_metadata"),
    path("logout/", sessions.logout, name="logout"),
    path("account/", sessions.account, name="account"),
    path("account/sessions/<uuid:session_id>/revoke", sessions.session_revoke, name="session_revoke"),
    path("account/sessions/revoke", sessions.sessions_revoke, name="sessions_revoke"),
    path("account/confirm/", factors.confirm, name="confirm"),
    path("account/password/", factors.password_change, name="password_change"),
    path("account/app/", factors.app_add, name="app_add"),
    path("account/passkeys/", passkeys.passkey_add, name="passkey_add"),
    path("account/passkeys/options", passkeys.passkey_options, name="passkey_options"),
    path("account/recovery-codes/", factors.recovery_codes, name="recovery_codes"),
    path("account/factors/<uuid:factor_id>/remove", factors.factor_remove, name="factor_remove"),
    path("preferences/", sessions.preferences, name="preferences"),
    re_path("^scope/(?P<kind>cluster|department|project)/$", scope.scope_menu, name="scope_menu"),
]
