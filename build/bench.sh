#!/bin/sh
# Measurements: quality, speed, memory. One command each; build/bench.sh --help lists them.
#
#   build/bench.sh anomaly --data ../shared/data/anomaly --protocol semi --seeds 5
#   build/bench.sh anomaly --data ../shared/data/anomaly --protocol semi --seeds 5 --method vae
#   build/bench.sh boltzmann --data ../shared/data/images/mnist --measure likelihood --options '{"Epochs":60,"LearningRate":5e-3}'
#   build/bench.sh impute --data ../shared/data/anomaly
#   build/bench.sh calibration
#   build/bench.sh detect --data ../shared/data/gentext
#   build/bench.sh images --data ../shared/data/images/mnist --family diffusion --steps 8000 --sheet sheet.png
#   build/bench.sh images --data ../shared/data/images/usps --family vae --family gan --objective Hinge --peer --json images.json
#   build/bench.sh cycle --data ../shared/data/images --labels mnist --sheet cycle.png --json cycle.json
#   build/bench.sh tiles --data ../shared/data/images/magnetic_tile64 --sheet tiles.png --json tiles.json
#   build/bench.sh tiles --data ../shared/data/images/magnetic_tile64 --network resnet18.onnx
#   build/bench.sh memory
#   build/bench.sh probabilistic --bif ../shared/data/bayesnet/alarm.bif.gz --peer --json fits.json
#   build/bench.sh decode
#   build/bench.sh lstm --data ../shared/data/text/tinyshakespeare.txt --peer --json lstm.json
#   build/bench.sh seq2seq --data ../shared/data/seq2seq/multi30k --json seq2seq.json
#   build/bench.sh bert --data ../shared/data/text/tinyshakespeare.txt --json bert.json
#   build/bench.sh logs --data ../shared/data/logs/BGL_2k.log_structured.csv --json logs.json
#   build/bench.sh coconet --data ../shared/data/music/jsb-chorales-quarter.json --midi harmonised
#   build/bench.sh notes --data ../shared/data/music/jsb-chorales-quarter.json --midi continued
#   build/bench.sh sound --data ../shared/data/audio/fsdd --peer --wav sounds
#   build/bench.sh series --data ../shared/data/timeseries --json series.json
#   build/bench.sh music --data ../shared/data/music
#   build/bench.sh onnx
#   build/bench.sh reading --gigabytes 2
#   build/bench.sh plane
#   build/bench.sh sketch --data ../shared/data/sketch/quickdraw-mixed.stroke3.txt.gz --peer --sheet sketches.svg
#   build/bench.sh spiral --data ../shared/data/images/optdigits8x8 --sheet paintings.png --json spiral.json
#   build/bench.sh flow --data ../shared/data/images/optdigits8x8
#   build/bench.sh tabular --data ../shared/data/tabular/adult_train.txt --label 14 --judge
#   build/bench.sh tabular --data ../shared/data/tabular/adult_train.txt --label 14 --method bayesnet
#   build/bench.sh tabular --data ../shared/data/tabular/adult_train.txt --label 14 --method diffusion --judge
#   build/bench.sh generate
#   build/bench.sh exchange --processes 1 2 4  # takes mpirun; n processes beside one, in turns
#   build/bench.sh exchange --processes 2 4 --fit
#   build/bench.sh faults                      # takes root; two hosts, which are network namespaces
#   build/bench.sh service --requests 1000000
#   build/bench.sh speed --json speed.json      # ours and PyTorch in turns
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/build/setup.sh"
exec dotnet run -c Release -v quiet --project "$root/tests/GenerativeML.Benchmarks" -- "$@"
