#!/bin/sh
# Runs gpu.py on a machine that has Python 3.12 and torch, without a network.
#
#     benchmarks/gpu.sh [--device cpu] [--quick] [--json gpu.json]
#
# Where the folder wheels/ lies beside this file (gpu_wheels.py fills it), they are unpacked first,
# without looking for what they need; PYTHON names another interpreter than python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
wheels=${WHEELS:-$here/wheels}
if [ -d "$wheels" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
        --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}"
"$python" "$here/gpu.py" "$@"
