#!/bin/sh
# The main job, from a table to a saved model: trains a detector on half of a table, grades it on the other half,
# draws the result, and lets a second process load the model and find the same scores.
#
#   build/demo.sh                                    a simulated pump
#   build/demo.sh --data file.csv [--label column]   your table
#   build/demo.sh --help                             everything else
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/build/setup.sh"
# The first time the library is compiled; without analyzers, which build/test.sh has, that takes half the time.
[ -d "$root/samples/AnomalyDetection/bin/Release" ] || echo 'demo: compiling, which takes a minute or more this first time' >&2
exec dotnet run -c Release -v quiet -p:RunAnalyzers=false --project "$root/samples/AnomalyDetection" -- "$@"
