"""Training on tables of numbers for speed_peer.py: an autoencoder, a VAE, a Wasserstein GAN with gradient penalty."""

import math
import time

import torch
import torch.nn.functional as F

from speed_training import Clock, Recipe, linear_parameters, precision

ACTIVATIONS = {"relu": F.relu, "silu": F.silu}


def standardized(rows):
    """Zero mean, unit deviation, and beyond five deviations the logarithm."""
    z = (rows - rows.mean(0)) / rows.std(0, unbiased=False)
    beyond = (z.abs() - 5).clamp_min(0)
    return z.clamp(-5, 5) + z.sign() * beyond.log1p()


def layers(widths, members=None):
    return [linear_parameters(a, b, members) for a, b in zip(widths, widths[1:])]


def flat(*stacks):
    return [p for stack in stacks for pair in stack for p in pair]


def perceptron(x, stack, activation):
    for weight, bias in stack[:-1]:
        x = activation(F.linear(x, weight, bias))
    return F.linear(x, *stack[-1])


def several_perceptrons(x, stack, activation):
    for weight, bias in stack[:-1]:
        x = activation(torch.baddbmm(bias, x, weight))
    return torch.baddbmm(stack[-1][1], x, stack[-1][0])


def autoencoder(command, data):
    """An epoch: from the table as it is to trained networks, which is what the clock covers."""
    start = time.perf_counter()
    rows = standardized(data["rows"])
    count, width = rows.shape
    members, low, high, masked = command["members"], command["low_noise"], command["high_noise"], command["masking"]
    has_levels = high > low
    given = width * (2 if masked > 0 else 1) + (1 if has_levels else 0)
    several = members > 1
    inner = command["hidden"]
    network = layers([given, *inner, command["latent"], *reversed(inner), width], members if several else None)
    middle = len(inner) + 1
    forward = several_perceptrons if several else perceptron
    activation = ACTIVATIONS[command["activation"]]
    recipe = Recipe(flat(network), command)
    clock = Clock(0)
    batch = command["batch"]
    for step, chosen in enumerate(torch.randperm(count).split(batch)[:command["steps"]]):
        clean = rows[chosen]
        shape = (members, *clean.shape) if several else clean.shape
        per_row = (*shape[:-1], 1)
        weight = None
        if has_levels:
            level = torch.empty(per_row).uniform_(math.log(low), math.log(high))
            deviation = level.exp()
            weight = 1 / (deviation.square() + 0.1)
            noisy = torch.addcmul(clean, torch.randn(shape), deviation)
        else:
            noisy = torch.add(clean, torch.randn(shape), alpha=high)
        if masked > 0:
            share = torch.empty(per_row).uniform_(0, masked) * torch.empty(per_row).bernoulli_(0.5)
            hidden = torch.rand(shape) < share
            noisy = torch.cat([noisy.masked_fill(hidden, 0), hidden.float(), level], -1)
        with precision(command["bf16"]):
            code = forward(noisy, network[:middle], activation)
            made = forward(code, network[middle:], activation)
        error = (made - clean).square()
        loss = (error if weight is None else error * weight).mean()
        recipe.move(loss, step)
        clock.count(loss=loss)
    answer = clock.answer()
    answer["seconds"] = time.perf_counter() - start
    return answer


def vae(command, data):
    rows = data["rows"]
    width, (hidden,), latent, batch = rows.shape[1], command["hidden"], command["latent"], command["batch"]
    (inwards, mean_of, variance_of, outwards, out) = (
        linear_parameters(*sizes)
        for sizes in ((width, hidden), (hidden, latent), (hidden, latent), (latent, hidden), (hidden, width)))
    # Both sides look at centred pixels, and start from each pixel's mean.
    mean = rows.mean(0)
    share = mean.clamp(1e-3, 1 - 1e-3)
    with torch.no_grad():
        out[1].copy_(share.log() - (1 - share).log())
    recipe = Recipe([*inwards, *mean_of, *variance_of, *outwards, *out], command)
    clock = Clock(command["skipped"])
    step = 0
    while step < command["steps"]:
        for chosen in torch.randperm(len(rows)).split(batch):
            if step == command["steps"]:
                break
            x = rows[chosen]
            with precision(command["bf16"]):
                h = F.relu(F.linear(x - mean, *inwards))
                mu, variance = F.linear(h, *mean_of), F.linear(h, *variance_of).clamp(-14, 14)
                code = torch.addcmul(mu, (0.5 * variance).exp(), torch.randn_like(mu))
                logits = F.linear(F.relu(F.linear(code, *outwards)), *out)
            reconstruction = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum")
            mu, variance = mu.float(), variance.float()
            kl = 0.5 * (mu.square() + variance.exp() - variance - 1).sum()
            loss = (reconstruction + kl) / len(x)
            recipe.move(loss, step)
            clock.count(loss=loss)
            step += 1
    return clock.answer()


def gan(command, data):
    rows = standardized(data["rows"])
    width, noise, batch, every = rows.shape[1], command["noise"], command["batch"], command["critic_steps"]
    generator = layers([noise, *command["hidden"], width])
    critic = layers([width, *command["hidden"], 1])
    average = [p.detach().clone() for p in flat(generator)]
    generated_by, judged_by = Recipe(flat(generator), command), Recipe(flat(critic), command)
    clock = Clock(command["skipped"])
    step = 0
    while step < command["steps"]:
        for chosen in torch.randperm(len(rows)).split(batch):
            if step == command["steps"]:
                break
            real = rows[chosen]
            count = len(real)
            with precision(command["bf16"]):
                with torch.no_grad():
                    made = perceptron(torch.randn(count, noise), generator, F.relu).float()
                between = torch.lerp(made, real, torch.rand(count, 1)).requires_grad_()
                # Both kinds in one pass; the others by themselves, since their graph is gone through twice.
                of_real, of_made = perceptron(torch.cat([real, made]), critic, F.relu).float().split(count)
                game = of_made.mean() - of_real.mean()
                of_between = perceptron(between, critic, F.relu).float()
                slope = torch.autograd.grad(of_between.sum(), between, create_graph=True)[0]
                norm = (slope.square().sum(1) + 1e-12).sqrt()
                penalty = command["penalty"] * (norm - 1).square().mean()
            judged_by.move(game + penalty, step)
            clock.count(**{"discriminator": game, "gradient penalty": penalty})
            if (step + 1) % every == 0:
                with precision(command["bf16"]):
                    loss = -perceptron(
                        perceptron(torch.randn(count, noise), generator, F.relu), critic, F.relu).float().mean()
                generated_by.move(loss, step)
                kept = min(command["average_decay"], (1 + step // every) / (10 + step // every))
                torch._foreach_mul_(average, kept)
                torch._foreach_add_(average, [p.detach() for p in flat(generator)], alpha=1 - kept)
            step += 1
    return clock.answer()
