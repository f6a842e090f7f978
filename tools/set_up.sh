#!/usr/bin/env bash
# Makes .venv with the pinned stack and mmdense in it. Nothing is compiled but
# mmdense's own CPU kernels, where there is a C++ compiler. Run it again at
# will: finished steps are skipped, a stopped one is taken up where it stopped.
#
#   --stack NAME     .venv-NAME instead, with the versions that
#                    requirements/stacks/NAME.txt puts in place of the pinned
#                    ones; its first lines may name its Python and mmcv
#
#   PYTHON           the Python to use (default: 3.12 where it is found, else
#                    3.13, 3.11 or 3.10)
#   MMDENSE_MMCV     `compiled`: mmcv with its own operators, in place of
#                    mmcv-lite with those of requirements/mmcv_ops
#   MMDENSE_WHEELS   an extra folder of wheels, searched for the compiled mmcv
#                    as <folder>/torch-<version>/mmcv-*.whl
#   MAX_JOBS         compilers at a time (default: the number of cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STACK=
if [ "${1:-}" = --stack ]; then
  STACK=${2:-}
  if [ ! -e "requirements/stacks/$STACK.txt" ]; then
    echo "set_up.sh: stack must be one of $(cd requirements/stacks &&
      echo *.txt | sed 's/\.txt//g'), got '$STACK'" >&2
    exit 2
  fi
fi
VENV=$PWD/.venv${STACK:+-$STACK}
PINS=$VENV/constraints.txt
LOG=$VENV/set_up.log
DONE=$VENV/steps
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mmdense/wheels
STEPS=6
# What the finished environment takes, and a build of mmcv, in MiB.
DISK_NEEDED=9000

fail() {
  printf 'set-up failed: %s\n' "$1" >&2
  exit 1
}

trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

stack_line() { # what the stack says of itself in a line `# NAME: VALUE`
  [ -z "$STACK" ] ||
    sed -n "s/^# $1: //p" "requirements/stacks/$STACK.txt"
}

PYTHONS=$(stack_line python)
PYTHONS=${PYTHONS:-3.12 3.13 3.11 3.10}
MMCV_KIND=${MMDENSE_MMCV:-$(stack_line mmcv)}
MMCV_KIND=${MMCV_KIND:-lite}
case $MMCV_KIND in
lite | compiled) ;;
*) fail "MMDENSE_MMCV must be lite or compiled, got '$MMCV_KIND'" ;;
esac

version_of() { # a package's pin
  sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$PINS"
}

pins() { # the pinned versions, a stack's in place of their own
  if [ -z "$STACK" ]; then
    cat requirements/constraints.txt
    return
  fi
  awk -F== 'FILENAME == ARGV[1] { if (!/^#/) { own[$1]; print }; next }
    !($1 in own)' "requirements/stacks/$STACK.txt" \
    requirements/constraints.txt
}

hosts() { # the mm packages, a stack's forks in place of the originals
  local name
  for name in $(sed '/^#/d' requirements/mm.txt); do
    [ -n "$(version_of "onedl-${name/%mmdet/mmdetection}")" ] || echo "$name"
  done
  # The forks, and what a stack has beyond the pinned packages.
  [ -z "$STACK" ] || awk -F== '/^#/ { next }
    FILENAME == ARGV[1] { pinned[$1]; next }
    !($1 in pinned) { print $1 }' requirements/constraints.txt \
    "requirements/stacks/$STACK.txt"
}

python_is() { # whether a Python is one of these versions
  "$1" -c 'import sys
sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])' "${@:2}" \
    2>/dev/null
}

find_python() {
  local candidate candidates version
  if [ -n "${PYTHON:-}" ]; then
    candidates=$PYTHON
  else
    # What was made with another Python that does stays as it is.
    [ ! -e "$DONE" ] || candidates=$VENV/bin/python
    for version in $PYTHONS; do
      candidates+=" python$version $(compgen -G \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version.*/bin/python" || true)"
    done
    candidates+=' python3 python'
  fi
  for candidate in $candidates; do
    # shellcheck disable=SC2086
    if python_is "$candidate" $PYTHONS; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python must be ${PYTHONS// / or }, got $("${PYTHON:-python3}" \
    --version 2>&1 | tail -n 1): install one, or name it with\
 PYTHON=/path/to/python3.12 (3.14: mmengine 0.10.7 calls pkgutil.find_loader,\
 which is gone)"
}

# Reads the end of the log and says in one line what went wrong.
explain() {
  local step=$1 tail
  tail=$(tail -n 200 "$LOG")
  if grep -q 'No space left on device' <<<"$tail"; then
    fail "$step: the disk is full; free about $DISK_NEEDED MiB and run again"
  elif grep -qE 'NewConnectionError|ConnectTimeout|Read timed out|Temporary failure in name resolution|Name or service not known|ConnectionError|Network is unreachable|ProxyError' <<<"$tail"; then
    fail "$step: the package index cannot be reached; check the network\
 (or pip's index and proxy settings) and run again"
  elif grep -qE 'No matching distribution found' <<<"$tail"; then
    fail "$step: $(grep -m1 'No matching distribution found' <<<"$tail" |
      sed 's/^ERROR: //'); the package index lacks the pinned version"
  elif grep -qE "(gcc|g\+\+|c\+\+).*(not found|No such file)|command '.*(gcc|g\+\+|c\+\+)' failed: No such file" <<<"$tail"; then
    fail "$step: no C++ compiler; install one (Debian: apt install g++)"
  else
    fail "$step: $({ grep -iE 'error' <<<"$tail" || cat <<<"$tail"; } |
      tail -n 1 | cut -c1-200) (the whole log: $LOG)"
  fi
}

# stamp NAME KEY: the file that says step NAME has succeeded for this KEY.
stamp() {
  echo "$DONE/$1.$(cksum <<<"$2" | cut -d' ' -f1)"
}

# step NUMBER NAME KEY WHAT COMMAND...: runs COMMAND unless it has succeeded
# for this KEY; shows a line a minute while it works.
step() {
  local number=$1 name=$2 key=$3 what=$4 start=$SECONDS pid code=0
  shift 4
  [ -e "$(stamp "$name" "$key")" ] && return
  printf '[%s/%s] %s\n' "$number" "$STEPS" "$what"
  printf '\n=== %s ===\n' "$name" >>"$LOG"
  "$@" >>"$LOG" 2>&1 &
  pid=$!
  trap 'kill $pid 2>/dev/null; exit 130' INT TERM
  while kill -0 $pid 2>/dev/null; do
    sleep 1
    if (((SECONDS - start) % 60 == 59)); then
      printf '      %d min, %s\n' $(((SECONDS - start + 1) / 60)) \
        "$(progress)"
      sleep 1
    fi
  done
  wait $pid || code=$?
  trap - INT TERM
  [ $code -eq 0 ] || explain "$name"
  rm -f "$DONE/$name".*
  touch "$(stamp "$name" "$key")"
}

progress() {
  tail -n 50 "$LOG" | grep -oE '^\[[0-9]+/[0-9]+\]' | tail -n 1 |
    sed 's/.*/& files compiled/' | grep . || echo working
}

pip() { # --no-compile: most of what is installed is never imported
  "$VENV/bin/python" -m pip --disable-pip-version-check install --no-compile \
    -c "$PINS" "$@"
}

remove() {
  "$VENV/bin/python" -m pip --disable-pip-version-check uninstall -y "$@"
}

has_cuda() {
  command -v nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1
}

has_compiler() {
  command -v "${CXX:-c++}" >/dev/null
}

# An mmcv wheel is right for one torch, one Python, one platform only, and
# nothing in its name says which torch: hence the folders' names.
mmcv_wheel() {
  find "$1" -maxdepth 1 -name "mmcv-$MMCV-$TAG-*$(uname -m).whl" \
    2>/dev/null | head -n 1 || true
}

# compile_mmcv CUDA FOLDER: leaves the wheel in FOLDER. The build tree stays
# until then, so that a stopped compilation goes on where it was.
compile_mmcv() {
  local build=$2.build
  mkdir -p "$build"
  if [ ! -e "$build/src/setup.py" ]; then
    # pip's own cache would hand over a wheel built against another torch.
    "$VENV/bin/python" -m pip download --no-deps --no-build-isolation \
      --no-cache-dir --no-binary mmcv --dest "$build" "mmcv==$MMCV"
    mkdir -p "$build/src.part"
    tar -xf "$build/mmcv-$MMCV".tar.gz -C "$build/src.part" \
      --strip-components=1
    mv "$build/src.part" "$build/src"
  fi
  (
    cd "$build/src"
    # CFLAGS replaces Python's own flags, -O3 among them.
    MMCV_WITH_OPS=1 FORCE_CUDA=$1 CFLAGS="-O3 -DNDEBUG -g0" \
      MAX_JOBS=${MAX_JOBS:-$(nproc)} PATH=$VENV/bin:$PATH \
      "$VENV/bin/python" setup.py bdist_wheel --dist-dir "$2.part"
  )
  rm -rf "$2"
  mv "$2.part" "$2"
  rm -rf "$build"
}

# Both kinds of mmcv write into one folder: the other goes first.
install_compiled_mmcv() {
  remove mmcv-lite mmcv-ops-torchvision
  # --no-deps: a wheel is reinstalled even where the version is the same.
  pip --no-deps --no-cache-dir --force-reinstall "$1"
}

install_lite_mmcv() {
  remove mmcv
  pip --no-deps --no-build-isolation mmcv-lite ./requirements/mmcv_ops
}

has_xtcocotools() {
  "$VENV/bin/python" -c 'import xtcocotools._mask' 2>/dev/null
}

install_xtcocotools() {
  if [ "$MMCV_KIND" = compiled ] && ! python_is "$VENV/bin/python" 3.13; then
    # Its wheels are built for numpy 1.
    pip --no-binary xtcocotools --no-build-isolation --no-cache-dir xtcocotools
  elif ! has_xtcocotools; then
    pip --no-deps --no-build-isolation ./requirements/xtcocotools
  fi
}

install_mmdense() {
  PATH=$VENV/bin:$PATH "$VENV/bin/python" -m pip \
    --disable-pip-version-check install --no-deps --no-build-isolation \
    --no-cache-dir -v -e .
}

content_of() { # of the files below a folder
  find "$1" -type f \( -name '*.py' -o -name '*.toml' \) -print0 | sort -z |
    xargs -0 cat
}

python=$(find_python) || exit 1
TAG=cp$("$python" -c 'import sys; print("%d%d" % sys.version_info[:2])')
free=$(df -Pm . | awk 'NR == 2 { print $4 }')
if [ ! -e "$DONE" ] && [ "$free" -lt "$DISK_NEEDED" ]; then
  fail "only $free MiB free here, the environment takes about $DISK_NEEDED"
fi
if [ ! -e "$DONE" ] ||
    ! python_is "$VENV/bin/python" "${TAG:2:1}.${TAG:3}"; then
  rm -rf "$VENV"
  "$python" -m venv "$VENV" ||
    fail "$python -m venv failed (Debian: apt install python3-venv)"
  mkdir -p "$DONE"
fi

pins >"$PINS"
TORCH=$(version_of torch) MMCV=$(version_of mmcv)
pins=$(cat requirements/*.txt "$PINS")

step 1 torch "$TORCH $(version_of torchvision)" \
  "torch $TORCH with torchvision $(version_of torchvision) (1 to 5 min)" \
  pip torch torchvision
step 2 packages "$pins" \
  'build tools, what the hosts import, tests, export (1 min)' \
  pip torch torchvision setuptools wheel Cython ninja \
  -r requirements/runtime.txt -r requirements/hosts.txt \
  -r requirements/tests.txt -r requirements/export.txt

if [ "$MMCV_KIND" = lite ]; then
  step 3 mmcv "lite $(version_of mmcv-lite) $(content_of \
    requirements/mmcv_ops)" 'mmcv-lite with its operators by torchvision' \
    install_lite_mmcv
else
  if has_cuda; then
    cuda=1 built_for=cuda$(nvcc --version |
      sed -n 's/.*release \([0-9.]*\).*/\1/p')
  else
    cuda=0 built_for=cpu
  fi
  cached=$CACHE/torch-$TORCH-$built_for-$TAG-mmcv-$MMCV
  if [ ! -e "$(stamp mmcv "$TORCH $MMCV $built_for")" ]; then
    wheel=$(mmcv_wheel "$cached")
    if [ -z "$wheel" ] && [ $cuda -eq 0 ] && [ -n "${MMDENSE_WHEELS:-}" ]; then
      wheel=$(mmcv_wheel "$MMDENSE_WHEELS/torch-$TORCH")
    fi
    if [ -z "$wheel" ]; then
      [ "$TAG" != cp313 ] ||
        fail "mmcv $MMCV must be compiled on Python 3.12 or older, its setup.py\
 fails on 3.13"
      has_compiler ||
        fail "mmcv must be compiled and there is no C++ compiler; install one\
 (Debian: apt install g++)"
      rm -f "$DONE"/mmcv-wheel.*
      step 3 mmcv-wheel "$cached" \
        "no mmcv $MMCV wheel for torch $TORCH: compiling it for $built_for,\
 once (20 to 35 min on 2 cores; the wheel is kept in $CACHE)" \
        compile_mmcv $cuda "$cached"
      wheel=$(mmcv_wheel "$cached")
    fi
    step 3 mmcv "$TORCH $MMCV $built_for" "mmcv from $wheel" \
      install_compiled_mmcv "$wheel"
  fi
fi

# shellcheck disable=SC2046
step 4 hosts "$pins" 'mmengine, mmdet, mmsegmentation, mmpose, mim' \
  pip --no-deps $(hosts)
step 5 xtcocotools "$pins $MMCV_KIND $(content_of requirements/xtcocotools)" \
  'xtcocotools' install_xtcocotools
if has_compiler; then
  kernels='with its CPU kernels (1 to 2 min)'
else
  kernels='without its CPU kernels: no C++ compiler, plain PyTorch computes'
fi
step 6 mmdense "$PWD $TORCH $kernels $(cat setup.py pyproject.toml
  find mmdense/ops -name '*.cpp' -exec cat {} +)" \
  "mmdense, editable, $kernels" install_mmdense
printf '%s is ready after %d min %d s\n' "${VENV#"$PWD"/}" $((SECONDS / 60)) \
  $((SECONDS % 60))
