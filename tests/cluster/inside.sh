#!/usr/bin/env bash
# The first process of the cluster, in namespaces of its own: makes the nodes, their network, and Slurm. Started by
# keep.sh. When it ends, everything in the cluster ends.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

die() {
  cluster_say "$*"
  exit 1
}

# Child shells must not keep the pipe to up.sh open as their input.
exec {word}<&0 </dev/null

await 10 cluster_is_here || die "the keeper did not say who is the first process"
hostname switch
ip link set lo up
mkdir -p "$CLUSTER_RUN/nodes"

hosts=(head)
for ((i = 0; i < NODES; i++)); do hosts+=("node$i"); done
address() { if [ "$1" = head ]; then echo 10.77.0.1; else echo "10.77.0.$((10 + ${1#node}))"; fi; }

{
  echo "127.0.0.1 localhost"
  for host in "${hosts[@]}"; do echo "$(address "$host") $host"; done
} >"$CLUSTER_RUN/hosts"
# The mount namespace is private: the machine's own /etc/hosts stays as it is.
mount --bind "$CLUSTER_RUN/hosts" /etc/hosts

# shellcheck source-path=SCRIPTDIR source=memory-limits.sh
. "$CLUSTER_HOME/memory-limits.sh"

# make_node NAME: a process that does nothing but hold the node's network, name, mounts and /dev/shm.
make_node() {
  # shellcheck disable=SC2016 # the inner shell expands these
  unshare --net --uts --ipc --mount --propagation slave bash -euc '
    name=$1
    hostname "$name"
    ip link set lo up
    mount -t tmpfs -o "size=$SHM" shm /dev/shm
    # A /tmp of its own, as sockets of MPI and Slurm need; what must be seen everywhere shows through it.
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
# Nobody wants the cluster if up.sh was killed before it could say so.
read -r -t 30 answer <&"$word" || true
[ "${answer:-}" = stay ] || die "up.sh has ended before the cluster was up"
exec {word}<&-
trap 'exit 0' TERM
# bash waits for orphans too, as a first process must.
while :; do
  sleep 3600 &
  wait $! || true
done
