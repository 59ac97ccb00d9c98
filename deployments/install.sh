#!/usr/bin/env bash
# Install what this checkout needs and what is missing; do nothing where nothing is.
#
#   deployments/install.sh environment   .venv from requirements.lock
#   deployments/install.sh blast         BLAST+ from the system's packages
#   deployments/install.sh chromium      a browser for the browser tests
#   deployments/install.sh postgresql    a database server for the tests with PostgreSQL
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
    for candidate in python3 python3.11 python3.12 python3.13; do
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
    .venv/bin/python -m compileall -q -j 0 .venv/lib/python3*/site-packages \
        -x '/(tests?|testing|pip|setuptools|pkg_resources|mypyc?|lexers|plugins)/' || true
    VIRTUAL_ENV=$PWD/.venv "$uv" pip install --quiet --no-deps --no-build-isolation --editable .
}

blast() {
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

case "${1:-}" in
    environment | blast | chromium | postgresql) "$1" ;;
    *) fail "usage: $0 environment|blast|chromium|postgresql" ;;
esac
