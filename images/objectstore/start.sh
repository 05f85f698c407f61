#!/bin/sh
# Makes the folders of an empty volume, and becomes the store. Buckets are the folders in /data/buckets;
# what S3 knows of objects lies in the files' extended attributes.
set -eu
umask 077
: "${ROOT_ACCESS_KEY:?is not set}" "${ROOT_SECRET_KEY:?is not set}"
mkdir -p /data/buckets "$VGW_IAM_DIR"
exec versitygw "$@" posix /data/buckets
