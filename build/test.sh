#!/usr/bin/env bash
# Builds everything, warnings as errors, and runs every test, as dotnet test in the root does. Ends with one line:
#   N passed, N failed, N skipped
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
failed=0

build/setup.sh || exit 1

log=$(mktemp)
results=$(mktemp -d)
trap 'rm -rf "$log" "$results"' EXIT
dotnet build -c Release --nologo -v:m -warnaserror 2>&1 | tee "$log" || failed=1
# Warnings that no switch turns into errors still say so in the build's own summary.
! grep -qE '(warning [A-Z]+[0-9]+|: warning)' "$log" || { echo 'test: the build has warnings' >&2; failed=1; }
[ $failed = 0 ] || exit 1

# Tests run one at a time in their process, on one thread, so that two halves of them, which take about as long, can run
# side by side.
half() {
  dotnet test -c Release --no-build --nologo --filter "$2" \
    --logger "trx;LogFileName=$1.trx" --results-directory "$results"
}
promises='FullyQualifiedName~Conformance|FullyQualifiedName~KilledRun|FullyQualifiedName~Packaging|FullyQualifiedName~ProcessMemory'
others=$(sed 's/~/!~/g; s/|/\&/g' <<< "$promises")
half promises "$promises" &
half others "$others" || failed=1
wait $! || failed=1
passed=0 skipped=0 not_passed=0
for name in promises others; do
  # A run that crashed leaves no counters, and must not pass for one that had nothing to say.
  counters=$(grep -o '<Counters [^>]*>' "$results/$name.trx" 2> /dev/null) || { echo 'test: no results' >&2; exit 1; }
  count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<< "$counters"; }
  ((passed += $(count passed)))
  ((skipped += $(count total) - $(count executed) + $(count inconclusive)))
  ((not_passed += $(count executed) - $(count passed) - $(count inconclusive)))
done
[ "$passed" -gt 0 ] && [ "$not_passed" = 0 ] || failed=1
echo "$passed passed, $not_passed failed, $skipped skipped"
exit $failed
