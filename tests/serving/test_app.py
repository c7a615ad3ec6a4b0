import uuid
from pathlib import Path

import pytest
from fastapi import APIRouter

from hilum.domain.errors import ConfigError
from hilum.serving.access import TABLE, check_routes
from hilum.serving.app import create_app, declared_routes
from hilum.serving.settings import read_settings
from tests.serving.conftest import FILM, NAME, Running, Start
from tests.serving.fake_engine import FakeEngine


def test_a_film_is_answered_with_everything_that_goes_with_it(running: Running):
    answer = running.predict()
    assert answer.status_code == 200
    body = answer.json()
    assert body["prediction"] == "Tuberculosis"
    assert body["confidence"] == body["probabilities"]["Tuberculosis"]
    assert sum(body["raw_probabilities"].values()) == pytest.approx(1)
    assert body["model"] == {
        "name": NAME, "version": "1.0.0", "preprocessing_id": "0" * 12, "site": None, "fallback": False,
    }  # fmt: skip
    assert body["thresholds"]["screening"] == {"Pneumonia": 0.3, "Tuberculosis": 0.3}
    assert body["thresholds"]["balanced"] is None
    assert body["referral"] == {
        "to_reader": True,
        "reasons": [{"code": "not-ruled-out", "sentence": "A disease is not ruled out."}],
    }
    assert body["notice"].startswith("Research software.")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert uuid.UUID(body["request_id"]).version == 4


def test_an_explanation_comes_with_pictures_and_with_the_film_only_when_asked_for(running: Running):
    plain = running.predict(path="/predict/explain").json()
    with_film = running.predict(path="/predict/explain?film=true").json()
    assert plain["film_png"] is None
    assert with_film["film_png"].startswith("iVBOR")
    assert plain["explanation"]["heat"] == [[0.0, 1.2], [0.3, 0.4]]
    assert plain["explanation"]["heatmap_png"].startswith("iVBOR")
    assert set(plain["explanation"]["zones"]) >= {"upper", "lower_area", "right"}


def test_a_batch_keeps_its_order_and_a_bad_film_fails_alone(running: Running):
    answer = running.batch(FILM, b"damaged", b"refused", b"not a film", FILM)
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4]
    assert [item["status"] for item in items] == [200, 422, 422, 415, 200]
    assert items[2]["problem"]["code"] == "inverted"
    assert items[0]["result"]["image_sha256"] == items[4]["result"]["image_sha256"]
    assert sorted(record.status for record in running.records("batch-item")) == [200, 200, 415, 422, 422]


def test_more_than_ten_films_are_too_many(running: Running):
    answer = running.batch(*[FILM] * 11)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_films")
    assert running.batch(*[FILM] * 10).status_code == 200


@pytest.mark.parametrize(
    ("film", "status", "code"),
    [
        (b"not a film", 415, "unsupported_format"),
        (b"damaged", 422, "image_damaged"),
        (b"refused", 422, "inverted"),
    ],
)
def test_a_film_that_cannot_be_used_gets_a_problem_that_repeats_nothing(
    running: Running, film: bytes, status: int, code: str
):
    answer = running.predict(film)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    known = {"type", "title", "status", "code", "detail", "fix", "request_id", "may_overrule"}
    assert set(answer.json()) <= known
    assert answer.json().get("may_overrule") == (True if film == b"refused" else None)
    assert "DOE" not in answer.text
    (record,) = running.records("predict")
    assert (record.status, record.code, record.prediction) == (status, code, None)


def test_wrong_values_are_named_but_not_repeated(running: Running):
    said = {"request_id": str(uuid.uuid4()), "kind": "MRN12345", "label": "Tuberculosis", "DOE^JANE": 1}
    answer = running.post("/feedback", "clinician", json=said)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Missing or not allowed: kind."
    assert "MRN12345" not in answer.text
    assert "DOE" not in answer.text


def test_what_is_not_json_is_a_problem_too(running: Running):
    headers = {"Content-Type": "application/json"}
    answer = running.post("/feedback", "clinician", content=b"{", headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_paths_and_methods_are_problems(running: Running):
    assert running.get("/nowhere").json()["code"] == "not_found"
    answer = running.client.request("DELETE", "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == "method_not_allowed"


def test_what_nobody_foresaw_is_a_500_that_says_nothing(start: Start, caplog: pytest.LogCaptureFixture):
    class Surprising(FakeEngine):
        def _answer(self, *_: object, **__: object):
            raise ValueError("PatientName DOE^JANE")

    running = start(Surprising.open)
    answer = running.predict()
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "DOE" not in answer.text + caplog.text
    (failed,) = [record for record in caplog.records if record.message == "a request failed"]
    assert failed.fields["error"].startswith("ValueError in _answer:")
    (record,) = running.records("predict")
    assert (record.status, record.code) == (500, "internal")


def test_every_answer_carries_the_security_headers(running: Running):
    for answer in (
        running.get("/health"),
        running.predict(),
        running.get("/nowhere"),
        running.predict(role=None),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers


def test_the_request_id_of_a_client_is_taken_only_as_a_uuid4(running: Running):
    good = str(uuid.uuid4())
    assert running.get("/health", headers={"X-Request-ID": good}).headers["x-request-id"] == good
    for bad in ("MRN12345", str(uuid.uuid1()), good.replace("-", ""), "{" + good + "}", good + "\t"):
        taken = running.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert taken != bad.strip()
        assert uuid.UUID(taken).version == 4


def test_whoami_tells_role_and_label(running: Running):
    body = running.get("/whoami", "auditor").json()
    assert (body["role"], body["label"], body["user_id"]) == (
        "auditor",
        "auditor",
        running.key_ids["auditor"],
    )


def test_model_info_tells_what_answers(running: Running):
    body = running.get("/model/info", "clinician").json()
    assert (body["name"], body["version"], body["runtime"]) == (NAME, "1.0.0", "fake")
    assert body["classes"] == ["Normal", "Pneumonia", "Tuberculosis"]
    assert body["known_failures"] == ["it is a fake"]
    assert body["explanations"]["Normal"] == {
        "shown": True,
        "reason": "The maps of this model were never tested.",
    }


def test_the_page_and_its_files_are_served_and_nothing_else(running: Running):
    assert running.get("/").headers["content-type"].startswith("text/html")
    assert running.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    assert running.client.head("/").status_code == 200
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert running.get(path).status_code == 404


def test_the_description_is_written_once_and_not_sent_again_to_who_has_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
):
    first = running.get("/openapi.json")
    monkeypatch.setattr("hilum.serving.app._describe", lambda _app: pytest.fail("built anew"))
    again = running.get("/openapi.json")
    assert again.content == first.content
    known = running.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert running.get("/openapi.json", headers={"If-None-Match": '"other"'}).status_code == 200


def test_openapi_lists_every_route_with_examples(running: Running):
    schema = running.get("/openapi.json").json()
    listed = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    wanted = {
        (method, path.replace(":path}", "}")) for method, path in TABLE if method != "HEAD"
    }  # fmt: skip
    assert listed == wanted
    predict = schema["paths"]["/predict"]["post"]
    assert predict["x-roles"] == ["admin", "clinician"]
    assert predict["security"] == [{"bearer": []}, {"key": []}]
    properties = schema["components"]["schemas"]["PredictionOut"]["properties"]
    assert properties["prediction"]["examples"] == ["Tuberculosis"]
    assert properties["probabilities"]["examples"][0]["Tuberculosis"] == 0.92
    assert predict["responses"]["422"]["content"]["application/problem+json"]["example"]["code"] == "inverted"


def test_a_route_without_a_permission_stops_the_start(monkeypatch: pytest.MonkeyPatch):
    from hilum.serving import app as module

    extra = APIRouter()
    extra.add_api_route("/debug", lambda: None)
    monkeypatch.setattr(module, "_ROUTERS", (*module._ROUTERS, extra))
    with pytest.raises(ConfigError, match=r"routes without a permission: \[\('GET', '/debug'\)\]"):
        create_app(read_settings(), open_engine=FakeEngine.open)


def test_a_permission_without_a_route_stops_the_start():
    app = create_app(read_settings(), open_engine=FakeEngine.open)
    with pytest.raises(ConfigError, match="/metrics"):
        check_routes([route for route in declared_routes(app) if route[1] != "/metrics"])


def test_a_rejected_film_is_shown_and_answered_when_a_reader_overrules_the_gate(running: Running):
    shown = running.predict(b"refused", path="/predict/explain?film=true")
    assert (shown.status_code, shown.json()["code"], shown.json()["may_overrule"]) == (422, "inverted", True)
    assert shown.json()["film_png"].startswith("iVBOR")
    assert "film_png" not in running.predict(b"refused").json()
    answer = running.predict(b"refused", path="/predict/explain?overrule=true")
    assert (answer.status_code, answer.json()["overruled"]) == (200, "inverted")
    assert running.predict().json()["overruled"] is None
    (record,) = [one for one in running.records("explain") if one.status == 200]
    assert record.facts["overruled"] == "inverted"
    assert running.predict(b"damaged", path="/predict?overrule=true").status_code == 422


def test_the_journal_holds_what_was_called_in_the_scenario_in_force(running: Running):
    running.predict()
    (record,) = running.records("predict")
    assert (record.facts["called"], record.facts["scenario"]) == ("Tuberculosis", "screening")


def test_a_bare_uvicorn_finds_the_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hilum.serving import app as module

    monkeypatch.setenv("HILUM_DATA", str(tmp_path))
    assert {"/predict", "/health"} <= {route.path for route in module.app.routes if hasattr(route, "path")}
    with pytest.raises(AttributeError, match="has no attribute 'application'"):
        _ = module.application
