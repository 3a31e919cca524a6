"""The page's shells and files: nothing of anybody's, nothing from elsewhere, kept by browsers."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from api.page.assets import STATIC, load_assets
from api.page.shells import TEMPLATES
from api.page.views import SECTIONS, VIEWS
from core.charts import NAMES
from tests.api_service import open_service

POLICY = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}
VERSION = load_assets().version


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with open_service(tmp_path_factory.mktemp("service")) as opened:
        opened.client.headers.pop("authorization")
        yield opened.client


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.module)
def test_a_shell_has_a_strict_policy_and_its_module(client: TestClient, view) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(re.sub(r"{\w+}", "x", view.path))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split() for part in answer.headers["content-security-policy"].split(";"))
    assert policy == POLICY  # no exception for any kind of thing
    assert f"/js/pages/{view.module}.js" in answer.text
    assert (STATIC / "js" / "pages" / f"{view.module}.js").is_file()
    assert "style=" not in answer.text and not re.search(r"<script(?![^>]*src=)", answer.text)


def test_all_that_a_shell_names_is_there(client: TestClient) -> None:
    for view in VIEWS:
        html = client.get(re.sub(r"{\w+}", "x", view.path)).text
        named = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
        assert len(named) >= 4
        for address in named:
            found = client.get(address)
            assert found.status_code == 200, address
            assert found.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_every_import_of_a_module_leads_to_one() -> None:
    statement = re.compile(r"""^import\b[^;"'(]*["']([^"']+)["']""", re.MULTILINE)
    dynamic = re.compile(r"""\bimport\(\s*["']([^"']+)["']""")
    for path in STATIC.rglob("*.js"):
        source = path.read_text()
        for target in (*statement.findall(source), *dynamic.findall(source)):
            assert target.startswith("."), f"{path}: {target}"
            assert (path.parent / target).resolve().is_file(), f"{path}: {target}"


def test_no_file_names_another_site(client: TestClient) -> None:
    for path in (*STATIC.rglob("*"), *TEMPLATES.rglob("*")):
        if path.is_file():
            named = set(re.findall(r"https?://[^\s\"'`<>)$]+", path.read_text()))
            assert named <= {"http://www.w3.org/2000/svg"}, (path, named)


@pytest.mark.parametrize(
    "forbidden",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"],
)
def test_no_module_makes_markup_or_code_of_a_string(forbidden: str) -> None:
    for path in STATIC.rglob("*.js"):
        assert forbidden not in path.read_text(), path


def test_a_file_is_packed_for_who_can_unpack_it(client: TestClient) -> None:
    address = f"/static/{VERSION}/css/app.css"
    with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "accept-encoding"
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content == (STATIC / "css/app.css").read_bytes()


def test_a_page_of_an_older_release_gets_todays_files_and_keeps_them_for_no_time(
    client: TestClient,
) -> None:
    answer = client.get("/static/0123456789ab/css/app.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "path", ["css/none.css", "../views.py", "..%2fviews.py", "%2e%2e/views.py", "js", ""]
)
def test_nothing_else_of_the_disk_is_there(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{VERSION}/{path}").status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_has_a_definition_without_data(client: TestClient, name: str) -> None:
    found = client.get(f"/static/{VERSION}/charts/{name}.json").json()
    assert found["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")
    assert '"name": "points"' in json.dumps(found)
    assert "values" not in found.get("data", {}) and "datasets" not in found


def test_an_unknown_chart_is_refused(client: TestClient) -> None:
    assert client.get(f"/static/{VERSION}/charts/none.json").status_code == 404


def test_vega_is_one_file_with_its_interpreter(client: TestClient) -> None:
    answer = client.get(f"/static/{VERSION}/vega.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "vegaEmbed" in answer.text and "expressionInterpreter" in answer.text


def test_navigation_leads_to_views() -> None:
    paths = {view.path for view in VIEWS}
    assert {path for _, path in SECTIONS} <= paths
    assert {view.section for view in VIEWS} - {None} == {name for name, _ in SECTIONS}
