"""What the journal holds of an answered film for monitoring: numbers and codes, no film and no person."""

from typing import TYPE_CHECKING

from hilum.evaluation.embedding_space import pack_coordinates
from hilum.inference.answer import NOT_COMMISSIONED
from hilum.journal.record import JsonScalar

if TYPE_CHECKING:
    from hilum.inference.engine import FilmAnswer, ModelIdentity


def film_facts(
    film: "FilmAnswer", identity: "ModelIdentity", *, is_fallback: bool, is_repeated: bool
) -> dict[str, JsonScalar]:
    """Return the facts of one answer.

    Parameters
    ----------
    is_fallback
        Whether another version than the wanted one answered.
    is_repeated
        Whether the film was asked about more often than is usual (`RecentFilms`).
    """
    answer = film.answer
    facts: dict[str, JsonScalar] = {
        "format": film.facts.format,
        "width": film.facts.width,
        "height": film.facts.height,
        "bits": film.facts.bits,
        "called": ", ".join(answer.called),
        "scenario": answer.scenario,
        "referred": any(reason.code != NOT_COMMISSIONED.code for reason in answer.referral),
        "fallback": is_fallback,
        "site": identity.site is not None,
        "repeated": is_repeated,
        "preprocessing_id": identity.preprocessing_id,
    }
    if film.overruled is not None:
        facts["overruled"] = film.overruled
    if answer.prediction_set is not None:
        facts["set_size"] = len(answer.prediction_set)
    if film.coordinates is not None:
        facts["embedding"] = pack_coordinates(film.coordinates)
    facts.update({f"p_{name.lower()}": round(value, 6) for name, value in answer.probabilities.items()})
    facts.update({f"pixels_{name}": round(value, 6) for name, value in film.statistics.items()})
    return facts
