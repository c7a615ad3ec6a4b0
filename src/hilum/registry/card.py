"""The model card: what a released model is and what it was measured at, worst first; from the artefacts."""

from typing import Any

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.referral import ReferralRule

_NOTICE = (
    "**Research software. Not a medical device, not for diagnosis.** A qualified reader decides;"
    " a probability printed here is not a finding."
)


def write_card(facts: dict[str, Any], reports: dict[str, dict[str, Any]]) -> str:
    """Return the card as Markdown; every figure in it comes from bundle.json or an evaluation.json."""
    model = facts["settings"]["model"]
    provenance = facts["provenance"]
    films = ", ".join(f"{count:,} {name}" for name, count in provenance["train_films"].items())
    lines = [
        f"# {facts['name']}",
        "",
        _NOTICE,
        "",
        *_excluded(facts),
        f"- Classes: {', '.join(CLASS_NAMES)}",
        f"- Network: {model['architecture']}, {facts['settings']['preprocessing']['image_size']} px,"
        f" started from {provenance['weights']['kind']} weights ({provenance['weights']['origin']})",
        f"- Trained on: {films}",
        f"- Kept epoch: {facts['epoch']}, validation macro F1 {facts['val_f1']:.4f}",
        f"- Temperature: {facts['temperature']:.4f}, fitted on validation",
        f"- Weights SHA-256: `{facts['weights_sha256']}`",
        "",
    ]
    lines += _audited(facts)
    lines += _safeguards(facts)
    for label, report in reports.items():
        lines += _measured(label, report)
    return "\n".join(lines) + "\n"


def _excluded(facts: dict[str, Any]) -> list[str]:
    excluded = facts.get("excluded_from_use") or {}
    lines = [f"- **Not for use on films like {label!r}**: {reason}" for label, reason in excluded.items()]
    return [*lines, ""] if lines else []


def _audited(facts: dict[str, Any]) -> list[str]:
    audit = facts.get("audit")
    lines = ["## Audit of its data", ""]
    if audit is None:
        return [*lines, "- **No audit** of the data was registered with this model.", ""]
    blockers = audit["blockers"]
    lines.append(f"- {audit['films']:,} films, {len(blockers) or 'no'} blocker{'s' * (len(blockers) != 1)}.")
    lines += [
        f"- **{'Accepted blocker' if row['accepted'] else 'Blocker'}** `{row['code']}`: {row['sentence']}"
        for row in blockers
    ]
    return [*lines, ""]


def _safeguards(facts: dict[str, Any]) -> list[str]:
    gate, maps, referral = (facts.get(name) for name in ("input_gate", "explanations", "referral"))
    lines = ["## What is refused, withheld and referred", ""]
    if gate is None:
        lines.append("- **No input gate**: anything readable is answered.")
    else:
        let_through = 100 * gate["val_let_through"]
        lines.append(f"- Input gate: lets {let_through:.1f} % of the validation films through.")
    if maps is None:
        lines.append("- **Maps were never tested.**")
    else:
        lines += [f"- Maps for {name}: {_verdict(entry)}" for name, entry in maps["findings"].items()]
    if referral is None:
        lines.append("- **No promise** on missed disease was fitted.")
    else:
        lines += [f"- {ReferralRule(**rule).to_sentence()}" for rule in referral["rules"]]
        lines += [
            f"- **Which of {first} and {second}** is not supported: no source of the validation films holds"
            " both."
            for first, second in referral["confounded"]
        ]
    return [*lines, ""]


def _verdict(entry: dict[str, Any]) -> str:
    if entry["passes"]:
        return "passed the tests of faithfulness."
    return f"{'not tested' if entry['passes'] is None else 'withheld'}: {entry['reason']}."


def _measured(label: str, report: dict[str, Any]) -> list[str]:
    scores = report["discrimination"]
    lines = [f"## Measured on {label}", ""]
    lines += [f"- **{headline['severity']}**: {headline['text']}" for headline in report["headlines"]]
    lines += [
        "",
        f"{scores['films']} films of {scores['patients']} patients. Accuracy {_figure(scores['accuracy'])}.",
        "",
        "| class | films | sensitivity | specificity | AUROC |",
        "|---|---|---|---|---|",
    ]
    for name in CLASS_NAMES:
        row = scores["classes"][name]
        lines.append(
            f"| {name} | {row['support']} | {_figure(row['recall'])} | {_figure(row['specificity'])}"
            f" | {_figure(row['auroc'])} |"
        )
    return [*lines, ""]


def _figure(measure: dict[str, Any]) -> str:
    if measure["value"] is None:
        return f"n/a ({measure['reason']})"
    interval = f" ({measure['low']:.3f} to {measure['high']:.3f})" if "low" in measure else ""
    return f"{measure['value']:.3f}{interval}"
