#!/usr/bin/env bash
# What only a GPU can show, in one run: its tests, timings, its own limits, published schedules (docs/gpu.md).
#
#   tests/gpu/check.sh --data FOLDER --out FOLDER [--device cuda|cpu] [--small] [--minutes N] [--stages LIST]
#
# --data      what tests/gpu/pack.py wrote
# --out       where results and checkpoints go; a later run with the same folder goes on from there
# --device    by default cuda where there is a CUDA device; a CPU is given the smallest sizes
# --small     the smallest sizes, which show that everything runs
# --minutes   after which the run has ended (9)
# --stages    of tests,timings,limits,cells (all), in this order
#
# PYTHON names the interpreter (python3). Exit status: 0; 1 where a stage failed or had too little time; 2 for wrong
# arguments. No stage keeps the next from running.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
house=$(dirname "$(dirname "$here")")
python=$(command -v "${PYTHON:-python3}") || exit 1
# absolute, for the run is in the project's folder
[[ $python == /* ]] || python=$PWD/$python
data='' out='' device='' small='' minutes=9 stages=tests,timings,limits,cells

refuse() {
  echo "error: $1" >&2
  exit 2
}

while (($#)); do
  case $1 in
    --help | -h)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --small)
      small=--small
      shift
      ;;
    --data | --out | --device | --minutes | --stages)
      (($# > 1)) || refuse "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) refuse "unknown argument '$1'; see --help" ;;
  esac
done
[[ -n $out ]] || refuse '--out must name a folder'
[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || refuse "--minutes must be a whole number above 0, got '$minutes'"
for stage in ${stages//,/ }; do
  [[ $stage =~ ^(tests|timings|limits|cells)$ ]] || refuse "--stages must be of tests,timings,limits,cells, got '$stage'"
done
[[ ,$stages, != *,cells,* || -d $data ]] || refuse "--data must be a folder that tests/gpu/pack.py wrote, got '$data'"
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
[[ -z $data ]] || data=$(cd "$data" && pwd)
cd "$house" || exit 1

ends=$((SECONDS + 60 * minutes)) status=0
export PYTHONPATH="$house:$house/tests/benchmarks${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

[[ -n $device ]] || device=$("$python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")') || exit 1
[[ $device =~ ^(cuda|cpu)$ ]] || refuse "--device must be cuda or cpu, got '$device'"
if [[ $device == cpu && -z $small ]]; then
  echo 'on a CPU: the smallest sizes, which show that everything runs'
  small=--small
fi
"$python" "$here/stage.py" "$device" || exit 1

# run STAGE SECONDS: at most so long, and no longer than the run; it is told to end 15 s before it is ended.
run() {
  local stage=$1 seconds=$2 began=$SECONDS ended=0 left=$((ends - SECONDS - 5)) how=ok
  [[ ,$stages, == *,$stage,* ]] || return 0
  ((seconds <= left)) || seconds=$left
  if ((seconds < 30)); then
    how='no time was left' status=1
  else
    printf '\n== %s: at most %s s\n' "$stage" "$seconds"
    local words=("$python" "$here/$stage.py" --out "$out" --device "$device" --ends $((EPOCHSECONDS + seconds - 15)))
    [[ -z $small ]] || words+=("$small")
    case $stage in
      # -W: a warning of another version of a library is no failure of ours
      tests) words=("$python" -m pytest -m gpu -W default -p no:cacheprovider -rPfEs tests/gpu) ;;
      cells) words+=(--data "$data") ;;
    esac
    if [[ $stage == tests ]]; then
      MIM4DD_CHECK_DEVICE=$device timeout --kill-after=5 "$seconds" "${words[@]}" >"$out/tests.txt" 2>&1 || ended=$?
      grep -E '^(FAILED|ERROR|SKIPPED)|^=.* in [0-9.]+s' "$out/tests.txt"
    else
      timeout --kill-after=5 "$seconds" "${words[@]}" || ended=$?
    fi
    case $ended in
      0) ;;
      124 | 137) how="ended after its $seconds s" status=1 ;;
      *) how="failed (exit status $ended)" status=1 ;;
    esac
  fi
  printf '%s\t%s\t%s\n' "$stage" "$how" $((SECONDS - began)) >>"$out/stages.tsv"
}

: >"$out/stages.tsv"
run tests 120
run timings 180
run limits 120
run cells $((60 * minutes))
echo
"$python" "$here/table.py" "$out" || status=1
exit $status
