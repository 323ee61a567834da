"""Ask, measure and print. Loaded after Django's settings."""

import json
import re
import statistics
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.test.utils import override_settings, setup_databases, setup_test_environment, teardown_databases

from bench._api_world import HOST, PASSWORD, World, build

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
_QUERIES = re.compile(r'desc="(\d+) queries"')


def run(options: Any) -> int:
    setup_test_environment(debug=False)
    names = setup_databases(verbosity=0, interactive=False)
    rates = dict.fromkeys(settings.API_RATES, 10**9)
    try:
        with override_settings(ROOT_URLCONF="bench._api_urls", API_RATES=rates):
            started = time.perf_counter()
            world = build(options)
            show("world", users=options.users, rules=options.rules, projects=options.projects, built_s=since(started))
            measure(world, options.repeats)
    finally:
        teardown_databases(names, verbosity=0)
    return 0


def measure(world: World, repeats: int) -> None:
    cache.clear()
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


def timed(call: Any, repeats: int) -> dict[str, float]:
    """Three requests to warm up, then ``repeats``. Milliseconds, ``cpu_ms`` of this process; queries of the last."""
    for _ in range(3):
        answer = call()
    took, processor = [], time.process_time()
    for _ in range(repeats):
        started = time.perf_counter()
        answer = call()
        took.append((time.perf_counter() - started) * 1000)
    processor = (time.process_time() - processor) * 1000 / repeats
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:300]!r}")
    return {
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(sorted(took)[max(0, round(len(took) * 0.95) - 1)], 1),
        "mean_ms": round(statistics.fmean(took), 2),
        "cpu_ms": round(processor, 2),
        "queries": queries(answer),
    }


def queries(answer: Any) -> int:
    found = _QUERIES.search(answer.headers.get("Server-Timing", ""))
    return int(found[1]) if found else 0


def since(started: float) -> float:
    return round(time.perf_counter() - started, 1)


def show(figure: str, **values: Any) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)
