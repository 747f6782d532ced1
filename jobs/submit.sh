#!/usr/bin/env bash
# Submits an experiment to Slurm for one or several numbers of nodes. `jobs/submit.sh --help` explains the options.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: jobs/submit.sh EXPERIMENT.json [--nodes K,K...] [--ranks-per-node R] [OPTION ...] [-- OPTIONS OF gradshard run]

Submits the experiment and prints the numbers of the jobs. With several numbers of nodes one job of the largest number
measures all of them on its first nodes, and writes one file; with --separate each is a job of its own, and one more job
merges their files.

  --nodes K,K,...       numbers of nodes, such as 1,2,4,8; default 1
  --ranks-per-node R    ranks on each node; default 1
  --separate            a job for each number of nodes, then one that merges
  --requeue             a job that queues itself again before its time limit and then continues (one number of nodes, or
                        a sweep that the experiment names)
  --launch HOW          auto (default), pmix, pmi2 or another of `srun --mpi=list`, or mpirun
  --module NAME         a module to load; may be given several times
  --time LIMIT          time limit of each job, as sbatch writes it; default 00:30:00
  --cpus-per-rank C     cores of each rank
  --memory SIZE         memory of each node, as sbatch --mem writes it
  --partition P, --account A, --qos Q
  --sbatch OPTION       another option for sbatch, such as --sbatch=--exclusive; may be given several times
  --results DIR         directory of result files and logs; default results/ of the repository
  --wait                wait until the jobs have ended; the exit code is that of the first job that failed
  --print               show the commands and scripts, and submit nothing
  -h, --help            this text

Exit code 2: wrong input, or there is no Slurm on this machine.
USAGE
}

wrong() {
  printf 'jobs/submit.sh: %s (see --help)\n' "$1" >&2
  exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
experiment=
counts=1
ranks=1
separate=no
requeue=no
launch=auto
modules=()
limit=00:30:00
options=()
results="$root/results"
waits=no
print=no
while [ $# -gt 0 ]; do
  # Treats --option=value as --option value.
  case $1 in
    --sbatch=* | --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
  esac
  case $1 in
    --nodes | --ranks-per-node | --launch | --module | --time | --cpus-per-rank | --memory | --partition | --account | --qos | \
      --sbatch | --results) [ $# -ge 2 ] || wrong "$1 needs a value" ;;
  esac
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --separate) separate=yes ;;
    --requeue) requeue=yes ;;
    --wait) waits=yes ;;
    --print) print=yes ;;
    --nodes) counts=$2 ;;
    --ranks-per-node) ranks=$2 ;;
    --launch) launch=$2 ;;
    --module) modules+=("$2") ;;
    --time) limit=$2 ;;
    --cpus-per-rank) options+=("--cpus-per-task=$2") ;;
    --memory) options+=("--mem=$2") ;;
    --partition | --account | --qos) options+=("$1=$2") ;;
    --sbatch) options+=("$2") ;;
    --results) results=$2 ;;
    --)
      shift
      break
      ;;
    -*) wrong "unknown option $1" ;;
    *)
      [ -z "$experiment" ] || wrong "name only one experiment, not both $experiment and $1"
      experiment=$1
      ;;
  esac
  case $1 in
    --nodes | --ranks-per-node | --launch | --module | --time | --cpus-per-rank | --memory | --partition | --account | --qos | \
      --sbatch | --results) shift ;;
  esac
  shift
done
# All further arguments are passed to `gradshard run`.

[ -n "$experiment" ] || wrong "name an experiment file, such as configs/resnet18.json"
[ -f "$experiment" ] || wrong "$experiment: there is no such file"
[[ $counts =~ ^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*$ ]] || wrong "--nodes $counts: write numbers from 1 between commas"
[[ $ranks =~ ^[1-9][0-9]{0,4}$ ]] || wrong "--ranks-per-node $ranks: write a number from 1"
IFS=, read -r -a list <<<"$counts"
most=0
for count in "${list[@]}"; do if [ "$count" -gt "$most" ]; then most=$count; fi; done
[ "$(printf '%s\n' "${list[@]}" | sort -u | wc -l)" -eq ${#list[@]} ] || wrong "--nodes $counts: write each number only once"
if [ "$requeue" = yes ] && [ "$separate" = yes ]; then wrong "--requeue and --separate cannot be combined"; fi
if [ "$print" = no ] && ! command -v sbatch >/dev/null 2>&1; then
  printf 'jobs/submit.sh: there is no sbatch here: jobs/local.sh %s runs it on this machine\n' "$experiment" >&2
  exit 2
fi

experiment=$(cd "$(dirname "$experiment")" && pwd)/$(basename "$experiment")
name=$(basename "$experiment" .json)
# Two submissions within the same second must not write the same file.
stamp=$(date +%Y%m%d-%H%M%S)-$$
if [ "$print" = no ]; then mkdir -p "$results"; fi
case $results in /*) ;; *) results=$PWD/$results ;; esac

export GRADSHARD_ROOT="$root" RESULTS="$results" LAUNCH="$launch" MODULES="${modules[*]}"
# job NODES SCRIPT OUTPUT ARGUMENT...: submits the script, or prints it. Sets `number`.
number=
numbers=()
submitted=0
job() {
  local count=$1 script=$2 arguments=("${@:4}")
  export OUTPUT=$3
  local command=(sbatch --parsable "--nodes=$count" "--ntasks-per-node=$ranks" "--time=$limit" "--job-name=gradshard-$name"
    "--output=$results/$name-%j.log" "${options[@]}" "${dependency[@]}" "$root/jobs/$script" "${arguments[@]}")
  if [ "$print" = yes ]; then
    printf '%q ' env "GRADSHARD_ROOT=$GRADSHARD_ROOT" "RESULTS=$RESULTS" "LAUNCH=$LAUNCH" "MODULES=$MODULES" "OUTPUT=$OUTPUT" "${command[@]}"
    printf '\n\n# %s\n' "jobs/$script"
    cat "$root/jobs/$script"
    echo
    submitted=$((submitted + 1))
    number=JOB$submitted
  else
    number=$(cd "$root" && "${command[@]}")
    number=${number%%;*}
    printf '%s\n' "$number"
    printf 'jobs/submit.sh: job %s: jobs/%s on %s node(s), %s rank(s) a node: %s\n' \
      "$number" "$script" "$count" "$ranks" "$OUTPUT" >&2
  fi
  numbers+=("$number")
}

dependency=()
if [ "$separate" = yes ]; then
  files=()
  for count in "${list[@]}"; do
    files+=("$results/$name-$stamp-$count-nodes.h5")
    job "$count" run.sbatch "${files[-1]}" "$experiment" "$@"
  done
  # If one job fails, the results of the others are merged nevertheless.
  dependency=("--dependency=afterany:$(IFS=: && echo "${numbers[*]}")")
  ranks=1 job 1 merge.sbatch "$results/$name-$stamp.h5" "$results/$name-$stamp.h5" "${files[@]}"
else
  script=run.sbatch
  arguments=("$experiment" "$@")
  if [ ${#list[@]} -gt 1 ]; then
    script=sweep.sbatch
    export COUNTS="$counts"
  fi
  if [ "$requeue" = yes ]; then
    script=requeue.sbatch
    if [ ${#list[@]} -gt 1 ]; then arguments+=(--nodes "$counts"); fi
  fi
  job "$most" "$script" "$results/$name-$stamp.h5" "${arguments[@]}"
fi

if [ "$waits" = yes ] && [ "$print" = no ]; then
  code=0
  for number in "${numbers[@]}"; do
    while state=$(squeue -h -j "$number" -o %T 2>/dev/null) && [[ $state =~ ^[A-Z] ]]; do sleep 1; done
    ended=$(scontrol show job "$number" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
    printf 'jobs/submit.sh: job %s: %s\n' "$number" "${ended:-forgotten by Slurm: see its log}" >&2
    if [ "$ended" != COMPLETED ]; then code=1; fi
  done
  exit "$code"
fi
