#!/usr/bin/env bash
# Makes the virtual environment: python.sh PYTHON FOLDER. Installs Debian's venv module if it can.
set -eu
python=$1 folder=$2
if ! command -v "$python" >/dev/null; then
  echo "casita needs Python 3.11 or later; '$python' was not found (set PYTHON=...)" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "casita needs Python 3.11 or later; $python is $("$python" --version) (set PYTHON=...)" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
  else
    echo "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
fi
"$python" -m venv --clear "$folder"
