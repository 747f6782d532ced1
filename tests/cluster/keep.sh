#!/usr/bin/env bash
# The keeper: holds the cluster's namespaces and clears away when they have ended, for any reason. up.sh starts it.
#
# The whole cluster is in one process namespace. Its first process dies with unshare, and unshare dies with this script.
# The kernel then kills every other process of the namespace, and the networks, mounts and names disappear with them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

# Otherwise the standard input of a background job would be /dev/null.
setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL --mount --mount-proc --propagation private \
  --net --uts --ipc "$CLUSTER_HOME/inside.sh" <&0 &
holder=$!
trap 'kill -KILL "$holder" 2>/dev/null' TERM INT HUP
exec </dev/null

first=
born() {
  read -r first _ <"/proc/$holder/task/$holder/children" || true
  # unshare never has more than one child. Before it has unshared, the child would still be in this script's namespace.
  [ -n "$first" ] && [ "$(readlink "/proc/$first/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] ||
    ! kill -0 "$holder" 2>/dev/null
} 2>/dev/null
if await 10 born && [ -n "$first" ]; then
  namespace=$(readlink "/proc/$first/ns/pid" 2>/dev/null || true)
  echo "$first $namespace" >"$CLUSTER_RUN/init.new"
  mv "$CLUSTER_RUN/init.new" "$CLUSTER_RUN/init"
else
  kill -KILL "$holder" 2>/dev/null || true
fi
# The loop waits twice, as a signal ends the first wait.
wait "$holder" || wait "$holder" || true
cluster_clear
