#!/bin/sh
# Makes .venv from an interpreter that other users may execute too: started by root, the demo and the
# tests run as an ordinary user, and an interpreter under root's home is closed to them.
set -eu
suits() { "$1" -c 'import sys; raise SystemExit(sys.version_info[:2] < (3, 11))' 2>/dev/null; }
open_to_others() {
    folder=$(dirname "$(readlink -f "$("$1" -c 'import sys; print(sys.executable)')")")
    while [ "$folder" != / ]; do
        case $(stat -c %A "$folder") in *x | *t) ;; *) return 1 ;; esac
        folder=$(dirname "$folder")
    done
}
choose() {
    for name in "${PYTHON:-python3}" /usr/bin/python3 /usr/local/bin/python3 python3.11 python3.12 python3.13 python3; do
        path=$(command -v "$name" || true)
        [ -n "$path" ] && suits "$path" || continue
        if [ "$(id -u)" != 0 ] || open_to_others "$path"; then echo "$path"; return; fi
    done
    echo "Parasol needs Python 3.11 or newer in a place that other users may execute (not under root's home)." >&2
    exit 1
}
[ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null && exit 0
python=$(choose)
if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv .venv
else
    "$python" -m venv --without-pip .venv
    helper=$python
    "$helper" -m pip --version >/dev/null 2>&1 || helper=$(command -v python3)
    "$helper" -m pip --python .venv/bin/python install --quiet pip
fi
