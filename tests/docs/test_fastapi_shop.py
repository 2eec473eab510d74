"""The FastAPI program of the examples, against the sandbox over HTTP."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from poweremail.sandbox import Fault

PROGRAM = Path(__file__).parents[2] / "docs" / "examples" / "fastapi_shop.py"


@pytest.fixture
def shop(tmp_path, monkeypatch, served):
    served.service.store.note_smtp_user("smtp12345")
    options = {"OWNER_ID": "me", "TOKEN": "any", "SMTP_USER_NAME": "smtp12345"}
    for name, value in (options | {"BASE_URL": served.url}).items():
        monkeypatch.setenv(f"POWEREMAIL_{name}", value)
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    spec = importlib.util.spec_from_file_location("fastapi_shop", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fastapi_shop", module)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        yield client


def sign_up(shop) -> tuple[int, str]:
    response = shop.post("/sign-up", json={"email": "ada@example.com"})
    told = response.json()
    return response.status_code, told.get("mail", told.get("detail"))


def test_each_outcome_has_its_response(shop, served):
    assert sign_up(shop) == (201, "accepted")
    served.faults.add(Fault.reset_after_acceptance(), times=1)
    assert sign_up(shop) == (201, "unknown")
    served.faults.add(Fault.error("ValidationError", "no"), times=1)
    assert sign_up(shop)[0] == 422
    assert shop.post("/sign-up", json={"email": "nobody"}).status_code == 422
    assert len(served.outbox) == 2


def test_the_mail_of_an_order_survives_a_service_that_is_away(shop, served):
    made = shop.post("/orders", json={"email": "ada@example.com"})
    assert (made.status_code, made.json()) == (201, {"order": "order-1"})
    assert shop.get("/orders/order-1").json() == {"mail": "accepted"}
    served.faults.add(Fault.rate_limited(), times=1)
    assert shop.post("/orders", json={"email": "grace@example.com"}).status_code == 201
    assert shop.get("/orders/order-2").json()["mail"] in ("planned", "accepted")
    assert shop.get("/orders/order-3").status_code == 404
    assert served.outbox[0].subject == "Order 1"
