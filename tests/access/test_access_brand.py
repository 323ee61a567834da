"""A tenant's own name, colour and logo: who may set them, what is refused, and how they are served."""

import base64

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from access.models import AuditEntry, Logo
from access.services.brand import LARGEST
from runai_cp.lib.uploads import LARGEST as LARGEST_BODY
from tests.access.pictures import jpeg, png, webp
from tests.conftest import grant

pytestmark = pytest.mark.services
SAVE, LOGO, JSON = "/settings/branding/save", "/api/v1/logo", "application/json"


def file(content, name="logo.png"):
    return SimpleUploadedFile(name, content, content_type="image/png")


def in_base64(content):
    return {"logo": base64.b64encode(content).decode()}


@pytest.fixture
def browser(acme):
    return acme.browser()


def test_a_look_is_seen_before_and_after_the_door(acme, browser):
    saved = browser.post(SAVE, {"name": "Atlas", "colour": "#0B8074", "logo": file(png())})
    assert saved.status_code == 302, saved.content
    digest = Logo.objects.get().pk
    for page in (acme.client().get("/login/"), browser.get("/settings/branding/")):
        for wanted in (">Atlas</span>", "· Atlas</title>", f"/brand/logo/{digest}", "/brand/0b8074.css"):
            assert wanted in page.content.decode(), wanted
    entry = AuditEntry.objects.filter(entity_type="brand").latest("pk")
    assert entry.after == {"name": "Atlas", "colour": "#0b8074", "logo": digest}


def test_the_other_tenant_sees_nothing_of_it(globex, browser):
    browser.post(SAVE, {"name": "Atlas", "colour": "#0b8074", "logo": file(png())})
    digest = Logo.objects.get().pk
    assert globex.client().get(f"/brand/logo/{digest}").status_code == 404
    assert b"Atlas" not in globex.client().get("/login/").content


def test_the_logo_is_served_so_that_it_can_only_be_looked_at(acme, browser):
    browser.post(SAVE, {"logo": file(png())})
    answer = acme.client().get(f"/brand/logo/{Logo.objects.get().pk}")
    assert (answer.content, answer["Content-Type"]) == (png(), "image/png")
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_type_is_read_from_the_content_whatever_the_name(acme, browser):
    browser.post(SAVE, {"logo": file(jpeg(), "logo.svg")})
    assert Logo.objects.get().media == "image/jpeg"


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 415, "must be a PNG"),
        (b"<html><script>alert(1)</script></html>", 415, "must be a PNG"),
        (b"GIF89a" + bytes(40), 415, "must be a PNG"),
        (png()[:20], 415, "must be a PNG"),
        (jpeg()[:14], 415, "must be a PNG"),
        (webp()[:25], 415, "must be a PNG"),
        (jpeg(0, 0), 415, "must be a PNG"),
        (png(8, 8), 400, "must have 16 to 2048 pixels"),
        (jpeg(30_000, 30_000), 400, "must have 16 to 2048 pixels"),
        (webp(5000, 16), 400, "must have 16 to 2048 pixels"),
        (png() + bytes(LARGEST), 413, "must have at most 128 KiB"),
    ],
    ids=["svg", "html", "gif", "cut png", "cut jpeg", "cut webp", "no size", "small", "bomb", "wide", "large"],
)
def test_what_is_no_small_picture_is_refused_and_said_at_its_field(acme, browser, content, status, says):
    page = browser.post(SAVE, {"name": "Atlas", "logo": file(content)})
    assert (page.status_code, says.lower() in page.content.decode().lower()) == (422, True)
    answer = acme.api().post(LOGO, in_base64(content), content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, "logo")
    assert not Logo.objects.exists()
    assert acme.api().get("/api/v1/branding").json()["name"] == ""


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "x" * 33}, "name"),
        ({"name": "p\u0430ypal"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": 7}, "name"),
        ({"colour": "red"}, "colour"),
        ({"colour": "#fff"}, "colour"),
        ({"colour": "#12345g"}, "colour"),
        ({"colour": "#000000;}body{display:none"}, "colour"),
        ({"colour": ["#000000"]}, "colour"),
    ],
)
def test_a_wrong_name_or_colour_is_refused(acme, given, field):
    answer = acme.api().put("/api/v1/branding", given, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_the_colour_is_a_style_sheet_of_both_themes_and_nothing_else(acme):
    answer = acme.client().get("/brand/0b8074.css")
    assert answer["Content-Type"].startswith("text/css")
    assert "--accent: light-dark(#" in answer.content.decode()
    assert acme.client().get("/brand/0b8074;x.css").status_code == 404


def test_a_logo_is_replaced_and_removed(acme, browser):
    client = acme.api()
    for content in (png(), webp(), webp()):
        assert client.post(LOGO, in_base64(content), content_type=JSON).status_code == 200
    assert [row.media for row in Logo.objects.all()] == ["image/webp"]
    browser.post(SAVE, {"remove": "on"})
    assert client.get(LOGO).status_code == 204
    assert client.delete(LOGO).status_code == 204


def test_who_may_only_look_changes_nothing(acme):
    grant("bob@example.test", "viewer")
    client, browser = acme.api("bob@example.test"), acme.browser("bob@example.test")
    assert client.post(LOGO, in_base64(png()), content_type=JSON).status_code == 403
    assert client.put("/api/v1/branding", {"name": "Bob's"}, content_type=JSON).status_code == 403
    assert browser.post(SAVE, {"name": "Bob's"}).status_code == 403
    assert not Logo.objects.exists()


def test_a_page_costs_no_query_more_for_its_look(browser, django_assert_max_num_queries):
    def count():
        with django_assert_max_num_queries(99) as seen:
            browser.get("/account/")
        return len(seen)

    count()
    plain = count()
    browser.post(SAVE, {"name": "Atlas", "colour": "#0b8074", "logo": file(png())})
    browser.get("/account/")  # the toast is shown once
    assert count() == plain


def test_a_huge_upload_is_refused_before_it_is_kept(acme):
    body = file(b"x" * LARGEST_BODY)
    assert acme.client(raise_request_exception=False).post("/login/", {"email": body}).status_code == 400
