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
exec dotnet run -c Release -v quiet --project "$root/samples/AnomalyDetection" -- "$@"
