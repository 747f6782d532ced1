#!/usr/bin/env bash
# Functions and variables that the scripts of the virtual cluster share: its location, its state, and its removal.
# Sourced.

CLUSTER_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# The repository. Nodes see it at the same path, as on a cluster with a shared file system.
CLUSTER_ROOT=$(cd "$CLUSTER_HOME/../.." && pwd -P)
CLUSTER_RUN=${CLUSTER_RUN:-/run/gradshard-cluster}
# The parent of this cluster's control groups. Its name contains the run directory, so clusters do not share it.
CLUSTER_CGROUP=gradshard-cluster-$(printf '%s' "$CLUSTER_RUN" | cksum | cut -d' ' -f1)
export CLUSTER_HOME CLUSTER_ROOT CLUSTER_RUN CLUSTER_CGROUP

cluster_say() { printf '%s\n' "cluster: $*" >&2; }

cluster_needs_root() {
  if [ "$(id -u)" -ne 0 ]; then
    cluster_say "this needs root: it makes network, process and mount namespaces"
    exit 2
  fi
}

# await SECONDS COMMAND...: waits until COMMAND succeeds, and fails when the time is up.
await() {
  local tries=$(($1 * 50))
  shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.02
  done
}

# Prints the process id, as seen from outside, of the cluster's first process; fails if the cluster is not up. The file
# contains the id and the process namespace, so that a process that the kernel has given the same id later is never
# touched.
cluster_init() {
  local pid namespace
  read -r pid namespace 2>/dev/null <"$CLUSTER_RUN/init" || return 1
  [ -n "$namespace" ] && [ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" = "$namespace" ] || return 1
  [ "$namespace" != "$(readlink /proc/self/ns/pid)" ] || return 1
  # A process that has ended but has not been waited for still has an entry.
  ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || return 1
  printf '%s\n' "$pid"
}

cluster_is_down() { ! cluster_init >/dev/null; }

# Succeeds inside the cluster's process namespace.
cluster_is_here() {
  local pid namespace
  read -r pid namespace 2>/dev/null <"$CLUSTER_RUN/init" || return 1
  [ -n "$pid" ] && [ "$namespace" = "$(readlink /proc/self/ns/pid)" ]
}

# Succeeds while any process of the cluster lives, or another up.sh is about to start it.
cluster_is_locked() {
  [ -e "$CLUSTER_RUN/.gradshard-cluster" ] && ! flock -n "$CLUSTER_RUN/.gradshard-cluster" true 2>/dev/null
}
cluster_is_unlocked() { ! cluster_is_locked; }

# Removes the control groups and the run directory, which outlive the processes. It removes only a directory that up.sh
# has marked as its own.
cluster_clear() {
  local group
  for group in "/sys/fs/cgroup/$CLUSTER_CGROUP" /sys/fs/cgroup/*/"$CLUSTER_CGROUP"; do
    [ -d "$group" ] || continue
    # A group stays busy for a moment after its last process has been killed.
    await 5 remove_group "$group" || cluster_say "$group could not be removed"
  done
  if [ -e "$CLUSTER_RUN/.gradshard-cluster" ]; then
    rm -rf --one-file-system "$CLUSTER_RUN"
  fi
}

remove_group() {
  find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  [ ! -d "$1" ]
}
