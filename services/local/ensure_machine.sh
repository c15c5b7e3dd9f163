#!/usr/bin/env bash
# Prepares the machine: Debian packages that are missing, and Python environments from hashed locks.
#
#   ensure_machine.sh package COMMAND PACKAGE WHY    afterwards COMMAND is on the PATH
#   ensure_machine.sh environment FOLDER LOCK        afterwards FOLDER holds what LOCK lists, and nothing of it is older
#
# Every step may run again at any time; one that is done already does nothing and says nothing.
# Undo: `apt-get remove PACKAGE`; `make clean` removes the environments.
set -euo pipefail

MINIMUM_MINOR=11 # Python 3.11 is the floor of pyproject.toml
STEP_SECONDS=900 # a download that takes longer than this hangs; try again

say() { printf '%s\n' "$*" >&2; }
give_up() {
    say "$*"
    exit 1
}

# apt-get as root, patient with another apt-get that runs at the moment.
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
[ "$(id -u)" = 0 ] || apt=(sudo -- "${apt[@]}")

# macOS has no `timeout`; env runs the command just as well, without the limit.
time_limit=(env)
! command -v timeout >/dev/null || time_limit=(timeout --kill-after=30 "$STEP_SECONDS")

# Run a step that needs the network up to three times.
with_patience() {
    local attempt
    for attempt in 1 2 3; do
        if "${time_limit[@]}" "$@"; then return 0; fi
        [ "$attempt" = 3 ] || {
            say "That did not work (try $attempt of 3); once more in $((attempt * 5)) seconds."
            sleep $((attempt * 5))
        }
    done
    return 1
}

install_debian_package() { # PACKAGE WHY
    if ! command -v apt-get >/dev/null; then
        if command -v brew >/dev/null; then
            give_up "$1 is missing ($2). Install it with \`brew install redis python@3.12\`, then run make again."
        fi
        give_up "$1 is missing ($2), and this is not a Debian or Ubuntu machine. Install it with your package manager, then run make again."
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        give_up "$1 is missing ($2). You are not root and there is no sudo: let root run \`apt-get install $1\`, then run make again."
    fi
    say "Installing the Debian package $1: $2."
    with_patience "${apt[@]}" update -qq || say "The package lists could not be refreshed; trying with the ones that are there."
    with_patience "${apt[@]}" install -y -qq --no-install-recommends "$1" >&2 ||
        give_up "The package $1 could not be installed. Check the network, then run make again."
}

ensure_package() { # COMMAND PACKAGE WHY
    command -v "$1" >/dev/null || install_debian_package "$2" "$3"
    command -v "$1" >/dev/null || give_up "$2 is installed, but $1 is not on the PATH. Add its folder to PATH, then run make again."
}

# Print the first Python that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c "import sys; sys.exit(sys.version_info < (3, $MINIMUM_MINOR))" 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

ensure_python() {
    find_python >/dev/null && return 0
    command -v python3 >/dev/null || install_debian_package python3 "the workshop is written in Python"
    find_python >/dev/null ||
        give_up "Python 3.$MINIMUM_MINOR or newer is needed and was not found. Install one (or name it: make PYTHON=/path/to/python3), then run make again."
}

make_environment() { # FOLDER
    local python
    python=$(find_python)
    if ! "$python" -c "import ensurepip, venv" 2>/dev/null; then
        install_debian_package "python3-venv" "Python's own environments are a package of their own on Debian"
    fi
    say "Making the Python environment $1."
    rm -rf -- "$1"
    "$python" -m venv "$1" || give_up "The environment $1 could not be made with $python. Name another Python: make PYTHON=/path/to/python3."
}

# An environment of a Python that is gone, or one that was interrupted before pip was there, is made anew.
environment_works() { # FOLDER
    [ -x "$1/bin/python" ] && "$1/bin/python" -c "import pip, sys; sys.exit(sys.version_info < (3, $MINIMUM_MINOR))" 2>/dev/null
}

install_lock() { # FOLDER LOCK
    say "Installing what $2 lists into $1 (the first time takes a minute or two)."
    with_patience "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --retries 5 --timeout 60 --require-hashes --requirement "$2" >&2 ||
        give_up "The packages of $2 could not be installed. Check the network, then run make again."
}

# The command `comfyume` beside python; needs no network, because the lock brings setuptools.
install_command() { # FOLDER
    local words
    words=$("$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --no-deps --no-build-isolation --editable . 2>&1) || {
        say "$words"
        give_up "The command comfyume could not be put into $1. Run \`make clean\`, then make again."
    }
}

ensure_environment() { # FOLDER LOCK
    local stamp
    stamp="$1/.ready-$(basename "$2" .txt)"
    ensure_python
    environment_works "$1" || make_environment "$1"
    install_lock "$1" "$2"
    [ "$1" != .venv ] || install_command "$1"
    touch "$stamp"
}

case "${1:-}" in
package) ensure_package "$2" "$3" "$4" ;;
environment) ensure_environment "$2" "$3" ;;
*) give_up "usage: ensure_machine.sh package COMMAND PACKAGE WHY | environment FOLDER LOCK" ;;
esac
