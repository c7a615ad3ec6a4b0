import json

from hilum.inference.engine import ModelIdentity
from hilum.registry.bundle import BUNDLE_FILE, find_released
from hilum.serving.model_facts import describe_model, read_evaluations


def test_what_is_told_of_the_shipped_model_is_what_its_bundle_says():
    folder = find_released()
    facts = json.loads((folder / BUNDLE_FILE).read_text())
    identity = ModelIdentity(facts["name"], "1.0.0", facts["weights_sha256"], "0" * 12, "onnxruntime", None)
    told = describe_model(identity, facts, folder, fallback=True, reason="could not be opened (checkpoint)")
    assert (told.name, told.fallback, told.reason) == (folder.name, True, "could not be opened (checkpoint)")
    assert told.architecture == facts["settings"]["model"]["architecture"]
    assert told.temperature == facts["temperature"]
    assert told.known_failures == facts["known_failures"]
    assert len(told.referral_rules) == len(facts["referral"]["rules"])
    assert all(rule.startswith("To miss at most") for rule in told.referral_rules)
    assert set(told.explanations) == {"Normal", "Pneumonia", "Tuberculosis"}
    assert told.gate is True


def test_the_figures_of_every_evaluation_are_told_with_their_intervals():
    folder = find_released()
    told = read_evaluations(folder)
    assert set(told) == {path.stem.removeprefix("evaluation-") for path in folder.glob("evaluation-*.json")}
    report = json.loads((folder / "evaluation-test.json").read_text())["discrimination"]
    assert told["test"]["films"] == report["films"]
    auroc = told["test"]["classes"]["Tuberculosis"]["auroc"]
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert auroc["value"] == report["classes"]["Tuberculosis"]["auroc"]["value"]


def test_a_model_whose_maps_fail_says_why():
    folder = find_released()
    facts = json.loads((folder / BUNDLE_FILE).read_text())
    facts["explanations"]["randomization"] = {
        "passes": False,
        "reason": "the maps do not depend on the weights",
    }
    identity = ModelIdentity("a", "1.0.0", "0", "0", "onnxruntime", None)
    told = describe_model(identity, facts, folder, fallback=False, reason=None).explanations["Normal"]
    assert (told.shown, told.reason) == (False, "the maps do not depend on the weights")
