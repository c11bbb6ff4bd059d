"""How Hypothesis tries its examples, for the whole suite."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine is no fault of the product. The dice fall alike in every run, unless a number of examples is given:
# that is a search for what nobody has seen yet.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="SEALIFT_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
