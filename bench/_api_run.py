"""Ask, measure and print. Loaded after Django's settings."""

import time
from typing import Any

from django.test import Client

from bench._api_world import HOST, PASSWORD, World, build
from bench._in_process import control_plane, queries, show, timed

SPAN = "start=2020-01-01T00:00:00Z&end=2099-01-01T00:00:00Z"
RULES = "/api/v1/authorization/access-rules"
LISTS = {
    "users": "/api/v1/users?limit=100",
    "users, deep": "/api/v1/users?limit=100&offset=4800&sortBy=lastUpdated&sortOrder=desc",
    "users, by cursor": "/api/v1/users?limit=100&cursor=",
    "users, search": "/api/v1/users?search=person-01&limit=100",
    "users, all 500": "/api/v1/users",
    "users, count": "/api/v1/users/count?filterBy=username=@person-0",
    "service accounts": "/api/v1/service-accounts",
    "access keys of all": "/api/v1/administration/access-keys?limit=100",
    "groups": "/api/v1/groups",
    "roles": "/api/v1/authorization/roles",
    "access rules": RULES,
    "access rules, filtered": f"{RULES}?filterBy=roleName==Viewer,scopeType==project&limit=100",
    "access rules, search": f"{RULES}?search=person-0123&sortBy=subjectId",
    "access rules, deep": f"{RULES}?offset=19000&limit=100&sortBy=roleName",
    "access rules, count": f"{RULES}/count",
    "my access rules": "/api/v1/authorization/me/access-rules",
    "projects": "/api/v1/org-unit/projects?limit=100",
    "projects, all 300": "/api/v1/org-unit/projects?limit=500&sortBy=name",
    "departments": "/api/v1/org-unit/departments",
    "clusters": "/api/v1/clusters",
    "workloads": "/api/v1/workloads",
    "audit": f"/api/v1/audit/log?{SPAN}&numberOfSamples=50",
}


def run(options: Any) -> int:
    with control_plane(ROOT_URLCONF="bench._api_urls"):
        started = time.perf_counter()
        world = build(options)
        built = round(time.perf_counter() - started, 1)
        show("world", users=options.users, rules=options.rules, projects=options.projects, built_s=built)
        measure(world, options.repeats)
    return 0


def measure(world: World, repeats: int) -> None:
    everybody = {"administrator": program(world), "delegate of 50 projects": person(world.delegate)}
    worst: dict[str, float] = {"p95_ms": 0.0, "queries": 0}
    for who, client in everybody.items():
        for name, path in LISTS.items():
            if client.get(path).status_code == 403:
                continue
            figures = timed(lambda client=client, path=path: client.get(path), repeats)  # type: ignore[misc]
            worst = {key: max(worst[key], figures[key]) for key in worst}
            show("list", who=who, what=name, **figures)
    show(
        "lists together",
        worst_p95_ms=worst["p95_ms"],
        most_queries=worst["queries"],
        p95_bound_ms=150,
        queries_bound=15,
    )
    tokens(world, repeats)
    permission_check(everybody)
    throughput(everybody["administrator"], repeats)


def tokens(world: World, repeats: int) -> None:
    client = Client(SERVER_NAME=HOST)
    secret = {
        "grantType": "client_credentials",
        "clientID": world.application_id,
        "clientSecret": world.application_secret,
    }
    word = {"grantType": "password", "username": world.delegate, "password": PASSWORD}
    for name, body in {"client credentials": secret, "password (argon2)": word}.items():
        figures = timed(lambda body=body: client.post("/api/v1/token", body, "application/json"), repeats)  # type: ignore[misc]
        show("token", grant=name, p95_bound_ms=60, **figures)


def permission_check(everybody: dict[str, Client]) -> None:
    """A route that does nothing but find out who asks: the tenant, the account, and one query for all rights."""
    for who, client in everybody.items():
        answer = client.get("/api/v1/authorization/permissions")
        show("permission check", who=who, queries_of_the_request=queries(answer), queries_for_rights=1)


def throughput(client: Client, repeats: int) -> None:
    bare = Client(SERVER_NAME=HOST)
    found = {
        name: timed(call, repeats)
        for name, call in {
            "bare": lambda: bare.get("/bench/bare-users"),
            "ours": lambda: client.get("/api/v1/users?limit=100"),
        }.items()
    }
    bare_s, ours_s = found["bare"], found["ours"]
    show(
        "read throughput",
        rows=100,
        bare_per_s=round(1000 / bare_s["mean_ms"], 1),
        ours_per_s=round(1000 / ours_s["mean_ms"], 1),
        times_slower=round(ours_s["mean_ms"] / bare_s["mean_ms"], 2),
        times_more_cpu=round(ours_s["cpu_ms"] / bare_s["cpu_ms"], 2),
        bound=2,
    )


def program(world: World) -> Client:
    return _with_token(
        {
            "grantType": "client_credentials",
            "clientID": world.application_id,
            "clientSecret": world.application_secret,
        }
    )


def person(email: str) -> Client:
    return _with_token({"grantType": "password", "username": email, "password": PASSWORD})


def _with_token(body: dict[str, str]) -> Client:
    answer = Client(SERVER_NAME=HOST).post("/api/v1/token", body, "application/json")
    return Client(SERVER_NAME=HOST, headers={"authorization": f"Bearer {answer.json()['accessToken']}"})
