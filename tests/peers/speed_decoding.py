"""Texts from a GPT for speed_peer.py, one at a time, with a preallocated key-value cache."""

import math
import time

import torch
import torch.nn.functional as F


class Decoder:
    def __init__(self, command, weights):
        self.heads = command["heads"]
        self.tokens = weights["wte.weight"]
        self.positions = weights["wpe.weight"]
        self.context, self.width = self.positions.shape
        self.final = self.pair(weights, "ln_f")
        parts = ["ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
        layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("h."))
        self.blocks = [[self.pair(weights, f"h.{i}.{part}") for part in parts] for i in range(layers)]
        size = (layers, self.heads, self.context, self.width // self.heads)
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
            y = F.gelu(F.linear(self.norm(x, norm2), *hidden))
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


def decode(command, data):
    decoder = data.model(command, Decoder)
    texts, length = command["texts"], command["length"]
    with torch.inference_mode():
        decoder.text(0, length, draw)
        start = time.perf_counter()
        for token in range(texts):
            decoder.text(token, length, draw)
        seconds = time.perf_counter() - start
        greedy = [token for first in command["greedy"] for token in decoder.text(first, length, likeliest)]
    return {"seconds": seconds / (texts * length), "scores": greedy}
