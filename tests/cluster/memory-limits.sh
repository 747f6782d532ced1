# shellcheck shell=bash
# Memory limits by control groups: one for each node (NODE_MEM), and a place for the groups of Slurm (CGROUP=1).
# inside.sh sources this file. All groups lie below one group of this cluster, which keep.sh removes.

memory_version=
memory_root=
if [ -n "$NODE_MEM" ] || [ "$CGROUP" = 1 ]; then
  if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    memory_version=1
    # Slurm makes its groups at the roots of the controllers, which in this mount namespace are the cluster's own.
    for controller in memory freezer cpuacct; do
      root=/sys/fs/cgroup/$controller
      [ -d "$root" ] || continue
      mkdir -p "$root/$CLUSTER_CGROUP"
      mount --bind "$root/$CLUSTER_CGROUP" "$root"
    done
    memory_root=/sys/fs/cgroup/memory
  else
    memory_version=2
    memory_root=/sys/fs/cgroup/$CLUSTER_CGROUP
    mkdir -p "$memory_root"
    echo +memory >"$memory_root/cgroup.subtree_control"
  fi
fi

# limit_node NAME: makes a group for the node's processes, which nsh and the node's slurmd enter.
limit_node() {
  [ -n "$NODE_MEM" ] || return 0
  local group="$memory_root/$1" file=memory.max
  [ "$memory_version" = 2 ] || file=memory.limit_in_bytes
  mkdir -p "$group"
  numfmt --from=iec "$NODE_MEM" >"$group/$file" || die "NODE_MEM=$NODE_MEM was refused"
  echo "$group" >"$CLUSTER_RUN/nodes/$1.cgroup"
}
