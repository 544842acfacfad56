#!/usr/bin/env python3
"""The works of the benchmark `speed` in plain PyTorch, as fast as it goes without leaving its usual means.

    speed_peer.py

reads commands from its input, one in a line, as JSON, and answers each with a line of JSON. Every command has the
names `work`, `threads`, `seed` and `bf16`, and what its work needs; most name a safetensors file under `data` or
`model`.

    about      versions, the BLAS that is loaded, and GFLOP/s of a product of two matrices of 1024 rows and columns
    gpt        training steps: seconds of a step after the first few, and every step's loss
    autoencoder, vae, gan       the same; of the autoencoder, seconds of one whole epoch
    score      seconds for a row, one at a time or in batches, and the first scores
    decode     seconds for a token of one text after another, and the likeliest continuations of some tokens
"""

import json
import re
import sys
import time

import torch

import speed_decoding
import speed_gpt
import speed_scoring
import speed_vectors
from safetensors_peer import read


class Data:
    """Tables and models by their files, each read once."""

    def __init__(self):
        self.kept = {}
        self.current = None

    def use(self, path):
        self.current = path
        return self

    def __getitem__(self, name):
        return self.tensors(self.current)[name]

    def tensors(self, path):
        return self.keep(path, lambda: read(path)[0])

    def model(self, command, make):
        return self.keep((command["work"], command["model"]), lambda: make(command, self.tensors(command["model"])))

    def keep(self, key, make):
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


def about(command, data):
    size = 1024
    a, b = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        blas = sorted(set(re.findall(r"/\S*(?:blas|mkl_core)\S*", maps.read())))
    return {
        "torch": torch.__version__, "threads": torch.get_num_threads(), "blas": blas,
        "gemm_gflops": 2 * size ** 3 / best / 1e9,
    }


WORKS = {
    "about": about, "gpt": speed_gpt.train, "autoencoder": speed_vectors.autoencoder, "vae": speed_vectors.vae,
    "gan": speed_vectors.gan, "score": speed_scoring.score, "decode": speed_decoding.decode,
}


def main():
    data = Data()
    for line in sys.stdin:
        command = json.loads(line)
        torch.set_num_threads(command["threads"])
        torch.manual_seed(command["seed"])
        answer = WORKS[command["work"]](command, data.use(command.get("data")))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
