#!/usr/bin/env python3
"""Generates from a GPT with PyTorch, one sequence at a time, with a preallocated key-value cache, for the benchmark of
the decoder in managed code. Weights come from a safetensors file with GPT-2's names.

    decode_peer.py WEIGHTS HEADS GELU THREADS

then reads commands from its input, one in a line, and answers each with a line of JSON:

    greedy TOKEN COUNT       the likeliest continuation of a token
    time TEXTS COUNT         seconds for TEXTS texts of COUNT tokens each, drawn at temperature 1
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F

from safetensors_peer import read


class Decoder:
    def __init__(self, weights, heads, gelu):
        self.heads = heads
        self.gelu = gelu
        self.tokens = weights["wte.weight"]
        self.positions = weights["wpe.weight"]
        self.context, self.width = self.positions.shape
        self.final = self.pair(weights, "ln_f")
        parts = ["ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
        layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("h."))
        self.blocks = [[self.pair(weights, f"h.{i}.{part}") for part in parts] for i in range(layers)]
        size = (layers, heads, self.context, self.width // heads)
        self.keys = torch.zeros(size)
        self.values = torch.zeros(size)

    @staticmethod
    def pair(weights, name):
        return weights[f"{name}.weight"], weights.get(f"{name}.bias")

    def norm(self, x, pair):
        return F.layer_norm(x, (self.width,), *pair, 1e-5)

    def step(self, token, at):
        """Logits after one more token."""
        x = self.tokens[token] + self.positions[at]
        scale = 1 / math.sqrt(self.width // self.heads)
        for i, (norm1, attention, out, norm2, hidden, hidden_out) in enumerate(self.blocks):
            q, k, v = F.linear(self.norm(x, norm1), *attention).view(3, self.heads, 1, -1)
            self.keys[i, :, at] = k[:, 0]
            self.values[i, :, at] = v[:, 0]
            scores = q @ self.keys[i, :, :at + 1].transpose(1, 2) * scale
            x = x + F.linear((scores.softmax(-1) @ self.values[i, :, :at + 1]).view(self.width), *out)
            y = F.gelu(F.linear(self.norm(x, norm2), *hidden), approximate=self.gelu)
            x = x + F.linear(y, *hidden_out)
        return F.linear(self.norm(x, self.final), self.tokens)

    def text(self, token, count, choose):
        text = []
        for at in range(count):
            token = choose(self.step(token, at))
            text.append(token)
        return text


def draw(logits):
    return torch.multinomial(torch.softmax(logits, -1), 1).item()


def likeliest(logits):
    return logits.argmax().item()


def main(path, heads, gelu, threads):
    torch.set_num_threads(int(threads))
    decoder = Decoder(read(path)[0], int(heads), gelu)
    for line in sys.stdin:
        command, *numbers = line.split()
        with torch.inference_mode():
            if command == "greedy":
                answer = decoder.text(int(numbers[0]), int(numbers[1]), likeliest)
            else:
                start = time.perf_counter()
                for i in range(int(numbers[0])):
                    decoder.text(i % len(decoder.tokens), int(numbers[1]), draw)
                answer = time.perf_counter() - start
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
