#!/usr/bin/env python3
"""A GPT of our own in plain torch, written from the papers and apart from the C# one, so that the two check each other.

    gpt_peer.py expect OUT      the figures that the tests compare with: a tiny network with weights from a formula,
                                its logits, the gradient of every weight, and the weights after ten steps of AdamW;
                                with GELU in both forms, with and without biases
"""

import json
import math
import sys

import torch
from torch.nn.functional import cross_entropy, gelu, layer_norm

VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH = 7, 5, 2, 2, 4
TOKENS = [[1, 4, 2, 0, 6, 3], [5, 5, 1, 2, 3, 0], [6, 0, 4, 4, 2, 1]]
# With AdamW's usual epsilon, biases of keys, which have no influence and so no gradient but rounding, would be moved by
# that rounding.
RATE, BETA1, BETA2, EPSILON, DECAY, STEPS = 0.01, 0.9, 0.99, 1e-4, 0.1, 10


def shapes(biases):
    """Names and shapes, matrices (outputs, inputs), in the order of the computation."""
    def layer(name, *shape):
        yield name + ".weight", shape
        if biases:
            yield name + ".bias", shape[:1]

    yield "wte.weight", (VOCABULARY, WIDTH)
    yield "wpe.weight", (CONTEXT, WIDTH)
    for i in range(LAYERS):
        yield from layer(f"h.{i}.ln_1", WIDTH)
        yield from layer(f"h.{i}.attn.c_attn", 3 * WIDTH, WIDTH)
        yield from layer(f"h.{i}.attn.c_proj", WIDTH, WIDTH)
        yield from layer(f"h.{i}.ln_2", WIDTH)
        yield from layer(f"h.{i}.mlp.c_fc", 4 * WIDTH, WIDTH)
        yield from layer(f"h.{i}.mlp.c_proj", WIDTH, 4 * WIDTH)
    yield from layer("ln_f", WIDTH)


def formula(number, shape, is_scale):
    """Weights without a pattern that a mistake could keep: 0.3 sin(1.7 i + number), one more for scales."""
    count = math.prod(shape)
    values = [0.3 * math.sin(1.7 * i + number) + (1.0 if is_scale else 0.0) for i in range(count)]
    return torch.tensor(values, dtype=torch.float32).to(torch.float64).reshape(shape)


def network(biases):
    made = {}
    for number, (name, shape) in enumerate(shapes(biases)):
        made[name] = formula(number, shape, ".ln_" in "." + name and name.endswith("weight")).requires_grad_()
    return made


def forward(w, tokens, approximate):
    batch, length = tokens.shape
    x = w["wte.weight"][tokens] + w["wpe.weight"][:length]

    def norm(name, y):
        return layer_norm(y, (WIDTH,), w[name + ".weight"], w.get(name + ".bias"), 1e-5)

    def dense(name, y):
        z = y @ w[name + ".weight"].T
        return z + w[name + ".bias"] if name + ".bias" in w else z

    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    for i in range(LAYERS):
        q, k, v = dense(f"h.{i}.attn.c_attn", norm(f"h.{i}.ln_1", x)).split(WIDTH, dim=2)
        heads = []
        for h in range(HEADS):
            part = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(WIDTH / HEADS)
            heads.append(torch.softmax(scores.masked_fill(later, float("-inf")), -1) @ v[..., part])
        x = x + dense(f"h.{i}.attn.c_proj", torch.cat(heads, 2))
        inner = gelu(dense(f"h.{i}.mlp.c_fc", norm(f"h.{i}.ln_2", x)), approximate=approximate)
        x = x + dense(f"h.{i}.mlp.c_proj", inner)
    return norm("ln_f", x) @ w["wte.weight"].T


def loss_of(w, tokens, approximate):
    logits = forward(w, tokens[:, :-1], approximate)
    return logits, cross_entropy(logits.reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))


def expected(biases, approximate):
    tokens = torch.tensor(TOKENS)
    w = network(biases)
    logits, loss = loss_of(w, tokens, approximate)
    loss.backward()
    gradients = {name: numbers(value.grad) for name, value in w.items()}
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in w.values() if p.dim() == 2], "weight_decay": DECAY},
         {"params": [p for p in w.values() if p.dim() == 1], "weight_decay": 0.0}],
        lr=RATE, betas=(BETA1, BETA2), eps=EPSILON)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(w, tokens, approximate)[1].backward()
        optimizer.step()
    return {
        "biases": biases, "gelu": "Tanh" if approximate == "tanh" else "Erf", "loss": loss.item(),
        "logits": numbers(logits), "gradients": gradients,
        "after": {name: numbers(value) for name, value in w.items()},
    }


def numbers(tensor):
    return [float(f"{v:.8g}") for v in tensor.detach().reshape(-1).tolist()]


def main(arguments):
    if len(arguments) != 2 or arguments[0] != "expect":
        sys.exit(__doc__)
    torch.set_num_threads(1)
    cases = [expected(True, "tanh"), expected(False, "none")]
    with open(arguments[1], "w", encoding="utf-8") as file:
        json.dump({
            "vocabulary": VOCABULARY, "context": CONTEXT, "layers": LAYERS, "heads": HEADS, "width": WIDTH,
            "tokens": TOKENS, "rate": RATE, "beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON, "decay": DECAY,
            "steps": STEPS,
            "cases": cases,
        }, file)
        file.write("\n")


main(sys.argv[1:])
