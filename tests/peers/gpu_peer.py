#!/usr/bin/env python3
"""A training step of GenerativeML.GpuCheck in PyTorch, as it is usually written, eager or compiled.

    gpu_peer.py <eager|compile> <cpu|cuda> <work as JSON>      answers with one line of JSON
"""

import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.attention(self.norm1(x)).split(width, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.output(F.gelu(self.hidden(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, work):
        super().__init__()
        self.tokens = nn.Embedding(work["Vocabulary"], work["Width"])
        self.positions = nn.Embedding(work["Context"], work["Width"])
        self.blocks = nn.ModuleList(Block(work["Width"], work["Heads"]) for _ in range(work["Layers"]))
        self.final = nn.LayerNorm(work["Width"])
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, windows):
        inputs, targets = windows[:, :-1], windows[:, 1:]
        x = self.tokens(inputs) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def gpt(work, device, prepare):
    network = Gpt(work).to(device)
    forward = prepare(network)
    adam = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.1, fused=device == "cuda")
    windows = torch.randint(0, 30, (200_000,), device=device).unfold(0, work["Context"] + 1, 1)

    def step(i):
        with torch.autocast(device, torch.bfloat16, enabled=work["Precision"] == "bf16"):
            loss = forward(windows[torch.randint(len(windows), (work["Batch"],), device=device)])
        return move(adam, loss)
    return step


def vae(work, device, prepare):
    encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)).to(device)
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784)).to(device)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=device == "cuda")
    count = 10 * work["Batch"]
    images = (torch.rand(count, 784, device=device) < torch.rand(count, 1, device=device)).float()

    def negative_elbo(x):
        mu, log_var = encoder(x).chunk(2, dim=1)
        logits = decoder(mu + (0.5 * log_var).exp() * torch.randn_like(mu))
        kl = 0.5 * (mu.square() + log_var.exp() - log_var - 1).sum()
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl) / len(x)

    forward = prepare(negative_elbo)
    return lambda i: move(adam, forward(batch(images, i, work["Batch"])))


def gan(work, device, prepare):
    def perceptron(inputs, outputs):
        return nn.Sequential(
            nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs)).to(device)

    size, generator, critic = work["Batch"], perceptron(8, 2), perceptron(2, 1)
    judge, make = (
        torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.0, 0.9), fused=device == "cuda")
        for network in (critic, generator))
    angles = torch.randint(0, 8, (10 * size, 1), device=device) * (math.pi / 4)
    points = torch.cat([angles.cos(), angles.sin()], 1) + 0.05 * torch.rand(10 * size, 2, device=device)
    # torch.compile has no second derivatives: the penalty's network stays eager.
    generate, of_critic = prepare(generator), prepare(critic)

    def step(i):
        real, fake = batch(points, i, size), generate(torch.randn(size, 8, device=device)).detach()
        between = torch.lerp(fake, real, torch.rand(size, 1, device=device)).requires_grad_()
        gradient = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
        loss = of_critic(fake).mean() - of_critic(real).mean() + 0.1 * (gradient.norm(dim=1) - 1).square().mean()
        move(judge, loss)
        if (i + 1) % 3 == 0:
            move(make, -of_critic(generate(torch.randn(size, 8, device=device))).mean())
        return loss
    return step


def batch(rows, step, size):
    return rows[step % 10 * size:(step % 10 + 1) * size]


def move(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss


def main(engine, device, work):
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = work["Precision"] == "tf32"
    prepare = (lambda function: torch.compile(function, dynamic=False)) if engine == "compile" else lambda f: f
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    step = {"gpt": gpt, "vae": vae, "gan": gan}[work["Kind"]](work, device, prepare)
    skipped = work["Steps"] // 3
    for i in range(work["Steps"]):
        if i == skipped:
            wait()
            start = time.perf_counter()
        loss = step(i)
    wait()
    seconds = time.perf_counter() - start
    print(json.dumps({
        "Work": work["Name"], "Engine": engine, "Milliseconds": 1000 * seconds / (work["Steps"] - skipped),
        "Loss": loss.item(), "Megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
