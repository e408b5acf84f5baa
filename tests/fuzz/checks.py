"""What every reply has to be, beside what schemathesis checks by itself: checks of its kind.

Imported for their registration.
"""

import json
from typing import Any

import schemathesis
from jsonschema import Draft202012Validator

EVENTS = "text/event-stream"
ERROR = {"message", "type", "param", "code", "metadata"}
# Of a request that is valid by the schema: what a vendor says of it, who knows more than the schema.
OF_VENDORS = {"provider_rejected", "content_policy_violation", "context_length_exceeded"}


@schemathesis.check
def enveloped(ctx: Any, response: Any, case: Any) -> None:
    """Every refusal is in the one envelope, and has the request's number."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    assert _kind(response) == "application/json", "not JSON"
    error = json.loads(response.content)["error"]
    assert set(error) == ERROR
    assert error["code"] == response.status_code
    assert error["metadata"]["request_id"] == _header(response, "x-request-id")


@schemathesis.check
def told_why(ctx: Any, response: Any, case: Any) -> None:
    """What is valid by the schema is refused only for rules between fields, and the field is named."""
    if response.status_code != 400 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    error = json.loads(response.content)["error"]
    assert error["param"] or error["metadata"]["error_type"] in OF_VENDORS, "no field is named"


@schemathesis.check
def whole_stream(ctx: Any, response: Any, case: Any) -> None:
    """Every event is of the declared shape, and the last one is the end."""
    if response.status_code != 200 or _kind(response) != EVENTS:
        return
    content = case.operation.definition.raw["responses"]["200"]["content"][EVENTS]
    schema = case.operation.schema.raw_schema
    shape = _shape(schema, content["schema"]["$ref"].rpartition("/")[2])
    lines = response.content.decode().split("\n\n")
    events = [line.removeprefix("data: ") for line in lines if line and not line.startswith(":")]
    assert events[-1] == "[DONE]", "no end"
    for event in events[:-1]:
        shape.validate(json.loads(event))


def _shape(schema: dict[str, Any], event: str) -> Draft202012Validator:
    data = schema["components"]["schemas"][event]["properties"]["data"]["anyOf"]
    return Draft202012Validator({**schema, **data[0]["contentSchema"]})


def _header(response: Any, name: str) -> str:
    return str((response.headers.get(name) or [""])[0])


def _kind(response: Any) -> str:
    return _header(response, "content-type").partition(";")[0]
