#!/usr/bin/env bash
# Sets the environment up (tools/set_up.sh) and runs the tests; arguments go
# to pytest. `bash tools/check.sh -m slow` runs the long ones; with `--stack
# NAME` in front, the versions of requirements/stacks/NAME.txt are tested.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --stack ]; then
  bash tools/set_up.sh --stack "${2:-}"
  venv=$PWD/.venv-$2
  shift 2
else
  bash tools/set_up.sh
  venv=$PWD/.venv
  "$venv/bin/ruff" check .
fi
# Two processes on two cores: one thread each.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$venv/bin/python" -m pytest -n "${TEST_PROCESSES:-2}" "$@"
