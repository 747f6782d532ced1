#!/usr/bin/env bash
# The first process of the cluster, in namespaces of its own. It makes the nodes, their network, and Slurm. keep.sh
# starts it, and when it ends, everything in the cluster ends.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

die() {
  cluster_say "$*"
  exit 1
}

# Child shells must not inherit the pipe to up.sh as their input, as this would keep it open.
exec {word}<&0 </dev/null

await 10 cluster_is_here || die "the keeper did not say who is the first process"
hostname switch
ip link set lo up
mkdir -p "$CLUSTER_RUN/nodes"

hosts=(head)
for ((i = 0; i < NODES; i++)); do hosts+=("node$i"); done
address() { if [ "$1" = head ]; then echo 10.77.0.1; else echo "10.77.0.$((10 + ${1#node}))"; fi; }
# rack_of I: prints the rack of node I. Racks hold consecutive nodes; the first NODES % RACKS racks hold one more.
rack_of() {
  local size=$((NODES / RACKS)) larger=$((NODES % RACKS))
  local first=$((larger * (size + 1)))
  if [ "$1" -lt "$first" ]; then echo $(($1 / (size + 1))); else echo $((larger + ($1 - first) / size)); fi
}

{
  echo "127.0.0.1 localhost"
  for host in "${hosts[@]}"; do echo "$(address "$host") $host"; done
} >"$CLUSTER_RUN/hosts"
# The mount namespace is private, so the machine's own /etc/hosts does not change.
mount --bind "$CLUSTER_RUN/hosts" /etc/hosts

# shellcheck source-path=SCRIPTDIR source=memory-limits.sh
. "$CLUSTER_HOME/memory-limits.sh"

# make_node NAME: starts a process whose only purpose is to hold the node's network, name, mounts and /dev/shm.
make_node() {
  # shellcheck disable=SC2016 # the inner shell expands these
  unshare --net --uts --ipc --mount --propagation slave bash -euc '
    name=$1
    hostname "$name"
    ip link set lo up
    mount -t tmpfs -o "size=$SHM" shm /dev/shm
    # Each node has its own /tmp for the sockets of MPI and Slurm. Directories that must be visible everywhere are
    # mounted into it.
    own="$CLUSTER_RUN/nodes/$name.tmp"
    mkdir -p "$own"
    mount -t tmpfs -o size=512m,mode=1777 tmp "$own"
    IFS=:
    for shared in "$CLUSTER_ROOT" "$CLUSTER_RUN" $SHARED; do
      case $shared in /tmp/?*)
        mkdir -p "$own/${shared#/tmp/}"
        mount --bind "$shared" "$own/${shared#/tmp/}"
        ;;
      esac
    done
    mount --rbind "$own" /tmp
    echo $$ >"$CLUSTER_RUN/nodes/$name.new"
    mv "$CLUSTER_RUN/nodes/$name.new" "$CLUSTER_RUN/nodes/$name.pid"
    exec {word}<&-
    exec sleep infinity' make_node "$1" &
}
export word
for host in "${hosts[@]}"; do
  make_node "$host"
  limit_node "$host"
done
for host in "${hosts[@]}"; do
  await 10 test -s "$CLUSTER_RUN/nodes/$host.pid" || die "$host could not be made"
done

# shellcheck source-path=SCRIPTDIR source=network.sh
. "$CLUSTER_HOME/network.sh"
if [ "$SLURM" = 1 ]; then
  # shellcheck source-path=SCRIPTDIR source=slurm.sh
  . "$CLUSTER_HOME/slurm.sh"
fi

touch "$CLUSTER_RUN/ready"
# If up.sh was killed before it could say "stay", nobody wants the cluster.
read -r -t 30 answer <&"$word" || true
[ "${answer:-}" = stay ] || die "up.sh has ended before the cluster was up"
exec {word}<&-
trap 'exit 0' TERM
# bash also waits for orphans, as a first process must.
while :; do
  sleep 3600 &
  wait $! || true
done
