"""Scores by the weights of an autoencoder that the C# side has trained, for speed_peer.py: the same function in torch."""

import math
import time

import torch
import torch.nn.functional as F

from speed_vectors import ACTIVATIONS

NEAR, FAR, FAR_SHARE = 5, 128, 0.2  # neighbours that count, and the stored rows that are asked for many


class Detector(torch.nn.Module):
    """Reconstruction error, and distances to stored rows, each part in units of its usual size."""

    def __init__(self, command, weights):
        super().__init__()
        self.activation = ACTIVATIONS[command["activation"]]
        self.members, self.level, self.masks = command["members"], command["level"], command["masks"]
        self.mean, self.scale = weights["input_mean"], weights["input_scale"]
        self.part = weights["part_weight"].tolist()
        self.memory = weights["memory"]
        self.squares = self.memory.square().sum(1)
        self.few = self.memory[:FAR]
        # (M, outputs, inputs) → what baddbmm takes, or for one network what linear takes
        stacks = [name.removesuffix(".weight") for part in ("encoder", "decoder")
                  for name in sorted(weights) if name.startswith(part + ".") and name.endswith(".weight")]
        pairs = [(weights[name + ".weight"], weights[name + ".bias"]) for name in stacks]
        self.layers = [
            (w.transpose(1, 2).contiguous(), b) if self.members > 1 else (w, b) for w, b in pairs]

    def dense(self, x, layer):
        return torch.baddbmm(layer[1], x, layer[0]) if self.members > 1 else F.linear(x, *layer)

    def reconstructed(self, z):
        x = z
        if self.masks or self.level is not None:
            parts = [z]
            if self.masks:
                parts.append(torch.zeros_like(z))
            if self.level is not None:
                parts.append(torch.full((len(z), 1), self.level))
            x = torch.cat(parts, 1)
        if self.members > 1:
            x = x.expand(self.members, *x.shape)
        middle = len(self.layers) // 2 - 1
        for i, layer in enumerate(self.layers):
            x = self.dense(x, layer)
            if i != middle and i != len(self.layers) - 1:
                x = self.activation(x)
        return x

    def forward(self, rows):
        z = ((rows - self.mean) * self.scale)
        z = z.clamp(-5, 5) + z.sign() * (z.abs() - 5).clamp_min(0).log1p()
        error = (self.reconstructed(z) - z).square()
        if self.members > 1:
            error = error.mean(0)
        score = error.sum(1) * self.part[0]
        if len(self.memory) == 0:
            return score
        distances = torch.addmm(self.squares, z, self.memory.t(), alpha=-2)
        near = min(NEAR, len(self.memory) // 4)
        if near > 0:
            chosen = distances.topk(near + 1, dim=1, largest=False, sorted=False).indices
            exact = (z.unsqueeze(1) - self.memory[chosen]).square().sum(2).sort(dim=1).values
            # A stored row that is the row itself does not count; without one, the farthest goes.
            itself = exact[:, 0] < 1e-6 * self.memory.shape[1]
            total = exact.sum(1) - torch.where(itself, exact[:, 0], exact[:, -1])
            score = torch.add(score, total, alpha=self.part[1] / near)
        far = math.ceil(FAR_SHARE * len(self.few))
        # The row's own square was left out of the distances: it is the same for all stored rows.
        total = distances[:, :len(self.few)].topk(far, dim=1, largest=False, sorted=False).values.mean(1)
        total = (total + z.square().sum(1)).clamp_min(0)
        return torch.add(score, total, alpha=self.part[2])


def score(command, data):
    """Scores rows in batches; of one row, as a service would, with a result that is a number."""
    model = data.model(command, Detector)
    rows, batch = data["rows"][:command["count"]], command["batch"]
    with torch.inference_mode():
        if batch == 1:
            single = list(rows.split(1))
            for x in single[:20]:
                model(x)
            start = time.perf_counter()
            scores = [model(x).item() for x in single]
            seconds = time.perf_counter() - start
        else:
            start = time.perf_counter()
            scored = torch.empty(len(rows))
            for first in range(0, len(rows), batch):
                scored[first:first + batch] = model(rows[first:first + batch])
            seconds = time.perf_counter() - start
            scores = scored[:command["shown"]].tolist()
    return {"seconds": seconds / len(rows), "scores": scores[:command["shown"]]}
