import dataclasses

import pytest

from hilum.evaluation.evaluate import evaluate_predictions
from hilum.evaluation.inputs import EvaluationInput
from hilum.evaluation.summary import Severity, find_headlines, summarise
from tests.evaluation.films import USUAL, make_table

LOGITS = ["logit_Normal", "logit_Pneumonia", "logit_Tuberculosis"]


def blind_to_tuberculosis():
    """Return 201 Normal and 201 Tuberculosis films of another site; none is called Tuberculosis."""
    table = make_table(
        {("sakha", "Normal"): 201, ("sakha", "Tuberculosis"): 201}, strength=1.0, split="external"
    )
    return table.assign(logit_Tuberculosis=-8.0)


def evaluated(table, validation=None, **options):
    validation = make_table(USUAL, split="val", seed=1) if validation is None else validation
    return evaluate_predictions(EvaluationInput(table, validation, **options), resamples=100)


def test_the_class_that_fails_is_said_first():
    headlines = find_headlines(evaluated(blind_to_tuberculosis()))
    assert headlines[0].severity is Severity.CRITICAL
    assert headlines[0].text == (
        "0 of 201 Tuberculosis films from sakha were called Tuberculosis"
        " (sensitivity 0.0 %, 95 % CI 0.0–1.9 %)."
    )
    assert "Normal" in headlines[0].detail
    assert "does not rule the disease out" in headlines[0].detail
    assert [headline.severity for headline in headlines] == sorted(h.severity for h in headlines)
    texts = " ".join(headline.text for headline in headlines)
    assert "WHO's target for a tuberculosis triage test" in texts
    assert "There are no Pneumonia films" in texts
    assert "averages cover 2 of 3 classes" in texts


def test_a_source_where_a_class_fails_is_named_though_the_whole_looks_well():
    table = make_table({**USUAL, ("south", "Normal"): 20, ("south", "Pneumonia"): 20}, strength=8.0)
    south = (table["source"] == "south") & (table["label"] == "Pneumonia")
    table.loc[south, LOGITS] = [9.0, 0.0, 0.0]
    texts = [headline.text for headline in find_headlines(evaluated(table))]
    assert texts[0].startswith("0 of 20 Pneumonia films from south were called Pneumonia")
    assert not any("(all sources)" in text for text in texts)


def test_a_source_at_chance_is_serious_and_a_weaker_one_is_a_caution():
    table = make_table({**USUAL, ("coin", "Normal"): 60, ("coin", "Pneumonia"): 60}, strength=6.0)
    table.loc[table["source"] == "coin", LOGITS] = make_table(
        {("coin", "Normal"): 60, ("coin", "Pneumonia"): 60}, strength=0.0, seed=8
    )[LOGITS].to_numpy()
    by_text = {headline.text: headline.severity for headline in find_headlines(evaluated(table))}
    chance = [text for text in by_text if "not tell sick from normal better than chance" in text]
    assert chance
    assert chance[0].startswith("In coin")
    assert by_text[chance[0]] is Severity.CRITICAL
    table.loc[table["source"] == "coin", LOGITS] = make_table(
        {("coin", "Normal"): 60, ("coin", "Pneumonia"): 60}, strength=1.0, seed=8
    )[LOGITS].to_numpy()
    weaker = [
        headline for headline in find_headlines(evaluated(table)) if "told apart less well" in headline.text
    ]
    assert [headline.severity for headline in weaker] == [Severity.WARNING]
    assert weaker[0].detail == "Measured on 60 Normal, 60 Pneumonia films."


def test_diseases_that_share_no_source_are_confounded():
    texts = [headline.text for headline in find_headlines(evaluated(make_table(USUAL)))]
    assert any(
        text
        == "No source has both Pneumonia and Tuberculosis: which of the two it is may be read off the source."
        for text in texts
    )
    mixed = make_table({("east", name): 30 for name in ("Normal", "Pneumonia", "Tuberculosis")})
    assert not any("No source has both" in headline.text for headline in find_headlines(evaluated(mixed)))


def test_a_source_of_one_class_is_pointed_out():
    table = make_table({**USUAL, ("mono", "Pneumonia"): 15})
    texts = [headline.text for headline in find_headlines(evaluated(table))]
    assert any("mono have films of one class only" in text for text in texts)


def test_bad_probabilities_are_said_with_their_size():
    table = make_table(USUAL, strength=0.5)
    table[LOGITS] *= 8
    headlines = find_headlines(evaluated(table))
    found = [headline for headline in headlines if headline.text.startswith("Probabilities are off by")]
    assert found[0].severity is Severity.WARNING
    assert "at most 0.1 is accepted" in found[0].text
    assert any(headline.text.endswith("the model is over-confident in its range.") for headline in headlines)


def test_conditions_of_the_measurement_are_said():
    table = make_table(USUAL)
    validation = make_table(USUAL, split="val", seed=1)
    validation.loc[:2, "patient_id"] = table.loc[:2, "patient_id"]
    table.loc[100:, "patient_id"] = None
    by_text = {h.text: h.severity for h in find_headlines(evaluated(table, validation))}
    assert by_text["3 patient(s) are in the films under test and in validation."] is Severity.CRITICAL
    assert any("50 of 150 films have no patient identifier" in text for text in by_text)
    optimistic = find_headlines(evaluated(make_table(USUAL), fitted_on_test=True))
    assert any("optimistic" in headline.text for headline in optimistic)
    nothing = evaluate_predictions(EvaluationInput(make_table(USUAL)), resamples=0)
    texts = [headline.text for headline in find_headlines(nothing)]
    assert "Temperature: not fitted: there is no validation split." in texts
    assert any("cannot be judged: there is no validation split" in text for text in texts)


def test_memorising_is_said():
    history = {"train_loss": [0.1], "val_loss": [0.9], "train_f1": [0.99], "val_f1": [0.7]}
    texts = [headline.text for headline in find_headlines(evaluated(make_table(USUAL), history=history))]
    assert (
        "The model is better on films it learned from: F1 0.990 on train, 0.700 on validation"
        " (gap 29.0 points)." in texts
    )


def test_too_few_films_make_no_claim():
    table = make_table({**USUAL, ("west", "Tuberculosis"): 4})
    table.loc[table["label"] == "Tuberculosis", LOGITS] = [9.0, 0.0, 0.0]
    texts = [headline.text for headline in find_headlines(evaluated(table))]
    assert "Too few films for a claim: 4 Tuberculosis." in texts
    assert not any("of 4 Tuberculosis" in text for text in texts)


def test_an_excellent_model_on_mixed_sources_has_nothing_serious():
    counts = {(source, name): 120 for source in "ab" for name in ("Normal", "Pneumonia", "Tuberculosis")}
    validation = make_table(counts, strength=7.0, split="val", seed=3)
    evaluation = evaluated(make_table(counts, strength=7.0), validation)
    assert all(headline.severity > Severity.WARNING for headline in find_headlines(evaluation))


def test_the_summary_says_what_was_tested():
    evaluation = evaluated(blind_to_tuberculosis())
    text = summarise(evaluation)
    assert text.startswith(
        "The model was tested on 402 films of 402 patients (201 Normal, 201 Tuberculosis)"
        " from 1 source: sakha."
    )
    right = evaluation.discrimination.accuracy.events
    assert f"the right class for {right} of them" in text


@pytest.mark.parametrize(("severity", "word"), [(0, "Serious"), (1, "Caution"), (2, "Note")])
def test_severity_has_a_word(severity, word):
    assert Severity(severity).word == word


def test_no_headline_appears_twice():
    headlines = find_headlines(evaluated(blind_to_tuberculosis()))
    assert len({dataclasses.astuple(headline) for headline in headlines}) == len(headlines)
