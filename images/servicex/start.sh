#!/bin/sh
# Becomes one of ServiceX's parts, with the Python environment and the folder that it needs.
set -eu
source=/opt/servicex/source

# become ENVIRONMENT FOLDER COMMAND [ARGUMENT ...]
become() {
  cd "$source/$2"
  PATH=/opt/servicex/$1/bin:$PATH
  export PATH PYTHONPATH="$PWD"
  shift 2
  exec "$@"
}

# generate FOLDER PACKAGE MODULE: a code generator; PACKAGE holds the templates.
generate() {
  export TEMPLATE_PATH="$source/$1/$2/templates/transform_single_file.py"
  export CAPABILITIES_PATH="$source/$1/transformer_capabilities.json"
  [ ! -e "$source/$1/app.conf" ] || export CODEGEN_CONFIG_FILE="$source/$1/app.conf"
  become codegen "$1" gunicorn --access-logfile - "$3:create_app()"
}

# find_files FOLDER NAME MODULE: a DID finder, which takes its tasks from a queue of its own.
find_files() {
  become finders "$1/src" celery --broker="${BROKER_URL:?is not set}" --app="$3" worker \
    --loglevel=info --queues="did_finder_$2" --concurrency=1 --hostname="did_finder_$2@%h"
}

case "$*" in
  app) become app servicex_app gunicorn --timeout 120 'casita_app:create_app()' ;;
  migrate)
    # Nothing is asked of Kubernetes yet, so that no token is needed.
    export FLASK_APP=servicex_app/app.py TRANSFORMER_MANAGER_ENABLED=false
    become app servicex_app flask db upgrade
    ;;
  'codegen uproot-raw') generate code_generator_raw_uproot servicex servicex.raw_uproot_code_generator ;;
  'codegen uproot') generate code_generator_funcadl_uproot uproot_code_generator uproot_code_generator ;;
  'codegen python') generate code_generator_python python_code_generator python_code_generator ;;
  'did-finder xrootd') find_files did_finder_xrootd xrootd servicex_did_finder_xrootd ;;
  'did-finder cernopendata') find_files did_finder_cernopendata cernopendata did_finder_cernopendata ;;
  'did-finder rucio') find_files did_finder_rucio rucio rucio_did_finder ;;
  'connected '*)
    # Whether this container has a connection to that port of another: a DID finder to its broker.
    exec grep -qE "^ *[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:$(printf %04X "$2") 01 " /proc/net/tcp /proc/net/tcp6
    ;;
  *)
    echo "no part of ServiceX is called '$*'; there are: app, migrate," \
      "codegen uproot-raw|uproot|python, did-finder xrootd|cernopendata|rucio, connected PORT" >&2
    exit 64
    ;;
esac
