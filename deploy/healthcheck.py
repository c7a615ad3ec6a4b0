"""Exit with 0 if the service of this container would answer a film; standard library alone.

The certificate is not checked: it names the host that others call, and the question is asked of ourselves.
"""

import os
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 2.0


def is_ready() -> bool:
    """Ask /health/ready at the address that HILUM_PORT and HILUM_TLS_CERT imply."""
    scheme = "https" if os.environ.get("HILUM_TLS_CERT") else "http"
    address = f"{scheme}://127.0.0.1:{os.environ.get('HILUM_PORT', '8000')}/health/ready"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(
            address, timeout=TIMEOUT_S, context=context if scheme == "https" else None
        ) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 OK
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready() else 1)
