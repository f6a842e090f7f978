#!/usr/bin/env bash
# Sets the environment up (tools/set_up.sh) and runs the tests; arguments go
# to pytest. `bash tools/check.sh -m slow` runs the long ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/set_up.sh
.venv/bin/ruff check .
# Two processes on two cores: one thread each.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/python -m pytest -n "${TEST_PROCESSES:-2}" "$@"
