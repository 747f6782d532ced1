#!/usr/bin/env bash
# Ends the virtual cluster of CLUSTER_RUN completely and leaves nothing behind. Does nothing if there is none.
#
# It kills one process, the first of the cluster's process namespace. The kernel then ends the rest.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
if [ $# -gt 0 ]; then
  echo "usage: [CLUSTER_RUN=DIR] tests/cluster/down.sh" >&2
  case $1 in -h | --help) exit 0 ;; esac
  exit 2
fi
cluster_needs_root

# A cluster that is still starting has no first process yet.
settled() { cluster_init >/dev/null || ! cluster_is_locked; }
await 10 settled || true
if first=$(cluster_init); then
  kill -KILL "$first" 2>/dev/null || true
  await 10 cluster_is_down || {
    cluster_say "process $first does not end"
    exit 1
  }
  # The keeper clears away.
  gone() { [ ! -e "$CLUSTER_RUN" ]; }
  await 10 gone || true
fi
# This case is for a keeper that was killed.
await 10 cluster_is_unlocked || {
  cluster_say "processes of the cluster in $CLUSTER_RUN do not end"
  exit 1
}
cluster_clear
echo down
