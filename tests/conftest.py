"""What every test may count on: nothing asks the network, Ray needs no token, plots need no screen."""

from __future__ import annotations

import os

os.environ.update(
    HF_HUB_OFFLINE="1",  # without it every look-up of a model retries for minutes
    MPLBACKEND="Agg",
    RAY_AUTH_MODE="disabled",  # on by default since Ray 2.59, and refuses a cluster of this very test
    RAY_USAGE_STATS_ENABLED="0",
    TOKENIZERS_PARALLELISM="false",
)
