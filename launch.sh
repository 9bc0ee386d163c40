#!/bin/sh
# Starts the whole stack: NATS, etcd, workers, indexer, mm-router, frontend. ./launch.sh --help tells the variables.
exec "$(dirname -- "$(readlink -f -- "$0")")/mmr" launch "$@"
