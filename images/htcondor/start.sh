#!/bin/sh
# Makes the folders that HTCondor expects in its volume, shows its logs, and becomes its master.
set -eu
umask 022
top=/var/lib/condor

mkdir -p "$top/run" "$top/log" "$top/lock" "$top/execute"
if [ "$(id -u)" = 0 ]; then
  # Volumes can be written by all, so that a job could rename what lies in them.
  chmod 755 "$top"
  chmod 1777 /tmp
  chown condor:condor "$top/run" "$top/log" "$top/lock" "$top/execute"
else
  mkdir -p -m 700 "$top/spool/queue"
fi

cd "$top/log"
tail --quiet --lines=0 --follow=name --retry \
  MasterLog CollectorLog NegotiatorLog SchedLog ShadowLog StartLog 2>/dev/null &
exec condor_master -f
