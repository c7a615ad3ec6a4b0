"""Who may do what, written down a second time on purpose: the product's own table must say the same.

A route that is served but not listed here fails the suite, and so does one that is listed but not served.
"""

ANYONE = frozenset({None, "clinician", "auditor", "admin"})
ANY_ROLE = frozenset({"clinician", "auditor", "admin"})
MEDICAL = frozenset({"clinician", "admin"})
OVERSIGHT = frozenset({"auditor", "admin"})
ADMIN = frozenset({"admin"})

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

PERMISSIONS: dict[str, dict[str, frozenset[str | None]]] = {
    "/": {"GET": ANYONE, "HEAD": ANYONE},
    "/static/{path}": {"GET": ANYONE, "HEAD": ANYONE},
    "/openapi.json": {"GET": ANYONE},
    "/health": {"GET": ANYONE},
    "/health/live": {"GET": ANYONE},
    "/health/ready": {"GET": ANYONE},
    "/ready": {"GET": ANYONE},
    "/metrics": {"GET": OVERSIGHT},
    "/whoami": {"GET": ANY_ROLE},
    "/model/info": {"GET": ANY_ROLE},
    "/predict": {"POST": MEDICAL},
    "/predict/explain": {"POST": MEDICAL},
    "/predict/batch": {"POST": MEDICAL},
    "/feedback": {"POST": MEDICAL},
    "/audit": {"GET": OVERSIGHT},
    "/audit/verify": {"GET": OVERSIGHT},
    "/monitoring": {"GET": OVERSIGHT},
    "/monitoring/curves": {"GET": OVERSIGHT},
    "/monitoring/reliability": {"GET": OVERSIGHT},
    "/monitoring/alerts": {"GET": OVERSIGHT},
    "/monitoring/alerts/{alert_id}": {"GET": OVERSIGHT},
    "/monitoring/alerts/{alert_id}/acknowledge": {"POST": ADMIN},
    "/review": {"GET": MEDICAL},
    "/review/{feedback_id}": {"POST": MEDICAL},
    "/admin/keys": {"GET": ADMIN, "POST": ADMIN},
    "/admin/keys/{key_id}": {"DELETE": ADMIN},
    "/admin/keys/{key_id}/rotate": {"POST": ADMIN},
    "/admin/models": {"GET": ADMIN},
    "/admin/models/promote": {"POST": ADMIN},
    "/admin/models/rollback": {"POST": ADMIN},
    "/admin/lockdown": {"GET": ADMIN, "POST": ADMIN, "DELETE": ADMIN},
}
"""Path to method to those who may; a method that is absent is 405 for everyone."""

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}
_NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
_NO_BODY = "/acknowledge"


def fitting_headers(path: str, method: str) -> dict[str, str]:
    """Return what a request must say of its body, so that nothing but permission is left to refuse it."""
    if method != "POST" or path.endswith(_NO_BODY):
        return {}
    return FORM if path.startswith("/predict") else JSON


def concrete(path: str) -> str:
    """Fill the parameters of a path with something that does not exist."""
    path = path.replace("{path}", "main.js").replace("{key_id}", "0123456789abcdef")
    return path.replace("{alert_id}", _NO_SUCH_ID).replace("{feedback_id}", _NO_SUCH_ID)
