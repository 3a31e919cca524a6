"""What importing and starting the API costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from api.app import create_app
from api.auth import ANY_KEY, scopes_of_routes
from api.reference.document import openapi_document
from tests.api_service import make_settings

HEAVY = ("torch", "open_clip", "torchvision", "transformers", "pyarrow", "numpy", "api.serving")


def test_importing_the_api_loads_no_torch() -> None:
    started = time.monotonic()
    script = (
        "import sys, api.app; from core.learning.methods import registry; registry(); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    print(f"importing api.app took {time.monotonic() - started:.2f} s")
    assert done.stdout.strip() == "[]"


def test_making_an_app_touches_nothing(tmp_path: Path) -> None:
    create_app(make_settings(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_the_openapi_document_can_be_made(tmp_path: Path) -> None:
    document = openapi_document(create_app(make_settings(tmp_path)))
    create = document["paths"]["/v1/fine_tuning/jobs"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert "$ref" not in str(schema)
    assert "training_file" in schema["properties"]
    assert create["security"] == [{"api_key": ["jobs:write"]}]
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_the_openapi_document_says_what_every_route_needs(tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path))
    document = openapi_document(app)
    for (method, path), scope in scopes_of_routes(app).items():
        if path not in document["paths"]:  # the document itself, its page, and the other page
            assert scope is None or (path, scope) == ("/session", ANY_KEY)
            continue
        operation = document["paths"][path][method.lower()]
        assert operation.get("security", []) == ([] if scope is None else [{"api_key": [scope]}])
        if scope is not None:
            assert {"401", "403", "429"} <= operation["responses"].keys()
