#!/usr/bin/env bash
# Install what this checkout needs and what is missing; do nothing where nothing is.
#
#   deployments/install.sh environment   .venv from requirements.lock
#   deployments/install.sh blast         BLAST+ from the system's packages
#   deployments/install.sh chromium      a browser for the browser tests
#   deployments/install.sh postgresql    a database server for the tests with PostgreSQL
#   deployments/install.sh tools         what plugins run and are confined by, for the tests of plugins
#   deployments/install.sh blast 2.17    another version of BLAST+ for the tests, in .venv/blast-2.17/bin
set -euo pipefail
cd "$(dirname "$0")/.."

# An institute's own certificate stands in the system's store, which uv would not read by itself.
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never

say() { printf '%s\n' "$*" >&2; }
fail() { printf '\033[31merror:\033[0m %s\n' "$*" >&2; exit 1; }

may_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

system_packages() {
    say "Installing $* from the system's packages…"
    local log
    log=$(mktemp)
    apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }
    if ! { apt update && apt install --no-install-recommends "$@"; } </dev/null 2>&1 | tee "$log" | show_apt; then
        tail -n 20 "$log" >&2
        fail "the system's packages could not be installed; the last lines of the installer are above"
    fi
    rm -f "$log"
}

# What there is to download, then a dot a package: apt says ten times as much.
show_apt() {
    local line
    while IFS= read -r line; do
        case $line in
            "Need to get"*) say "  $line" ;;
            "Unpacking "* | "Setting up "*) printf . >&2 ;;
        esac
    done
    say
}

find_python() {
    local candidate
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "Python 3.11 or later is needed and not on the path. On Debian 12: apt-get install python3"
}

# uv from the path, else the one in the lock file, put into the environment by its own pip.
ensure_uv() {
    local python=$1
    if uv --version >/dev/null 2>&1; then
        [ -x .venv/bin/python ] || uv venv --quiet --python "$python" .venv
        uv=uv
        return
    fi
    uv=.venv/bin/uv
    if "$uv" --version >/dev/null 2>&1; then
        return
    fi
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        may_install || fail "this Python cannot make environments. Type: sudo apt-get install python3-venv"
        system_packages python3-venv
    fi
    "$python" -m venv --clear .venv
    say "Installing uv, the package installer…"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        -r <(awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock)
}

environment() {
    local uv python
    python=$(find_python)
    ensure_uv "$python"
    say "Installing $(grep -c '^[a-z0-9].*==' requirements.lock) Python packages into .venv (some 300 MB to download the first time)…"
    # A terminal shows uv's own progress bars; elsewhere its list of packages would be noise.
    sync() { VIRTUAL_ENV=$PWD/.venv "$uv" pip sync --require-hashes requirements.lock; }
    if [ -t 2 ]; then sync; else sync 2> >(grep -v '^ [-+~] ' >&2); fi
    rm -f .venv/lib/python3*/site-packages/pyproject.toml # left there by roc-validator; Biopython would warn of it
    # Compiled now, Prefect starts in half the time, also where bytecode may not be written later.
    # What is hardly ever imported, a third of all, is left out.
    say "Compiling them…"
    .venv/bin/python -m compileall -qq -j 0 .venv/lib/python3*/site-packages \
        -x '/(tests?|testing|pip|setuptools|pkg_resources|mypyc?|lexers|plugins)/' || true
    VIRTUAL_ENV=$PWD/.venv "$uv" pip install --quiet --no-deps --no-build-isolation --editable .
}

# The release of Debian that has a version of BLAST+; it runs with its own libraries, beside the system's.
release_with() {
    case $1 in
        2.16) echo trixie ;;
        2.17) echo sid ;;
        *) fail "BLAST+ $1 is in no release of Debian that is known here: 2.16 and 2.17 are" ;;
    esac
}

other_blast() {
    local root=$PWD/.venv/blast-$1 release server
    [ -x "$root/bin/blastp" ] && return
    release=$(release_with "$1")
    command -v apt-get >/dev/null || fail "another BLAST+ comes from Debian's packages, and there is no apt-get"
    server=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
    [ -n "$server" ] || fail "apt-get knows no server of Debian's packages. Type: sudo apt-get update"
    say "Unpacking BLAST+ $1 of Debian $release, with its libraries, into $root…"
    rm -rf "$root"
    mkdir -p "$root"/{lists/partial,cache/archives/partial,system,bin}
    : >"$root/status"
    echo "deb $server $release main" >"$root/sources.list"
    apt() {
        apt-get -qq -o "Dir::Etc::SourceList=$root/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o "Dir::State::Lists=$root/lists" -o "Dir::State::status=$root/status" -o "Dir::Cache=$root/cache" \
            -o Debug::NoLocking=1 -o APT::Install-Recommends=0 "$@"
    }
    { apt update && apt --download-only -y install ncbi-blast+; } >"$root/log" 2>&1 ||
        { cat "$root/log" >&2; rm -rf "$root"; fail "BLAST+ $1 cannot be had"; }
    local package program loader
    for package in "$root"/cache/archives/*.deb; do dpkg -x "$package" "$root/system"; done
    rm -r "$root"/{lists,cache}
    loader=$(find "$root/system" -name 'ld-linux-*.so.*' | head -n 1)
    for program in $(cd "$root/system/usr/bin" && ls -- *blast* make* *masker); do
        printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" \
            "$root/system/usr/lib/$(uname -m)-linux-gnu:$root/system/usr/lib/ncbi-blast+" \
            "$root/system/usr/bin/$program" >"$root/bin/$program"
        chmod +x "$root/bin/$program"
    done
    "$root/bin/blastp" -version >/dev/null || fail "BLAST+ $1 does not run here"
}

blast() {
    if [ -n "${1:-}" ]; then
        other_blast "$1"
        return
    fi
    type -P blastp >/dev/null && return
    may_install || fail "BLAST+ is not on the path and may not be installed by us. Type: sudo apt-get install ncbi-blast+
       (or unpack NCBI's archive from the BLAST+ download page and put its bin directory on the PATH)"
    system_packages ncbi-blast+
}

chromium() {
    type -P chromium >/dev/null && return
    may_install || fail "chromium is not on the path and may not be installed by us. Type: sudo apt-get install chromium"
    system_packages chromium fonts-liberation
}

postgresql() {
    # Debian keeps its programs off the path.
    { type -P initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; } >/dev/null && return
    may_install || fail "PostgreSQL is not installed and may not be installed by us. Type: sudo apt-get install postgresql"
    system_packages postgresql
}

tools() {
    local missing=()
    for one in bwrap:bubblewrap diamond:diamond-aligner fasttree:fasttree mafft:mafft mmseqs:mmseqs2; do
        type -P "${one%:*}" >/dev/null || missing+=("${one#*:}")
    done
    [ ${#missing[@]} = 0 ] && return
    may_install || fail "some tools of plugins may not be installed by us. Type: sudo apt-get install ${missing[*]}"
    system_packages "${missing[@]}"
}

case "${1:-}" in
    environment | blast | chromium | postgresql | tools) "$@" ;;
    *) fail "usage: $0 environment|blast [2.16|2.17]|chromium|postgresql|tools" ;;
esac
