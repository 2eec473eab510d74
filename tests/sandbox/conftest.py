import json
from typing import Any

import pytest

from poweremail.sandbox import Call, Reply, Sandbox
from poweremail.sandbox._api.settings import CALLS

_PATHS = {path.rpartition("/")[2]: path for path in CALLS}


class Clock:
    """A clock that stands still until a test advances it."""

    def __init__(self) -> None:
        self.now = 1_458_034_022.169

    def __call__(self) -> float:
        return self.now


class Api:
    """
    The API of a sandbox, called by name with members; a call returns the JSON of the response.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def reply(self, name: str, **members: Any) -> Reply:
        body = json.dumps({"owner_id": "o", "token": "secret-token", **members}).encode()
        return self.sandbox.service.handle(
            Call("POST", f"/v1.0{_PATHS.get(name, f'/messages/{name}')}", body=body)
        )

    def __call__(self, name: str, **members: Any) -> dict[str, Any]:
        response = self.reply(name, **members).response
        assert response is not None
        assert response.status == 200
        assert response.header("Content-Type") == "application/json"
        assert response.header("Content-Length") == str(len(response.body))
        return json.loads(response.body)

    def get(self, query: str) -> dict[str, Any]:
        response = self.sandbox.service.handle(
            Call("GET", "/v1.0/messages/sendTemplateHTTPGet", query)
        ).response
        assert response is not None
        return json.loads(response.body)

    def send(self, **changes: Any) -> dict[str, Any]:
        return self("sendMail", smtp_user_name="smtp12345", message=self.message(**changes))

    @staticmethod
    def message(**changes: Any) -> dict[str, Any]:
        members = {
            "html": "Example HTML content",
            "text": "Example text content",
            "subject": "example subject",
            "from_email": "from@example.com",
            "to": [{"email": "ada@example.com", "name": "Ada", "type": "to"}],
            "headers": {"Reply-To": "reply@example.com", "X-Unique-Id": "Id"},
            **changes,
        }
        return {name: value for name, value in members.items() if value is not ...}

    def info(self, unique_id: str, **members: Any) -> list[dict[str, Any]]:
        response = self("getMessageInfo", x_unique_id=unique_id, **members)
        assert response.pop("status") == "success"
        return response["message_data"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock):
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def api(sandbox) -> Api:
    return Api(sandbox)
