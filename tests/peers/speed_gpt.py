"""Training steps of a GPT for speed_peer.py: GPT-2's network without biases, by nanoGPT's recipe."""

import math

import torch
import torch.nn.functional as F

from speed_training import Clock, Recipe, precision


class Gpt:
    def __init__(self, vocabulary, context, layers, heads, width):
        self.heads, self.width = heads, width
        residual = 0.02 / math.sqrt(2 * layers)
        self.tokens = self.normal(vocabulary, width)
        self.positions = self.normal(context, width)
        self.blocks = [
            (
                self.ones(width), self.normal(3 * width, width), self.normal(width, width, residual),
                self.ones(width), self.normal(4 * width, width), self.normal(width, 4 * width, residual),
            )
            for _ in range(layers)]
        self.final = self.ones(width)
        # Added to the scores of what lies ahead; baddbmm does it together with the product and its scale.
        self.mask = torch.full((context, context), float("-inf")).triu(1)

    @staticmethod
    def normal(rows, columns, deviation=0.02):
        return (deviation * torch.randn(rows, columns)).requires_grad_()

    @staticmethod
    def ones(width):
        return torch.ones(width).requires_grad_()

    def parameters(self):
        return [self.tokens, self.positions, *(p for block in self.blocks for p in block), self.final]

    def norm(self, x, weight):
        return F.layer_norm(x, (self.width,), weight, None, 1e-5)

    def attention(self, x, weight):
        batch, length, width = x.shape
        size = width // self.heads
        # (3, B·heads, T, size) in one copy
        q, k, v = F.linear(x, weight).view(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4).reshape(
            3, batch * self.heads, length, size)
        scores = torch.baddbmm(self.mask.to(q.dtype), q, k.transpose(1, 2), alpha=1 / math.sqrt(size))
        mixed = scores.softmax(-1) @ v
        return mixed.view(batch, self.heads, length, size).transpose(1, 2).reshape(batch, length, width)

    def loss(self, windows):
        inputs, targets = windows[:, :-1], windows[:, 1:]
        x = F.embedding(inputs, self.tokens) + self.positions
        for norm1, attention, out, norm2, hidden, hidden_out in self.blocks:
            x = x + F.linear(self.attention(self.norm(x, norm1), attention), out)
            x = x + F.linear(F.gelu(F.linear(self.norm(x, norm2), hidden)), hidden_out)
        logits = F.linear(self.norm(x, self.final), self.tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def train(command, data):
    tokens = data["tokens"]
    context, batch = command["context"], command["batch"]
    model = Gpt(command["vocabulary"], context, command["layers"], command["heads"], command["width"])
    recipe = Recipe(model.parameters(), command)
    windows = tokens.unfold(0, context + 1, 1)  # a view: every window of the text
    clock = Clock(command["skipped"])
    for step in range(command["steps"]):
        drawn = windows[torch.randint(len(windows), (batch,))]
        with precision(command["bf16"]):
            loss = model.loss(drawn)
        recipe.move(loss, step)
        clock.count(loss=loss)
    return clock.answer()
