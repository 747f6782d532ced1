#!/usr/bin/env bash
# Reproduces the performance targets: builds missing programs, runs the experiments of each row, and prints a table of
# the targets, the measured values and the verdicts. `jobs/targets.sh --help` explains the options.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: jobs/targets.sh [ROW ...] [--launches N] [--results DIR]

Runs the experiments of configs/targets/ on this machine and prints one line for each target. Without ROW, all rows:
  two-clients     2 ranks, 2 clients of 128 MiB: sharded-direct against the MPI library, and its share of the limit
  vgg16           2 ranks, 20 clients of VGG-16 (needs 11 GB of memory): share of the limit
  oversubscribed  4 ranks, 128 MiB: best sharded strategy of gradshard against the best of the MPI library
  small           4 ranks, 4 KiB and 64 KiB
  chunked         4 ranks, 512 MiB: tree-lambda-fl in chunks against whole objects
  wire-1, wire-2  4 virtual nodes of 1 and 2 ranks over 1 Gbit/s: share of the wire's limit. Needs root
  wire-1-delay, wire-2-delay
                  the same with 200 µs of latency, by a switch in user space that takes part of a core
  nodes           1, 2, 4 and 8 virtual nodes of 1 rank over 1 Gbit/s: ResNet-18 and VGG-16 against the MPI library. Needs
                  root and 12 GB of memory
  peers-resnet18, peers-vgg16
                  numpy and Flower on the same sizes, launched in turn with gradshard
  overhead        a hand-written C loop over the same windows, launched in turn with gradshard
  collectives     a C program that calls the MPI library's collectives, launched in turn with gradshard

  --launches N    launches of each program where programs are compared, and of the rows before `small`; default 3
  --results DIR   directory of the results; default results/targets-TIME. `analysis/targets.py DIR` prints the table again
  -h, --help      this text

Exit code 0: every row ran or was skipped with a reason; 1: something failed; 2: wrong usage.
Ratios of strategies are taken within one run. Keep the machine idle for the duration, about a quarter of an hour.
USAGE
}

wrong() {
  printf 'jobs/targets.sh: %s (see --help)\n' "$1" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=prepare.sh
. "$here/prepare.sh"

all=(two-clients vgg16 oversubscribed small chunked wire-1 wire-2 wire-1-delay wire-2-delay nodes peers-resnet18 peers-vgg16 overhead collectives)
rows=()
launches=3
results="$GRADSHARD_ROOT/results/targets-$(date +%Y%m%d-%H%M%S)"
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --launches | --results)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      if [ "$1" = --launches ]; then launches=$2; else results=$2; fi
      shift 2
      ;;
    -*) wrong "unknown option $1" ;;
    *)
      printf '%s\n' "${all[@]}" | grep -qx -- "$1" || wrong "unknown row $1; the rows are ${all[*]}"
      rows+=("$1")
      shift
      ;;
  esac
done
[ ${#rows[@]} -gt 0 ] || rows=("${all[@]}")
[[ $launches =~ ^[1-9][0-9]?$ ]] || wrong "--launches $launches: write a number from 1 to 99"

prepare run openmpi
command -v python3 >/dev/null || wrong "python3 is needed to read the results"
cargo build --release --locked --manifest-path "$GRADSHARD_ROOT/Cargo.toml" --target-dir "$GRADSHARD_ROOT/target" >&2
gradshard="$GRADSHARD_ROOT/target/release/gradshard"
reference="$GRADSHARD_ROOT/target/reference"
peers_python="$GRADSHARD_ROOT/target/peers-venv/bin/python"
mkdir -p "$results" "$reference"
results=$(cd "$results" && pwd)
prepare_say "results in $results"

# Each row's commands run under `if`, which disables errexit, so they return their exit codes explicitly.
result=
# launch RANKS PROGRAM...: starts the program with the settings for exactly this number of ranks, as a library that
# expects to share cores waits in a different way.
launch() (
  openmpi_environment "$1" 2>/dev/null
  exec "$GRADSHARD_MPIRUN" -n "$@"
)

# measure RANKS EXPERIMENT NAME: makes one run and writes its result to NAME.json.
measure() {
  result="$results/$3"
  launch "$1" "$gradshard" run "$GRADSHARD_ROOT/configs/targets/$2.json" --output "$result.h5" --force \
    >"$result.log" 2>&1 || {
    tail -n 5 "$result.log" >&2
    return 1
  }
  "$gradshard" show --format json "$result.h5" >"$result.json"
}

# several ROW EXPERIMENT RANKS: makes several launches, each with its own measured limits.
several() {
  local launch
  for ((launch = 1; launch <= launches; launch++)); do
    measure "$3" "$2" "$1-$launch" || return 1
  done
}

build_reference() {
  "$MPICC" -O3 -march=native -ffp-contract=off -Wall -Wextra -o "$reference/$1" \
    "$GRADSHARD_ROOT/benches/reference/$1.c"
}

# Makes a Python environment with numpy and Flower. It is made anew when its requirements change.
peers_ready() {
  local needs=(numpy flwr==1.41.0)
  if ! "$peers_python" -c 'import numpy, flwr; raise SystemExit(flwr.__version__ != "1.41.0")' 2>/dev/null; then
    prepare_say "making ${peers_python%/bin/python} with ${needs[*]}"
    rm -rf "${peers_python%/bin/python}"
    python3 -m venv "${peers_python%/bin/python}" &&
      "$peers_python" -m pip install --quiet "${needs[@]}" >&2
  fi
}

skip() {
  printf '%s\n' "$2" >"$results/$1.skipped"
  prepare_say "$1: skipped: $2"
}

# in_turn ROW EXPERIMENT RANKS OTHER...: launches gradshard and OTHER in turn. The output of OTHER goes to
# ROW-peer-K.json.
in_turn() {
  local row=$1 experiment=$2 ranks=$3 launch
  shift 3
  for ((launch = 1; launch <= launches; launch++)); do
    measure "$ranks" "$experiment" "$row-$launch" || return 1
    "$@" >"$results/$row-peer-$launch.json" || return 1
  done
}

# The other programs, which in_turn calls.
# shellcheck disable=SC2317
window_sum() { launch 2 "$reference/window_sum" "$@"; }
# shellcheck disable=SC2317
collectives() { launch 2 "$reference/collectives" "$@"; }
# Some machines set these variables for old builds of OpenBLAS. They slow a current numpy down.
# shellcheck disable=SC2317
peers() {
  "$gradshard" models "$1" --format json |
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE "$peers_python" "$GRADSHARD_ROOT/analysis/peers.py" --rounds "$2"
}

# enough_memory ROW MIB: skips the row if less memory is available.
enough_memory() {
  local free
  free=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
  [ "$free" -ge "$2" ] || {
    skip "$1" "needs $2 MiB of memory; $free MiB are available"
    return 1
  }
}

# This cluster is separate from any that the user has started.
export CLUSTER_RUN=/run/gradshard-targets
cluster="$GRADSHARD_ROOT/tests/cluster"
# wire ROW EXPERIMENT NODES RANKS-PER-NODE DELAY_US: runs the experiment on a virtual cluster.
wire() {
  local name=$2 nodes=$3 ranks=$4 delay=$5 hosts=() code=0 node
  if [ "$(id -u)" -ne 0 ]; then
    skip "$1" "virtual nodes need root"
    return 0
  fi
  RATE=1gbit DELAY_US=$delay "$cluster/up.sh" "$nodes" >&2 || {
    [ $? -eq 2 ] || return 1
    skip "$1" "the virtual nodes cannot be started here; see above"
    return 0
  }
  for ((node = 0; node < nodes; node++)); do hosts+=("node$node:$ranks"); done
  result="$results/$1"
  # The nodes may not see the result directory, but they see the repository.
  (cd "$GRADSHARD_ROOT" && timeout 900 "$cluster/nsh" node0 ". \$CLUSTER_HOME/mpi-environment.sh
    $GRADSHARD_MPIRUN --host $(IFS=, && echo "${hosts[*]}") -n $((nodes * ranks)) target/release/gradshard run configs/targets/$name.json --output target/$1.h5 --force") \
    >"$result.log" 2>&1 || code=$?
  "$cluster/down.sh" >&2
  if [ "$code" -ne 0 ]; then
    tail -n 5 "$result.log" >&2
    return 1
  fi
  mv "$GRADSHARD_ROOT/target/$1.h5" "$result.h5"
  "$gradshard" show --format json "$result.h5" >"$result.json"
}
trap '[ "$(id -u)" -ne 0 ] || "$cluster/down.sh" >/dev/null 2>&1' EXIT
trap 'exit 130' INT TERM

run_row() {
  case $1 in
    two-clients) several "$1" two-clients-128mib 2 ;;
    vgg16) ! enough_memory "$1" 12000 || several "$1" vgg16-20 2 ;;
    oversubscribed) several "$1" oversubscribed-128mib 4 ;;
    small) measure 4 small-gradients "$1" ;;
    chunked) ! enough_memory "$1" 6000 || measure 4 chunked-tree-512mib "$1" ;;
    wire-1) wire "$1" wire-1-per-node 4 1 0 ;;
    wire-2) wire "$1" wire-2-per-node 4 2 0 ;;
    wire-1-delay) wire "$1" wire-1-per-node 4 1 200 ;;
    wire-2-delay) wire "$1" wire-2-per-node 4 2 200 ;;
    nodes)
      if enough_memory "$1" 12000; then
        wire "$1" wire-nodes 8 1 0 || return 1
        [ ! -e "$result.h5" ] || "$gradshard" show --scaling "$result.h5" >"$result-scaling.txt"
      fi
      ;;
    peers-resnet18) peers_ready && in_turn "$1" resnet18-20 2 peers resnet18 10 ;;
    peers-vgg16) ! enough_memory "$1" 13000 || { peers_ready && in_turn "$1" vgg16-20 2 peers vgg16 3; } ;;
    overhead)
      build_reference window_sum &&
        in_turn overhead-128mib sum-128mib 2 window_sum 33554432 2 20 &&
        in_turn overhead-resnet18 resnet18-20 2 window_sum 11181642 20 30
      ;;
    collectives) build_reference collectives && in_turn "$1" collectives-128mib 2 collectives 33554432 10 ;;
  esac
}

code=0
for row in "${rows[@]}"; do
  began=$SECONDS
  rm -f "$results/$row.failed" "$results/$row.skipped"
  if run_row "$row"; then
    prepare_say "$row: done in $((SECONDS - began)) s"
  else
    echo "its run failed; see the logs beside this file" >"$results/$row.failed"
    prepare_say "$row: FAILED"
    code=1
  fi
done
python3 "$GRADSHARD_ROOT/analysis/targets.py" "$results" || code=1
exit "$code"
