"""Routes of the access room's REST, below ``/api/``."""

from django.urls import path

from access.api import people, rules, tokens

urlpatterns = [
    path("v1/token", tokens.TokenView.as_view()),
    path("v2/token", tokens.TokenV2View.as_view()),
    path("v1/users", people.UsersView.as_view()),
    path("v1/users/count", people.UsersCountView.as_view()),
    path("v1/users/<uuid:user_id>", people.UserView.as_view()),
    path("v1/users/<uuid:user_id>/password", people.UserPasswordView.as_view()),
    path("v1/me/password", people.MyPasswordView.as_view()),
    path("v1/service-accounts", people.ServiceAccountsView.as_view()),
    path("v1/service-accounts/<str:account_id>", people.ServiceAccountView.as_view()),
    path("v1/service-accounts/<str:account_id>/secret", people.ServiceAccountSecretView.as_view()),
    path("v1/apps", people.ApplicationsView.as_view()),
    path("v1/apps/<str:account_id>", people.ServiceAccountView.as_view()),
    path("v1/apps/<str:account_id>/secret", people.ApplicationSecretView.as_view()),
    path("v1/authorization/roles", rules.RolesView.as_view()),
    path("v1/authorization/access-rules", rules.AccessRulesView.as_view()),
    path("v1/authorization/access-rules/count", rules.AccessRulesCountView.as_view()),
    path("v1/authorization/access-rules/<int:rule_id>", rules.AccessRuleView.as_view()),
    path("v1/audit/log", rules.AuditLogView.as_view()),
]
