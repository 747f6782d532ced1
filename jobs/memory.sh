#!/usr/bin/env bash
# Reproduces the memory figures: runs the experiments of configs/memory/ on this machine and prints the predicted memory
# of aggregators, the allocated memory, and the kernel's figure. `jobs/memory.sh --help` explains the options.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: jobs/memory.sh [PART ...] [--mpi openmpi|mpich] [--results DIR]

Runs the named parts, or all of them (the largest gradients need 21 GiB for 8 aggregators):
  shards       VGG-16, M = 1 to 16, and N = 4 and 64: an aggregator's memory over its shard
  surplus      memory of the MPI library's own collectives
  feasibility  the paper's models and architectures under 3,008 and 10,240 MiB
  beyond       5, 10 and 20 GiB from 20 clients
  ceiling      the largest gradient with 256 MiB for each aggregator, found by trying
  cost         the round with and without the kernel's probes

  --mpi LIBRARY   openmpi (default) or mpich, each with a build of its own
  --results DIR   directory of the results; default results/memory-TIME
  -h, --help      this text
USAGE
}

wrong() {
  printf 'jobs/memory.sh: %s (see --help)\n' "$1" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=prepare.sh
. "$here/prepare.sh"

all=(shards surplus feasibility beyond ceiling cost)
parts=()
library=openmpi
results="$GRADSHARD_ROOT/results/memory-$(date +%Y%m%d-%H%M%S)"
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --results | --mpi)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      if [ "$1" = --mpi ]; then library=$2; else results=$2; fi
      shift 2
      ;;
    *)
      printf '%s\n' "${all[@]}" | grep -qx -- "$1" || wrong "unknown part $1; the parts are ${all[*]}"
      parts+=("$1")
      shift
      ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=("${all[@]}")
case $library in
  openmpi) target="$GRADSHARD_ROOT/target" ;;
  # A build is specific to one MPI library, and cargo does not notice when MPICC changes.
  mpich) target="$GRADSHARD_ROOT/target/mpich" ;;
  *) wrong "--mpi $library: write openmpi or mpich" ;;
esac

prepare run "$library"
command -v python3 >/dev/null || wrong "python3 is needed to read the results"
python=python3
if [ -x "$GRADSHARD_ROOT/target/venv/bin/python" ]; then python="$GRADSHARD_ROOT/target/venv/bin/python"; fi
cargo build --release --locked --manifest-path "$GRADSHARD_ROOT/Cargo.toml" --target-dir "$target" >&2
gradshard="$target/release/gradshard"
mkdir -p "$results"
# for_ranks RANKS: sets Open MPI's environment for this number of ranks. MPICH needs none.
for_ranks() { if [ "$library" = openmpi ]; then openmpi_environment "$1"; fi; }
for_ranks 64

# run RANKS EXPERIMENT [NAME [OPTION...]]: runs one job and writes its result to NAME.json.
run() {
  local ranks=$1 experiment=$2 name=${3:-$2}
  shift $(($# > 3 ? 3 : $#))
  printf 'jobs/memory.sh: %s on %s ranks\n' "$name" "$ranks" >&2
  "$GRADSHARD_MPIRUN" -n "$ranks" "$gradshard" run "$GRADSHARD_ROOT/configs/memory/$experiment.json" \
    --output "$results/$name.h5" --force "$@" >"$results/$name.txt" 2>"$results/$name.log" || {
    tail -n 5 "$results/$name.log" >&2
    return 1
  }
  "$gradshard" show --format json "$results/$name.h5" >"$results/$name.json"
}

for part in "${parts[@]}"; do
  case $part in
    shards)
      for shards in 1 2 4 8 16; do run $((shards + 1)) "vgg16-shards-$shards" "vgg16-shards-$shards" --no-limits; done
      for clients in 4 64; do run 5 "vgg16-clients-$clients" "vgg16-clients-$clients" --no-limits; done
      ;;
    surplus) run 4 surplus surplus --no-limits ;;
    feasibility)
      run 9 feasibility feasibility --no-limits
      run 9 feasibility-5gib feasibility-5gib --no-limits
      ;;
    beyond) run 9 beyond-memory ;;
    ceiling)
      "$gradshard" ceiling "$GRADSHARD_ROOT/configs/memory/ceiling.json" --limit 256MiB --ranks 9 --patience 120 \
        --launch "$GRADSHARD_MPIRUN -n 9" --format json >"$results/ceiling.json"
      ;;
    cost)
      # The settings are for exactly as many ranks as cores.
      for_ranks 2
      run 2 probe-cost probe-cost --no-limits --watch alternate
      for_ranks 64
      ;;
  esac
done
"$python" "$GRADSHARD_ROOT/analysis/memory.py" "$results"
printf 'results in %s\n' "$results" >&2
