"""Console routes of people's rights: programs that sign in, the lists below Access, the audit."""

from django.urls import URLPattern, path

from access.views import accounts, audit, explain, groups, programs, roles, rules, saved, users

urlpatterns: list[URLPattern] = [
    path("authorize/", programs.authorize, name="authorize"),
    path("device/", programs.device, name="device"),
    path("views/", saved.view_save, name="view_save"),
    path("views/<uuid:view_id>/delete", saved.view_delete, name="view_delete"),
    path("account/programs/<uuid:family>/end", programs.program_end, name="program_end"),
    path("account/keys/", accounts.my_keys, name="my_keys"),
    path("account/keys/<uuid:key_id>/", accounts.my_key_act, name="my_key_act"),
    path("access/rules/", rules.rule_list, name="rule_list"),
    path("access/rules/new/", rules.rule_create, name="rule_create"),
    path("access/rules/bulk", rules.rule_bulk, name="rule_bulk"),
    path("access/rules/<int:rule_id>/", rules.rule_edit, name="rule_edit"),
    path("access/rules/<int:rule_id>/delete", rules.rule_delete, name="rule_delete"),
    path("access/users/", users.user_list, name="user_list"),
    path("access/users/new/", users.user_create, name="user_create"),
    path("access/users/bulk", users.user_bulk, name="user_bulk"),
    path("access/groups/", groups.group_list, name="group_list"),
    path("access/groups/new/", groups.group_create, name="group_create"),
    path("access/groups/bulk", groups.group_bulk, name="group_bulk"),
    path("access/groups/<uuid:group_id>/", groups.group_detail, name="group_detail"),
    path("access/groups/<uuid:group_id>/edit/", groups.group_edit, name="group_edit"),
    path("access/applications/", accounts.application_list, name="application_list"),
    path("access/applications/new/", accounts.application_create, name="application_create"),
    path("access/applications/bulk", accounts.application_bulk, name="application_bulk"),
    path("access/applications/<uuid:application_id>/", accounts.application_detail, name="application_detail"),
    path("access/applications/<uuid:application_id>/secret", accounts.application_secret, name="application_secret"),
    path("access/keys/", accounts.key_list, name="key_list"),
    path("access/keys/bulk", accounts.key_bulk, name="key_bulk"),
    path("access/roles/", roles.role_list, name="role_list"),
    path("access/roles/new/", roles.role_create, name="role_create"),
    path("access/roles/bulk", roles.role_bulk, name="role_bulk"),
    path("access/roles/<int:role_id>/", roles.role_detail, name="role_detail"),
    path("access/roles/<int:role_id>/edit/", roles.role_edit, name="role_edit"),
    path("access/roles/<int:role_id>/delete", roles.role_delete, name="role_delete"),
    path("access/explain/", explain.explain_page, name="explain"),
    path("audit/", audit.audit_list, name="audit_list"),
    path("audit/<int:entry_id>/", audit.audit_entry, name="audit_entry"),
]
