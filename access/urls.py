"""Console routes of the access room."""

from django.urls import path, re_path

from access.views import audit, people, scope, sessions

app_name = "access"
urlpatterns = [
    path("login/", sessions.login, name="login"),
    path("logout/", sessions.logout, name="logout"),
    path("account/", sessions.account, name="account"),
    path("account/sessions/<uuid:session_id>/revoke", sessions.session_revoke, name="session_revoke"),
    path("preferences/", sessions.preferences, name="preferences"),
    re_path("^scope/(?P<kind>cluster|department|project)/$", scope.scope_menu, name="scope_menu"),
    path("access/rules/", people.rule_list, name="rule_list"),
    path("access/rules/new/", people.rule_create, name="rule_create"),
    path("access/rules/<int:rule_id>/delete", people.rule_delete, name="rule_delete"),
    path("access/users/", people.user_list, name="user_list"),
    path("access/users/new/", people.user_create, name="user_create"),
    path("access/roles/", people.role_list, name="role_list"),
    path("access/applications/", people.application_list, name="application_list"),
    path("audit/", audit.audit_list, name="audit_list"),
]
