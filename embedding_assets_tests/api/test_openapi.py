import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from embedding_assets.api.app import create_app
from embedding_assets.api.keys import KeyStore, NewKey
from embedding_assets.api.service import open_service_engine
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.settings import Settings

EXAMPLES = 15
# Limits that are settings are not in the description; keys are looked at in a test of their own.
NOT_ASKED = [positive_data_acceptance, ignored_auth]
OPEN = {"/health/live", "/health/ready"}
MANY = 10**6


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Settings of an empty service, and the header of a key that may do anything."""
    limits = {"requests_per_minute": MANY, "requests_per_day": MANY, "keys": "always"}
    folder = tmp_path_factory.mktemp("fuzzed") / "store"
    made = Settings(data_dir=folder, service={"hosts": ("testserver",), **limits})
    engine = open_service_engine(made)
    secret, _ = KeyStore(lambda: engine).create(NewKey("fuzz", frozenset({"admin"})))
    engine.dispose()
    return made, {"X-API-Key": secret}


@pytest.fixture
def described(service):
    """The service's own description, of a service that is ready."""
    app = create_app(service[0], encoder=HashingEncoder)
    client = asgi.get_client(app)
    while client.get("/health/ready").status_code == 503:
        pass
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    asgi.shutdown_lifespans()


@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_breaks_the_service_and_every_error_is_a_problem(described, service, mode):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 5
    # schemathesis' own tests by fixture do not run with this version of pytest.
    for operation in operations:
        takes = operation.body or operation.query or operation.path_parameters
        if mode is GenerationMode.NEGATIVE and not takes:
            continue

        @given(case=operation.as_strategy(mode))
        @settings(max_examples=EXAMPLES, suppress_health_check=[*HealthCheck])
        def fuzz(case):
            answer = case.call_and_validate(headers=service[1], excluded_checks=NOT_ASKED)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]
                body = answer.json()
                assert body["detail"] and body["mend"] and body["request_id"]

        fuzz()


def test_nothing_is_answered_without_a_key(described):
    client = asgi.get_client(described.app)
    for path, methods in described.raw_schema["paths"].items():
        for method in methods:
            body = {"json": {}} if method == "post" else {}
            answer = client.request(method, path.replace("{", "").replace("}", ""), **body)
            assert (answer.status_code == 401) is (path not in OPEN), path


def test_every_operation_says_what_it_does_and_which_problems_it_may_have(described):
    schema = described.raw_schema
    tags = {tag["name"] for tag in schema["tags"]}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            assert operation["summary"] and operation["description"], path
            assert {*operation["tags"]} <= tags, path
            for code in ("400", "401", "422", "429", "503"):
                problem = operation["responses"][code]["content"]
                assert [*problem] == ["application/problem+json"], path


def test_every_body_has_an_example_and_refuses_unknown_names(described):
    schemas = described.raw_schema["components"]["schemas"]
    for path, methods in described.raw_schema["paths"].items():
        for operation in methods.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if name:
                assert schemas[name]["examples"], path
                assert schemas[name]["additionalProperties"] is False, path
