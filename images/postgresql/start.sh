#!/bin/sh
# Makes the database where the volume is empty, sets its owner's password, and becomes the server.
#
# PGDATA: where the database is. POSTGRES_USER: its owner, also a superuser; POSTGRES_DB: its name.
# POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE with a path. Arguments are passed to the server.
set -eu
umask 077
user=${POSTGRES_USER:-servicex}
database=${POSTGRES_DB:-$user}
password=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:?names no password}")}
unset POSTGRES_PASSWORD
for word in "$user" "$database"; do
  case $word in *[!a-z0-9_]* | '') echo "not a plain name: '$word'" >&2; exit 1 ;; esac
done
case $password in
  '') echo 'the password is empty' >&2; exit 1 ;;
  *[!A-Za-z0-9._~-]*) echo 'the password has characters that a URL would need to escape' >&2; exit 1 ;;
esac

# One statement to a server that nobody else can reach. It stops at no error: the database may be there.
say() { echo "$1" | postgres --single -j -D "$2" postgres > /dev/null; }

if [ ! -e "$PGDATA" ]; then
  # Under another name first: what was interrupted is made anew.
  rm -rf "$PGDATA.making"
  mkdir -p "${PGDATA%/*}"
  initdb --pgdata="$PGDATA.making" --username="$user" --encoding=UTF8 --locale=C.UTF-8 \
    --auth-host=scram-sha-256 --auth-local=trust --no-instructions
  # From everywhere, by password; who may connect at all is the network policy's matter.
  echo 'host all all all scram-sha-256' >> "$PGDATA.making/pg_hba.conf"
  [ "$database" = postgres ] || say "CREATE DATABASE $database;" "$PGDATA.making"
  mv "$PGDATA.making" "$PGDATA"
fi
# Kubernetes opens a volume's files to its group, which the server refuses.
chmod 700 "$PGDATA"
say "ALTER ROLE $user PASSWORD '$password';" "$PGDATA"

# On SIGTERM PostgreSQL would wait for its clients to leave, which do not; on SIGINT it sends them away.
postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@" &
server=$!
trap 'kill -INT $server' TERM INT
status=0
wait $server || status=$?
# A signal ends the wait, not yet the server.
while kill -0 $server 2> /dev/null; do
  status=0
  wait $server || status=$?
done
exit $status
