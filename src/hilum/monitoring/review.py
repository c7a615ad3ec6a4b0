"""The queue of report Table 25: reported misdiagnoses, each with what the model said, until a reader decides.

A reader confirms a report (the answer was wrong) or rejects it (the answer was right) by the class that the
film shows; that label holds from then on. Tells nothing of who asked or reported. Keeps no film: whoever
decides finds it in the archive by what the site noted with the request id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hilum.domain.errors import InputError
from hilum.journal.feedback import Feedback, FeedbackStore
from hilum.journal.journal import Journal
from hilum.journal.record import Record
from hilum.monitoring.rollup import ANSWERS

_OK = 200


class Verdict(StrEnum):
    """What a review says of a report."""

    CONFIRMS = "confirms"
    REJECTS = "rejects"


@dataclass(frozen=True, slots=True)
class Case:
    """A report and the answers that it may be about: one, or those of all films of a batch, or none left."""

    report: Feedback
    answers: Sequence[Record]

    def allows(self, label: str, verdict: Verdict) -> bool:
        """Return whether a verdict fits a label; of several answers it is not known which was reported."""
        if len(self.answers) != 1:
            return True
        return (label == self.answers[0].prediction) == (verdict is Verdict.REJECTS)


class ReviewQueue:
    """Reports that wait, and their end.

    Parameters
    ----------
    journal, feedback
        Of the same database.
    """

    def __init__(self, journal: Journal, feedback: FeedbackStore) -> None:
        self._journal, self._feedback = journal, feedback

    def waiting(self, *, limit: int) -> list[Case]:
        """Return cases that wait, the oldest first."""
        return [self._to_case(report) for report in self._feedback.list(unreviewed=True, limit=limit)]

    def count(self) -> int:
        """Return how many wait."""
        return self._feedback.count_waiting()

    def find(self, feedback_id: str) -> Case | None:
        """Return a reported case, whether it waits or not."""
        report = self._feedback.find(feedback_id)
        return None if report is None or report.kind != "misdiagnosis" else self._to_case(report)

    def decide(self, case: Case, label: str, verdict: Verdict, *, by: str) -> None:
        """Give a case its label.

        Raises
        ------
        InputError
            The verdict does not fit the label, the label is unknown, or the case waits no longer.
        """
        if not case.allows(label, verdict):
            raise InputError(f"review: a label of {label} does not fit a verdict that {verdict} the report")
        self._feedback.review(case.report.id, label, by)

    def _to_case(self, report: Feedback) -> Case:
        found = self._journal.read(request_id=report.request_id, kinds=ANSWERS)
        return Case(report, [record for record in found if record.status == _OK])
