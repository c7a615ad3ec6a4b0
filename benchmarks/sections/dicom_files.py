"""The page's section on real DICOM files: what is read as DCMTK reads it, and why the rest is refused."""

from tables import read_measured, table

VERDICTS = {
    "equal": "read, grey as the peer's",
    "differs": "read, grey unlike the peer's",
    "unchecked": "read, no peer reads it",
    "refused": "refused, a peer reads it",
    "both-refuse": "refused, no peer reads one film in it",
}


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("dicom-files")
    if record is None:
        return []
    counts = record["verdicts"]
    peers = ", ".join(f"{name} {count}" for name, count in record["peers"].items())
    rows = [[words, str(counts[name])] for name, words in VERDICTS.items() if name in counts]
    reasons = [[text, str(count)] for text, count in record["reasons"].items()]
    return [
        "## Real DICOM files",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: {record['files']} different files that the"
        f" packages {', '.join(record['packages'])} carry for their own tests. Peers of the equal ones:"
        f" {peers}. Equal: {record['equal_means']}; of those further off the lowest correlation is"
        f" {record['lowest_correlation']:.4f}.",
        "",
        *table(["outcome", "files"], rows),
        "Reasons of the refused (N: a number):",
        "",
        *table(["reason", "files"], reasons),
    ]
