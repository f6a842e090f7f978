#!/usr/bin/env bash
# From nothing to a trained network: sets the environment up, draws synthetic
# people, trains a small FlatteNet on them with the host's own runner, tests it
# on held-out people, and leaves picture and metric in work_dirs/quickstart/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CONFIG=configs/mmpose/flattenet/td-hm_flattenet-res18_quick_synthetic-128x96.py
OUT=work_dirs/quickstart
DATA=data/synthetic/pose

bash tools/set_up.sh
export PATH=$PWD/.venv/bin:$PATH

python tools/make_data.py pose $DATA --train 2000 --val 300 --size 192 144 \
  --difficulty easy

# metric CHECKPOINT NAME [OPTION...]: tests, prints PCK at 0.2 and 0.1 in
# percent.
metric() {
  local checkpoint=$1 name=$2
  shift 2
  mim test mmpose $CONFIG -C "$checkpoint" --work-dir "$OUT/$name" \
    --out "$OUT/$name.json" "$@" >"$OUT/$name.log" 2>&1 || {
    tail -n 20 "$OUT/$name.log" >&2
    echo "quick start failed: mim test, log in $OUT/$name.log" >&2
    return 1
  }
  python -c "
import json
result = json.load(open('$OUT/$name.json'))
print(*(f'{100 * result[key]:8.1f}' for key in ('PCK', '0.1/PCK')))"
}

start=$SECONDS
mkdir -p $OUT
echo "training (about 4 min on 2 cores; the log is below)"
mim train mmpose $CONFIG --work-dir $OUT
echo "testing the untrained and the trained network on held-out people"
python tools/untrained_checkpoint.py $CONFIG $OUT/untrained.pth
before=$(metric $OUT/untrained.pth test_untrained)
rm -rf $OUT/test_trained
after=$(metric "$(cat $OUT/last_checkpoint)" test_trained \
  --show-dir predictions --interval 10)
python tools/montage.py $OUT/test_trained $OUT/predictions.png
{
  echo "Share of joints (%) within 0.2 and 0.1 of the box's longer side,"
  echo "held-out synthetic people:  PCK@0.2  PCK@0.1"
  echo "  untrained                $before"
  echo "  trained                  $after"
} | tee $OUT/metric.txt
echo "training and test took $(((SECONDS - start) / 60)) min\
 $(((SECONDS - start) % 60)) s; see $OUT/predictions.png"
