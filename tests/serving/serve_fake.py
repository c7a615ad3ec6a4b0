"""`hilum` with the fake engine in place of the real one: python -m tests.serving.serve_fake serve --demo

The patch is at import, so that worker processes, which import this file anew, have it too.
"""

import os

from hilum.inference import engine
from tests.serving.fake_engine import FakeEngine

engine.Engine = FakeEngine  # type: ignore[misc,assignment]
FakeEngine.slow_s = float(os.environ.get("FAKE_SLOW_S", "1"))

if __name__ == "__main__":
    from hilum.cli.main import main

    main()
