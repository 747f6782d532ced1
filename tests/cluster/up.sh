#!/usr/bin/env bash
# Starts the virtual cluster. `up.sh --help` explains the settings; README.md describes the cluster.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: [SETTING=VALUE ...] tests/cluster/up.sh [NODES]

Starts a virtual cluster of 2 to 32 nodes on this machine (default 4): head, node0, node1, ... It replaces a cluster
in the same run directory. Run commands on a node with tests/cluster/nsh; end the cluster with tests/cluster/down.sh.

settings (environment variables):
  RATE=1gbit       rate of each node's link in each direction, as tc writes it; default: no limit
  DELAY_US=200     one-way latency of the network in microseconds; default 0. Needs NET=tap
  NET=bridge       bridge: the kernel's bridge, with tbf for the rate. tap: a switch in user space, which has latency.
                   Default: tap with DELAY_US, else bridge
  RACKS=4          nodes are in so many racks of consecutive nodes, each a bridge of its own; a core bridge joins them.
                   If NODES is not a multiple, the last racks are one node smaller. Default 1. Needs NET=bridge
  UPLINK=25mbit    rate of each rack's link to the core, in each direction; default: no limit. Needs RACKS above 1
  SLURM=1          a real slurmctld on head and a real slurmd on each node; default 0
  CPUS=4 MEM=2000  cores and MiB of each node in the configuration of Slurm
  CGROUP=1         Slurm limits jobs by control groups, so that it enforces --mem; default 0. Control groups version 1 only
  NODE_MEM=2G      memory limit of each node for all its processes together; default none
  SHM=8g           size of each node's /dev/shm
  SHARED=DIR:DIR   directories in /tmp that nodes see in addition to the repository; their own /tmp hides the rest
  CLUSTER_RUN=DIR  run directory; default /run/gradshard-cluster. Clusters in different directories are independent

Exit code 2: wrong usage, not root, or a program is missing; 1: the cluster could not be started; nothing of it is left.
USAGE
}

# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

wrong() {
  cluster_say "$1 (see up.sh --help)"
  exit 2
}

case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ $# -le 1 ] || wrong "one argument, the number of nodes"
NODES=${1:-4}
: "${RATE:=}" "${DELAY_US:=0}" "${RACKS:=1}" "${UPLINK:=}" "${SLURM:=0}" "${CPUS:=4}" "${MEM:=2000}" "${CGROUP:=0}" "${NODE_MEM:=}" "${SHM:=8g}" "${SHARED:=}"
[[ $NODES =~ ^([2-9]|[12][0-9]|3[0-2])$ ]] || wrong "$NODES nodes: 2 to 32"
[[ $RATE =~ ^([0-9]+(\.[0-9]+)?[kmg]bit)?$ ]] || wrong "RATE=$RATE: a number with kbit, mbit or gbit, such as 1gbit"
[[ $RACKS =~ ^[1-9][0-9]?$ ]] || wrong "RACKS=$RACKS: a number of racks"
[ "$RACKS" -le "$NODES" ] || wrong "RACKS=$RACKS: $NODES nodes cannot be in more racks than nodes"
[[ $UPLINK =~ ^([1-9][0-9]{0,4}(\.[0-9]{1,3})?[kmg]bit)?$ ]] ||
  wrong "UPLINK=$UPLINK: a number from 1 with kbit, mbit or gbit, such as 25mbit"
[ -z "$UPLINK" ] || [ "$RACKS" -gt 1 ] || wrong "UPLINK=$UPLINK: one rack has no uplink; RACKS=2 or more have"
[[ $DELAY_US =~ ^[0-9]{1,6}$ ]] || wrong "DELAY_US=$DELAY_US: whole microseconds below a second"
[[ $CPUS =~ ^[1-9][0-9]{0,3}$ ]] || wrong "CPUS=$CPUS: a number of cores"
[[ $MEM =~ ^[1-9][0-9]{0,7}$ ]] || wrong "MEM=$MEM: MiB"
[[ $SLURM =~ ^[01]$ ]] || wrong "SLURM=$SLURM: 0 or 1"
[[ $CGROUP =~ ^[01]$ ]] || wrong "CGROUP=$CGROUP: 0 or 1"
[[ $NODE_MEM =~ ^([1-9][0-9]*[KMG]?)?$ ]] || wrong "NODE_MEM=$NODE_MEM: bytes, or a number with K, M or G"
[[ $SHM =~ ^[1-9][0-9]*[kmg%]?$ ]] || wrong "SHM=$SHM: a size as mount writes it, such as 8g"
if [ "$DELAY_US" -gt 0 ]; then NET=${NET:-tap}; else NET=${NET:-bridge}; fi
case $NET in
  bridge) [ "$DELAY_US" -eq 0 ] || wrong "DELAY_US=$DELAY_US: a bridge has no latency; NET=tap has" ;;
  tap) ;;
  *) wrong "NET=$NET: bridge or tap" ;;
esac
[ "$RACKS" -eq 1 ] || [ "$NET" = bridge ] || wrong "RACKS=$RACKS: only NET=bridge has racks, without DELAY_US"
if [ "$CGROUP" = 1 ] && [ ! -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
  wrong "CGROUP=1: this kernel has no control groups of version 1 with memory in /sys/fs/cgroup/memory"
fi
if [ -n "$NODE_MEM" ] && [ ! -e /sys/fs/cgroup/memory/memory.limit_in_bytes ] &&
  ! grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
  wrong "NODE_MEM=$NODE_MEM: this kernel has no control groups with memory, of version 1 or 2"
fi
cluster_needs_root

needed=(unshare nsenter setsid setpriv flock:util-linux ip mount:mount)
[ "$NET" != bridge ] || needed+=(tc:iproute2)
[ "$NET" != tap ] || needed+=(cc:gcc)
[ "$SLURM" != 1 ] || needed+=(munged:munge slurmctld:slurm-wlm slurmd:slurm-wlm sinfo:slurm-wlm)
for program in "${needed[@]}"; do
  command -v "${program%%:*}" >/dev/null || {
    package=${program##*:}
    case $package in ip) package=iproute2 ;; unshare | nsenter | setsid | setpriv) package=util-linux ;; esac
    cluster_say "${program%%:*} is missing (Debian package $package)"
    exit 2
  }
done
[ "$NET" != tap ] || [ -c /dev/net/tun ] || {
  cluster_say "NET=tap: there is no /dev/net/tun"
  exit 2
}

# A cluster that is already up is replaced.
"$CLUSTER_HOME/down.sh" >/dev/null
mkdir -p "$(dirname "$CLUSTER_RUN")"
mkdir "$CLUSTER_RUN" || {
  cluster_say "$CLUSTER_RUN exists but is not a cluster's, or another up.sh is using it"
  exit 2
}
touch "$CLUSTER_RUN/log"
# The keeper and all processes that it starts inherit the lock. The cluster is alive as long as the lock is held.
exec {lock}>"$CLUSTER_RUN/.gradshard-cluster"
flock "$lock"
printf '%s\n' "nodes=$NODES" "net=$NET" "rate=${RATE:-unlimited}" "delay_us=$DELAY_US" "slurm=$SLURM" "cgroup=$CGROUP" \
  "node_mem=${NODE_MEM:-unlimited}" >"$CLUSTER_RUN/settings"
[ "$RACKS" -eq 1 ] || printf '%s\n' "racks=$RACKS" "uplink=${UPLINK:-unlimited}" >>"$CLUSTER_RUN/settings"
export NODES RACKS UPLINK RATE DELAY_US NET SLURM CPUS MEM CGROUP NODE_MEM SHM SHARED

# The log file stays open, so that it can be read even after a failed start has been cleared away.
exec {log}<"$CLUSTER_RUN/log"
failed() {
  # down.sh waits until nobody holds the lock.
  exec {lock}>&-
  cluster_say "$1"
  cat <&"$log" >&2
  "$CLUSTER_HOME/down.sh" >/dev/null
  exit 1
}
# The keeper's standard input is a pipe from this script. If this script is killed before it has said "stay", the
# cluster notices that the pipe is closed and ends.
exec {word}> >(exec setsid "$CLUSTER_HOME/keep.sh" >"$CLUSTER_RUN/log" 2>&1)
keeper=$!
started() { [ -e "$CLUSTER_RUN/ready" ] || ! kill -0 "$keeper" 2>/dev/null; }
await 60 started || failed "not up after 60 s"
[ -e "$CLUSTER_RUN/ready" ] || failed "could not be started"
echo stay >&"$word"
exec {word}>&- {lock}>&-
echo "up: $(tr '\n' ' ' <"$CLUSTER_RUN/settings")"
