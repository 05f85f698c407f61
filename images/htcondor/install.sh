#!/bin/sh
# Installs HTCondor from Debian's own packages, with accounts of fixed numbers, which the chart
# knows: HTCondor's own, and those that jobs run as; each dynamic slot has one. The empty folder is
# the only one that shadows may read beside their own job's.
set -eu
groupadd --system --gid 101 condor
useradd --system --uid 100 --gid 101 --home-dir /var/lib/condor --shell /usr/sbin/nologin condor
for number in $(seq 1 128); do
  id=$((3000 + number))
  echo "slot$number:x:$id:" >> /etc/group
  echo "slot$number:x:$id:$id::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
done
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends condor=23.9.*
rm -rf /etc/condor/config.d/* \
  /var/lib/apt/lists/* /var/cache/apt/archives/* /var/log/*.log /var/log/apt
mkdir /var/empty
