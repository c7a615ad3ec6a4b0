import json
import re
from pathlib import Path

import pytest

from hilum.registry.card import write_card


def measure(value: float | None, **more: object) -> dict:
    return {"value": value, **more}


@pytest.fixture
def facts() -> dict:
    return {
        "name": "net_v1.0.0_20260504",
        "settings": {"model": {"architecture": "net"}, "preprocessing": {"image_size": 224}},
        "provenance": {
            "train_films": {"Normal": 1200, "Pneumonia": 340, "Tuberculosis": 56},
            "weights": {"kind": "imagenet", "origin": "the package x", "sha256": "00"},
        },
        "epoch": 7,
        "val_f1": 0.91234,
        "temperature": 1.23456,
        "weights_sha256": "ab" * 32,
    }


@pytest.fixture
def report() -> dict:
    row = {
        "support": 30,
        "recall": measure(0.9, low=0.8, high=0.95),
        "specificity": measure(0.8),
        "auroc": measure(None, reason="one class only"),
    }
    return {
        "headlines": [{"severity": "critical", "text": "0 of 9 tuberculosis films were found."}],
        "discrimination": {
            "films": 90,
            "patients": 88,
            "accuracy": measure(0.9333, low=0.9, high=0.96),
            "classes": dict.fromkeys(("Normal", "Pneumonia", "Tuberculosis"), row),
        },
    }


def test_the_card_says_what_the_artefacts_say(facts: dict, report: dict):
    text = write_card(facts, {"test": report})
    assert text.startswith(
        "# net_v1.0.0_20260504\n\n**Research software. Not a medical device, not for diagnosis.**"
    )
    for line in (
        "- Network: net, 224 px, started from imagenet weights (the package x)",
        "- Trained on: 1,200 Normal, 340 Pneumonia, 56 Tuberculosis",
        "- Kept epoch: 7, validation macro F1 0.9123",
        "- Temperature: 1.2346, fitted on validation",
        f"- Weights SHA-256: `{'ab' * 32}`",
        "90 films of 88 patients. Accuracy 0.933 (0.900 to 0.960).",
        "| Pneumonia | 30 | 0.900 (0.800 to 0.950) | 0.800 | n/a (one class only) |",
    ):
        assert line in text.splitlines()


def test_what_went_wrong_stands_before_the_figures(facts: dict, report: dict):
    text = write_card(facts, {"external": report, "test": {**report, "headlines": []}})
    assert text.index("**critical**: 0 of 9") < text.index("90 films of 88 patients")
    assert text.index("## Measured on external") < text.index("## Measured on test")


def test_blockers_of_the_audit_stand_on_the_card_with_their_reasons(facts: dict, report: dict):
    blockers = [
        {
            "code": "patient-across-splits",
            "sentence": "2 of 9. A blocker, accepted: twins",
            "accepted": "twins",
        },
        {"code": "letters-tied-to-class", "sentence": "Letters.", "accepted": None},
    ]
    text = write_card({**facts, "audit": {"films": 1200, "blockers": blockers}}, {"test": report})
    assert "- 1,200 films, 2 blockers.\n" in text
    assert "- **Accepted blocker** `patient-across-splits`: 2 of 9. A blocker, accepted: twins\n" in text
    assert "- **Blocker** `letters-tied-to-class`: Letters.\n" in text
    assert text.index("## Audit of its data") < text.index("## Measured on test")
    clean = write_card({**facts, "audit": {"films": 1200, "blockers": []}}, {"test": report})
    assert "- 1,200 films, no blockers.\n" in clean
    assert "- **No audit** of the data was registered" in write_card(facts, {"test": report})


def test_a_real_evaluation_fits(tiny_bundle: Path):
    text = (tiny_bundle / "card.md").read_text()
    report = json.loads((tiny_bundle / "evaluation-test.json").read_text())
    (accuracy,) = re.findall(r"12 films of .* patients\. Accuracy (\S+) \(", text)
    assert float(accuracy) == pytest.approx(report["discrimination"]["accuracy"]["value"], abs=5e-4)
    for headline in report["headlines"]:
        assert headline["text"] in text


def test_card_says_what_is_missing(facts: dict, report: dict):
    text = write_card(facts, {"test": report})
    assert "- **No input gate**: anything readable is answered." in text
    assert "- **Maps were never tested.**" in text
    assert "- **No promise** on missed disease was fitted." in text


def test_card_says_what_is_refused_withheld_and_promised(facts: dict, report: dict):
    rule = {
        "disease": "Tuberculosis",
        "cutoff": 0.1,
        "max_miss_rate": 0.05,
        "confidence": 0.95,
        "is_as_asked": True,
        "referred_share": 0.22,
        "films": 60,
        "films_needed": 59,
    }
    facts |= {
        "input_gate": {"val_let_through": 0.9931},
        "explanations": {
            "findings": {
                "Normal": {"passes": True, "reason": None},
                "Pneumonia": {"passes": False, "reason": "deletion is no better than chance"},
                "Tuberculosis": {"passes": None, "reason": "4 films are too few"},
            }
        },
        "referral": {"rules": [rule], "confounded": [["Pneumonia", "Tuberculosis"]]},
    }
    lines = write_card(facts, {"test": report}).splitlines()
    assert "- Input gate: lets 99.3 % of the validation films through." in lines
    assert "- Maps for Pneumonia: withheld: deletion is no better than chance." in lines
    assert "- Maps for Tuberculosis: not tested: 4 films are too few." in lines
    assert any(
        line.startswith("- To miss at most 5.0 % of Tuberculosis (95 % confidence), 22 %") for line in lines
    )
    assert any(
        line.startswith("- **Which of Pneumonia and Tuberculosis** is not supported") for line in lines
    )
