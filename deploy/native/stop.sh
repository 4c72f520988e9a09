#!/usr/bin/env bash
# Stops the parts that start.sh has started. Runs that are not done go on when the parts are started again.
#
#   stop.sh [--data DIR] [--only PART]
set -euo pipefail

stop_timeout_s=30
data="${Lab__Data:-./lab-data}" only=""
value() { [ $# -ge 2 ] || { echo "stop.sh: $1 needs a value" >&2; exit 2; }; printf '%s' "$2"; }

while [ $# -gt 0 ]; do
  case "$1" in
    --data) data="$(value "$@")"; shift 2 ;;
    --only) only="$(value "$@")"; shift 2 ;;
    -h|--help) sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) echo "stop.sh: unknown option $1" >&2; exit 2 ;;
  esac
done

table="$data/native.parts"
[ -f "$table" ] || { echo "stop.sh: nothing was started with the data folder $data" >&2; exit 0; }

# A number can be another process's by now.
is_part() { # PART PID
  [ "$(basename "$(readlink "/proc/$2/exe" 2>/dev/null)")" = "Lab.$1" ]
}

# The gateway first: it needs the others.
tac "$table" | while read -r part pid _; do
  [ -z "$only" ] || [ "$only" = "$part" ] || continue
  is_part "$part" "$pid" || continue
  kill -TERM "$pid" 2>/dev/null || continue
  deadline=$((SECONDS + stop_timeout_s))
  while is_part "$part" "$pid"; do
    if [ "$SECONDS" -ge "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; break; fi
    sleep 0.1
  done
  echo "$part stopped"
done
