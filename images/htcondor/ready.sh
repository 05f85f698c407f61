#!/bin/sh
# Whether the collector knows this pod's daemon. Argument: schedd or startd.
set -eu
case "$1" in
  schedd) mine="Name == \"$(condor_config_val SCHEDD_NAME)\"" ;;
  startd) mine="Machine == \"$(condor_config_val FULL_HOSTNAME)\"" ;;
esac
test -n "$(condor_status "-$1" -constraint "$mine" -limit 1 -af Name)"
