#!/usr/bin/env bash
# Starts the five parts of the lab as five processes on this machine. The last line of the output is the gateway's address, alone.
#
#   start.sh [--data DIR] [--port BASE] [--configuration NAME] [--no-build] [--only PART]
#
#   --data DIR            The data folder of all parts. Default: $Lab__Data, or ./lab-data.
#   --port BASE           The gateway listens on BASE, the others on BASE+1 to BASE+4. Default: free ports.
#   --configuration NAME  The build to run. Default: Release.
#   --no-build            Run what was built before.
#   --only PART           Start this part only, where it listened before: ModelHost, SparseTraining, BridgeAlignment,
#                         CircuitAnalysis or Gateway. For one that was stopped, or killed.
#
# Logs are in DIR/logs/PART.log; DIR/native.parts has a line "PART PID URL" for each. stop.sh ends them.
set -euo pipefail

parts=(ModelHost SparseTraining BridgeAlignment CircuitAnalysis Gateway)
start_timeout_s=60 kill_timeout_s=3
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
data="${Lab__Data:-./lab-data}" base="" configuration="Release" build=1 only=""

fail() { echo "start.sh: $*" >&2; exit 1; }
value() { [ $# -ge 2 ] || fail "$1 needs a value"; printf '%s' "$2"; }

while [ $# -gt 0 ]; do
  case "$1" in
    --data) data="$(value "$@")"; shift 2 ;;
    --port) base="$(value "$@")"; shift 2 ;;
    --configuration) configuration="$(value "$@")"; shift 2 ;;
    --only) only="$(value "$@")"; shift 2 ;;
    --no-build) build=0; shift ;;
    -h|--help) sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) echo "start.sh: unknown option $1" >&2; exit 2 ;;
  esac
done
[ -z "$only" ] || [[ " ${parts[*]} " == *" $only "* ]] || { echo "start.sh: --only takes one of: ${parts[*]}" >&2; exit 2; }
[[ "$base" =~ ^[0-9]*$ ]] || { echo "start.sh: --port takes a number" >&2; exit 2; }

mkdir -p "$data/logs"
data="$(cd "$data" && pwd)"
table="$data/native.parts"
touch "$table"

pid_of() { awk -v part="$1" '$1 == part { print $2 }' "$table"; }
url_of() { awk -v part="$1" '$1 == part { print $3 }' "$table"; }
# Killed children of this script stay as zombies until it ends: they do not count as alive.
is_alive() { [ -n "$1" ] && [ -r "/proc/$1/stat" ] && [ "$(awk '{ print $3 }' "/proc/$1/stat")" != Z ]; }

record() { # PART PID URL
  local next; next="$(mktemp "$data/native.parts.XXXXXX")"
  awk -v part="$1" '$1 != part' "$table" > "$next"
  echo "$1 $2 $3" >> "$next"
  mv "$next" "$table"
}

requested_url() { # PART: where it listened before when it alone is started, else by --port, else on a free port
  local i port=0
  if [ -n "$only" ]; then
    local before; before="$(url_of "$1")"
    [ -n "$before" ] || fail "$1 has not run with this data folder yet: start all parts first"
    printf '%s' "$before"
    return
  fi
  if [ -n "$base" ]; then
    case "$1" in Gateway) port="$base" ;; *) for i in "${!parts[@]}"; do [ "${parts[$i]}" != "$1" ] || port=$((base + i + 1)); done ;; esac
  fi
  printf 'http://127.0.0.1:%s' "$port"
}

start() { # PART
  local part="$1" program log offset url pid other deadline
  program="$repository/artifacts/bin/Lab.$part/${configuration,,}/Lab.$part"
  log="$data/logs/$part.log"
  [ -x "$program" ] || fail "$program does not exist: run without --no-build"
  # One that was just killed may take a moment to go.
  deadline=$((SECONDS + kill_timeout_s))
  while is_alive "$(pid_of "$part")" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
  is_alive "$(pid_of "$part")" && fail "$part runs already (process $(pid_of "$part")): stop it with stop.sh"
  url="$(requested_url "$part")"

  local environment=("Lab__Data=$data" "Lab__Url=$url")
  for other in "${parts[@]}"; do
    [ "$other" = "$part" ] || [ -z "$(url_of "$other")" ] || environment+=("Lab__Services__$other=$(url_of "$other")")
  done
  offset="$(($(stat -c %s "$log" 2>/dev/null || echo 0) + 1))"
  # A session of its own: a Ctrl-C in this terminal is not for the parts.
  env "${environment[@]}" setsid "$program" >> "$log" 2>&1 < /dev/null &
  pid=$!
  record "$part" "$pid" "$url"

  deadline=$((SECONDS + start_timeout_s))
  until url="$(tail -c "+$offset" "$log" | sed -n "s/.*$part listens on \(http[^; ]*\);.*/\1/p" | head -n 1)" && [ -n "$url" ]; do
    is_alive "$pid" || { tail -n 5 "$log" >&2; fail "$part has ended; its log is $log"; }
    [ "$SECONDS" -lt "$deadline" ] || fail "$part does not listen after $start_timeout_s s; its log is $log"
    sleep 0.1
  done
  record "$part" "$pid" "$url"
  echo "$part $url"
}

[ "$build" = 0 ] || dotnet build "$repository/deploy/Lab.Standalone" -c "$configuration" -v quiet -nologo >&2
if [ -n "$only" ]; then
  start "$only"
else
  for part in "${parts[@]}"; do
    if is_alive "$(pid_of "$part")"; then fail "$part runs already (process $(pid_of "$part")): stop it with stop.sh"; fi
  done
  : > "$table"
  for part in "${parts[@]}"; do start "$part"; done
fi
url_of Gateway
