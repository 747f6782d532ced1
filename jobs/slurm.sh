# shellcheck shell=bash
# Functions that the Slurm scripts share. They find the program, load modules, choose the launcher, print the command,
# and after a failure name the lost nodes. *.sbatch source this file inside an allocation.
#
# Settings, all optional, as environment variables (sbatch passes them on):
#   GRADSHARD          the program; default target/release/gradshard of the repository
#   MODULES            modules to load, between blanks, such as "openmpi hdf5 hwloc"
#   MODULES_PURGE      1: unload all other modules first
#   LAUNCH             auto (default), pmix, pmi2, another name of `srun --mpi=list`, or mpirun (the library's own)
#   RANKS_PER_NODE     default: what --ntasks-per-node gave
#   RESULTS            where result files go; default: the directory that sbatch was called in
#   OUTPUT             the result file; default: in RESULTS, named by the experiment and the number of the job
#   SRUN_OPTIONS       more options for srun, between blanks, such as "--cpu-bind=cores"

slurm_say() { printf '%s\n' "gradshard job: $*" >&2; }
slurm_wrong() {
  slurm_say "$*"
  exit 2
}

# Prints a command in a form that can be typed, and runs it.
slurm_run() {
  { printf '+' && printf ' %q' "$@" && echo; } >&2
  "$@"
}

# Prints the MPI library that a program is linked with: openmpi or mpich (also for libraries with MPICH's interface).
slurm_library() {
  case $(ldd "$1" 2>/dev/null) in
    *libmpich* | *libmpi.so.12* | *libmpi_cray*) echo mpich ;;
    *) echo openmpi ;;
  esac
}

# slurm_begin SCRIPT: prepares the first run.
slurm_begin() {
  local module where
  [ -n "${SLURM_JOB_ID:-}" ] || slurm_wrong "$1 runs inside a job: sbatch $1 ..., or jobs/submit.sh; without Slurm, jobs/local.sh"
  if [ -n "${MODULES:-}" ]; then
    if ! command -v module >/dev/null 2>&1; then
      for where in "${LMOD_PKG:-/nonexistent}/init/bash" "${MODULESHOME:-/nonexistent}/init/bash" \
        /etc/profile.d/lmod.sh /etc/profile.d/modules.sh /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
        # shellcheck disable=SC1090 # whatever the site has
        if [ -r "$where" ]; then . "$where" && break; fi
      done
    fi
    command -v module >/dev/null 2>&1 || slurm_wrong "MODULES=\"$MODULES\", but there is no module command on $(hostname)"
    if [ "${MODULES_PURGE:-0}" = 1 ]; then module purge; fi
    for module in $MODULES; do
      module load "$module" || slurm_wrong "module load $module failed"
    done
  fi
  gradshard=${GRADSHARD:-$GRADSHARD_ROOT/target/release/gradshard}
  [ -x "$gradshard" ] || slurm_wrong "$gradshard does not exist; build it on a node like this one (cargo build --release), or set GRADSHARD"
  library=$(slurm_library "$gradshard")
  nodes=${SLURM_JOB_NUM_NODES:?}
  ranks_per_node=${RANKS_PER_NODE:-${SLURM_NTASKS_PER_NODE:-}}
  [ -n "$ranks_per_node" ] || slurm_wrong "set --ntasks-per-node; without it the ranks are spread unevenly over the nodes"
  slurm_launcher
  slurm_say "$1, job $SLURM_JOB_ID${SLURM_ARRAY_TASK_ID:+, task $SLURM_ARRAY_TASK_ID}, $nodes node(s) $SLURM_JOB_NODELIST, $ranks_per_node rank(s) a node"
  slurm_say "program $gradshard ($library), started by ${LAUNCH_WITH[*]}${MODULES:+, modules $MODULES}"
}

# Sets LAUNCH_WITH, the launch command up to -N or -n.
slurm_launcher() {
  local known words=()
  read -r -a words <<<"${SRUN_OPTIONS:-}"
  known=$(srun --mpi=list 2>&1 || true)
  local how=${LAUNCH:-auto}
  if [ "$how" = auto ]; then
    how=mpirun
    case $library in
      openmpi) if grep -qw pmix <<<"$known"; then how=pmix; fi ;;
      # With PMI2 of Slurm 22.05, MPI_Finalize of MPICH 4.0.2 sometimes hangs, in plain C programs too (gradshard then
      # ends after half a minute). So the default is MPICH's own launcher, which starts its daemons by srun.
      mpich) if ! command -v mpiexec.mpich mpiexec >/dev/null && grep -qw pmi2 <<<"$known"; then how=pmi2; fi ;;
    esac
  fi
  if [ "$how" = mpirun ]; then
    local program
    case $library in
      openmpi) program=$(command -v mpirun.openmpi || command -v mpirun) || slurm_wrong "LAUNCH=mpirun, but there is no mpirun" ;;
      mpich) program=$(command -v mpiexec.mpich || command -v mpiexec) || slurm_wrong "LAUNCH=mpirun, but there is no mpiexec" ;;
    esac
    LAUNCH_WITH=("$program")
    return
  fi
  grep -qw -- "$how" <<<"$known" || slurm_wrong "LAUNCH=$how is not available here; choose one of $(tr '\n' ' ' <<<"$known")"
  # A rank that dies ends the step. Otherwise the other ranks would wait until the time limit.
  LAUNCH_WITH=(srun "--mpi=$how" --kill-on-bad-exit=1 "${words[@]}")
  # PMIx's default fence sometimes crashed MPI_Init of Open MPI 4.1.4.
  export SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-ring}
}

# slurm_launch NODES: sets LAUNCH_COMMAND, which starts ranks_per_node ranks on each of the first NODES nodes.
# shellcheck disable=SC2034 # the scripts use it
slurm_launch() {
  local count=$1 ranks hosts=()
  ranks=$((count * ranks_per_node))
  case ${LAUNCH_WITH[0]} in
    srun) LAUNCH_COMMAND=("${LAUNCH_WITH[@]}" -N "$count" -n "$ranks" "--ntasks-per-node=$ranks_per_node") ;;
    *)
      mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n "$count")
      if [ "$library" = mpich ]; then
        LAUNCH_COMMAND=("${LAUNCH_WITH[@]}" -n "$ranks" -ppn "$ranks_per_node" -hosts "$(IFS=,; echo "${hosts[*]}")")
      else
        LAUNCH_COMMAND=("${LAUNCH_WITH[@]}" -n "$ranks" --host "$(IFS=,; echo "${hosts[*]/%/:$ranks_per_node}")")
      fi
      ;;
  esac
}

# slurm_experiment FILE: refuses a file that does not exist; sets `name` and `output`.
slurm_experiment() {
  [ -f "$1" ] || slurm_wrong "$1: there is no such experiment file on $(hostname)"
  name=$(basename "$1" .json)
  local results=${RESULTS:-$SLURM_SUBMIT_DIR}
  mkdir -p "$results"
  output=${OUTPUT:-$results/$name-$SLURM_JOB_ID.h5}
}

# slurm_lost_nodes: names the nodes of the job that do not answer. Slurm notices a lost node after SlurmdTimeout.
slurm_lost_nodes() {
  local lost
  lost=$(sinfo -h -N -n "$SLURM_JOB_NODELIST" -o '%N %T' 2>/dev/null | sort -u |
    awk '$2 ~ /down|\*$|fail|unknown|not_responding/ { print $1 " (" $2 ")" }')
  if [ -n "$lost" ]; then slurm_say "lost nodes: $(paste -sd' ' <<<"$lost")"; fi
}

# slurm_ended CODE: reports the outcome of a run.
slurm_ended() {
  local code=$1
  [ "$code" -ne 0 ] || return 0
  slurm_say "ended with exit code $code"
  slurm_lost_nodes
  if [ -s "$output" ]; then
    slurm_say "the finished cells are in $output; the same job with OUTPUT=$output and --resume measures the rest"
  fi
}
