"""What the training works of speed_peer.py have in common: the optimizer's recipe and the clock."""

import contextlib
import math
import time

import torch


def precision(bf16):
    """Mixed precision as PyTorch does it, or nothing."""
    return torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()


def linear_parameters(inputs, outputs, members=None):
    """Weight and bias as torch.nn.Linear draws them; with members, stacked and laid out for baddbmm."""
    bound = 1 / math.sqrt(inputs)
    shapes = ((outputs, inputs), (outputs,)) if members is None else ((members, inputs, outputs), (members, 1, outputs))
    return [torch.empty(shape).uniform_(-bound, bound).requires_grad_() for shape in shapes]


def is_matrix(parameter):
    return parameter.dim() >= 2 and parameter.shape[-2] > 1


class Recipe:
    """AdamW with decay of matrices alone, a bounded gradient norm, and a learning rate that rises and then falls."""

    def __init__(self, parameters, of):
        self.parameters = list(parameters)
        self.of = of
        decay = of["decay"]
        groups = [
            {"params": [p for p in self.parameters if is_matrix(p)], "weight_decay": decay},
            {"params": [p for p in self.parameters if not is_matrix(p)], "weight_decay": 0.0},
        ] if decay > 0 else self.parameters
        # One call for all parameters of a group.
        self.optimizer = torch.optim.AdamW(
            groups, lr=of["rate"], betas=tuple(float(b) for b in of["betas"]), weight_decay=decay, fused=True)

    def rate(self, step):
        """Linear warm-up, then constant or half a cosine down to the floor."""
        peak, floor, steps, warm = self.of["rate"], self.of["floor"], self.of["steps"], self.of["warmup_steps"]
        if step < warm:
            return peak * (step + 1) / (warm + 1)
        if self.of["schedule"] == "constant":
            return peak
        done = (step - warm) / max(1, steps - 1 - warm)
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))

    def move(self, loss, step):
        """Back from a loss, and one update."""
        self.optimizer.zero_grad(set_to_none=True)
        # With inputs, gradients of other networks' weights on the way are not computed.
        loss.backward(inputs=self.parameters)
        if self.of["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.of["clip"])
        rate = self.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


class Clock:
    """Seconds of a step after the first few, and every step's losses, which are read when the clock has stopped."""

    def __init__(self, skipped):
        self.skipped = skipped
        self.losses = {}
        self.steps = 0
        self.start = time.perf_counter()

    def count(self, **losses):
        for name, loss in losses.items():
            self.losses.setdefault(name, []).append(loss.detach())
        self.steps += 1
        if self.steps == self.skipped:
            self.start = time.perf_counter()

    def answer(self):
        elapsed = time.perf_counter() - self.start
        return {
            "seconds": elapsed / (self.steps - self.skipped),
            "losses": {name: torch.stack(values).float().tolist() for name, values in self.losses.items()},
        }
