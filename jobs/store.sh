#!/usr/bin/env bash
# Starts and stops Garage, an object store that speaks S3's protocol, for rounds of `gradshard functions` on this machine.
# `jobs/store.sh --help` explains the commands.
set -euo pipefail

version=2.5.0

usage() {
  cat <<'USAGE'
usage: jobs/store.sh install | start | stop [--data DIR] [--port PORT]

  install  builds Garage 2.5.0 from crates.io into target/tools, in some minutes. It is a program of its own (AGPL)
  start    starts it (and installs it before, if it is missing) with a bucket, and prints the variables for its clients:
             eval "$(jobs/store.sh start)"
             gradshard functions configs/digits.json --store "s3://$GRADSHARD_BUCKET/rounds"
           The key is new with every start and is printed here only: it is in no file but Garage's own, which stop removes
  stop     ends it, and removes its directory

  --data DIR    where it keeps objects, by default target/store; start makes it, and it must not be there
  --port PORT   its port on 127.0.0.1; the next one is taken too (default 3900)
  -h, --help    this text
USAGE
}

wrong() {
  printf 'jobs/store.sh: %s (see --help)\n' "$1" >&2
  exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
data=$root/target/store
port=3900
command=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --data | --port)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      if [ "$1" = --data ]; then data=$2; else port=$2; fi
      shift
      ;;
    install | start | stop)
      [ -z "$command" ] || wrong "one command at a time"
      command=$1
      ;;
    *) wrong "$1 is not known" ;;
  esac
  shift
done
[ -n "$command" ] || wrong "name a command: install, start or stop"
data=$(realpath -m -- "$data")
[[ $port =~ ^[0-9]{1,5}$ ]] || wrong "--port $port is no number"

garage=$root/target/tools/bin/garage

install_garage() {
  cargo install --locked "garage@$version" --no-default-features --features bundled-libs,lmdb --root "$root/target/tools" >&2
}

# is_running: succeeds if the process that start noted is still Garage.
is_running() {
  [ -r "$data/pid" ] && [ "$(readlink "/proc/$(cat "$data/pid")/exe" 2>/dev/null)" = "$garage" ]
}

start_garage() {
  [ -x "$garage" ] || install_garage
  [ ! -e "$data" ] || wrong "$data is there: jobs/store.sh stop ends the store that it belongs to"
  (umask 077 && mkdir -p "$data")
  cat >"$data/garage.toml" <<TOML
metadata_dir = "$data/meta"
data_dir = "$data/data"
db_engine = "lmdb"
replication_factor = 1
compression_level = "none"
rpc_bind_addr = "127.0.0.1:$((port + 1))"
rpc_public_addr = "127.0.0.1:$((port + 1))"

[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:$port"
TOML
  local key secret
  key=GK$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  secret=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  GARAGE_RPC_SECRET=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  export GARAGE_RPC_SECRET
  GARAGE_DEFAULT_ACCESS_KEY=$key GARAGE_DEFAULT_SECRET_KEY=$secret GARAGE_DEFAULT_BUCKET=gradshard RUST_LOG=garage=warn \
    "$garage" -c "$data/garage.toml" server --single-node --default-bucket >"$data/log" 2>&1 </dev/null &
  echo $! >"$data/pid"
  local tries=0
  until "$garage" -c "$data/garage.toml" bucket info gradshard >/dev/null 2>&1 && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    tries=$((tries + 1))
    if ! is_running || [ "$tries" -gt 100 ]; then
      printf 'jobs/store.sh: the store does not start; %s ends with:\n' "$data/log" >&2
      tail -n 5 "$data/log" >&2
      exit 1
    fi
    sleep 0.2
  done
  cat <<EXPORTS
export AWS_ACCESS_KEY_ID=$key
export AWS_SECRET_ACCESS_KEY=$secret
export AWS_REGION=garage
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
export AWS_ALLOW_HTTP=true
export GRADSHARD_BUCKET=gradshard
EXPORTS
}

stop_garage() {
  [ -r "$data/garage.toml" ] || wrong "$data is no store that start made"
  if is_running; then
    local pid
    pid=$(cat "$data/pid")
    kill "$pid"
    local tries=0
    while is_running && [ "$tries" -lt 100 ]; do
      tries=$((tries + 1))
      sleep 0.1
    done
    is_running && wrong "process $pid does not end"
  fi
  rm -r "$data"
}

case $command in
  install) install_garage ;;
  start) start_garage ;;
  stop) stop_garage ;;
esac
