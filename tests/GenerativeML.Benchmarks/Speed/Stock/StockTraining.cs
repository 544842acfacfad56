using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Training on tables of numbers, an autoencoder, a VAE, a Wasserstein GAN with gradient penalty; and on images, a DCGAN.
/// </summary>
internal static class StockTraining
{
    /// <summary>An epoch: from the table as it is to trained networks, which is what the clock covers.</summary>
    public static SpeedAnswer Autoencoder(JsonObject command, Tensor table)
    {
        var clock = new StockClock(0);
        using TorchSharp.DisposeScope outer = NewDisposeScope();
        Tensor rows = Standardized(table);
        long count = rows.shape[0], width = rows.shape[1];
        int members = command["members"]!.GetValue<int>(), latent = command["latent"]!.GetValue<int>();
        double low = Number(command, "low_noise"), high = Number(command, "high_noise"), masked = Number(command, "masking");
        bool hasLevels = high > low;
        long seen = width * (masked > 0 ? 2 : 1) + (hasLevels ? 1 : 0);
        long[] hidden = Widths(command);
        Sequential[] networks = [.. Enumerable.Range(0, members).Select(_ =>
        {
            (string, nn.Module<Tensor, Tensor>)[] layers =
            [
                .. Perceptron([seen, .. hidden, latent], Activation(command)),
                .. Perceptron([latent, .. hidden.Reverse(), width], Activation(command)),
            ];
            return nn.Sequential(layers.Select((layer, i) => ($"{i}", layer.Item2)));
        })];
        using var recipe = new StockRecipe(command, networks);
        int step = 0;
        foreach (Tensor chosen in randperm(count).split(command["batch"]!.GetValue<int>()))
        {
            if (step == command["steps"]!.GetValue<int>())
                break;
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            Tensor clean = rows[chosen];
            Tensor loss = stack(networks.Select(network => Error(network, clean))).mean();
            recipe.Move(loss, step++);
            clock.Count(("loss", loss));
        }
        return clock.Answer(all: true);

        Tensor Error(Sequential network, Tensor clean)
        {
            long batch = clean.shape[0];
            if (!hasLevels)
                return (network.call(clean + high * randn_like(clean)) - clean).square().mean();
            Tensor level = empty(batch, 1).uniform_(Math.Log(low), Math.Log(high));
            Tensor deviation = level.exp();
            Tensor share = empty(batch, 1).uniform_(0, masked) * bernoulli(full(batch, 1, 0.5f));
            Tensor hides = rand_like(clean).lt(share);
            Tensor noisy = (clean + randn_like(clean) * deviation).masked_fill(hides, 0);
            Tensor made = network.call(cat([noisy, hides.to(float32), level], 1));
            return ((made - clean).square() / (deviation.square() + 0.1)).mean();
        }
    }

    public static SpeedAnswer Vae(JsonObject command, Tensor rows)
    {
        long width = rows.shape[1], hidden = Widths(command)[0], latent = command["latent"]!.GetValue<int>();
        Sequential encoder = nn.Sequential(nn.Linear(width, hidden), nn.ReLU());
        Linear muOf = nn.Linear(hidden, latent), logVarOf = nn.Linear(hidden, latent), last = nn.Linear(hidden, width);
        Sequential decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), last);
        Tensor mean = rows.mean([0]);
        using (no_grad())
            last.bias!.copy_(mean.clamp(1e-3, 1 - 1e-3).logit());
        using var recipe = new StockRecipe(command, encoder, muOf, logVarOf, decoder);
        return Train(command, rows, (x, step) =>
        {
            Tensor h = encoder.call(x - mean);
            Tensor mu = muOf.call(h), logVar = logVarOf.call(h).clamp(-14, 14);
            Tensor z = mu + (0.5 * logVar).exp() * randn_like(mu);
            Tensor reconstruction =
                F.binary_cross_entropy_with_logits(decoder.call(z), x, reduction: nn.Reduction.Sum);
            Tensor divergence = 0.5 * (mu.square() + logVar.exp() - logVar - 1).sum();
            Tensor loss = (reconstruction + divergence) / x.shape[0];
            recipe.Move(loss, step);
            return [("loss", loss)];
        });
    }

    public static SpeedAnswer Gan(JsonObject command, Tensor table)
    {
        Tensor rows = Standardized(table);
        long width = rows.shape[1], noise = command["noise"]!.GetValue<int>();
        int every = command["critic_steps"]!.GetValue<int>();
        double weight = Number(command, "penalty"), decay = Number(command, "average_decay");
        Sequential generator = nn.Sequential(Perceptron([noise, .. Widths(command), width], () => nn.ReLU()));
        Sequential critic = nn.Sequential(Perceptron([width, .. Widths(command), 1], () => nn.ReLU()));
        var average = new StockAverage(generator, decay);
        using StockRecipe generated = new(command, generator), judged = new(command, critic);
        return Train(command, rows, (real, step) =>
        {
            long count = real.shape[0];
            Tensor fake = generator.call(randn(count, noise)).detach();
            Tensor between = fake.lerp(real, rand(count, 1)).requires_grad_();
            Tensor game = critic.call(fake).mean() - critic.call(real).mean();
            Tensor gradient = autograd.grad(
                [critic.call(between).sum()], [between], retain_graph: true, create_graph: true)[0];
            Tensor penalty = weight * (gradient.norm(1) - 1).square().mean();
            judged.Move(game + penalty, step);
            if ((step + 1) % every == 0)
            {
                generated.Move(-critic.call(generator.call(randn(count, noise))).mean(), step);
                average.Update(step / every);
            }
            return [("discriminator", game), ("gradient penalty", penalty)];
        });
    }

    public static SpeedAnswer ImageGan(JsonObject command, Tensor pixels)
    {
        long side = command["side"]!.Deserialize<long>(), noise = command["noise"]!.Deserialize<long>();
        long[] channels = command["channels"]!.Deserialize<long[]>()!; // after each of two halvings
        long inner = channels[1] * (side / 4) * (side / 4);
        Sequential generator = nn.Sequential(
            nn.Linear(noise, inner), nn.Unflatten(1, [channels[1], side / 4, side / 4]),
            nn.BatchNorm2d(channels[1]), nn.ReLU(), nn.ConvTranspose2d(channels[1], channels[0], 4, 2, 1),
            nn.BatchNorm2d(channels[0]), nn.ReLU(), nn.ConvTranspose2d(channels[0], 1, 4, 2, 1), nn.Tanh());
        Sequential discriminator = nn.Sequential(
            nn.Conv2d(1, channels[0], 5, 2, 2), nn.LeakyReLU(0.2),
            nn.Conv2d(channels[0], channels[1], 5, 2, 2), nn.BatchNorm2d(channels[1]), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(inner, 1));
        foreach (Parameter value in generator.parameters().Concat(discriminator.parameters()))
        {
            if (value.dim() > 1)
                nn.init.normal_(value, 0, 0.02);
        }
        foreach ((string name, Parameter value) in generator.named_parameters().Concat(discriminator.named_parameters()))
        {
            if (name.EndsWith("bias", StringComparison.Ordinal))
                nn.init.zeros_(value);
        }
        var average = new StockAverage(generator, Number(command, "average_decay"));
        using StockRecipe generated = new(command, generator), judged = new(command, discriminator);
        Tensor images = pixels.view(-1, 1, side, side) * 2 - 1;
        return Train(command, images, (real, step) =>
        {
            Tensor yes = ones(real.shape[0], 1), no = zeros(real.shape[0], 1);
            Tensor fake = generator.call(randn(real.shape[0], noise));
            Tensor game = F.binary_cross_entropy_with_logits(discriminator.call(real), yes)
                + F.binary_cross_entropy_with_logits(discriminator.call(fake.detach()), no);
            judged.Move(game, step);
            Tensor fooled = F.binary_cross_entropy_with_logits(discriminator.call(fake), yes);
            generated.Move(fooled, step);
            average.Update(step);
            return [("discriminator", game), ("generator", fooled)];
        });
    }

    // Epoch after epoch in random order, until the steps are done.
    private static SpeedAnswer Train(
        JsonObject command, Tensor rows, Func<Tensor, int, (string, Tensor)[]> move)
    {
        var clock = new StockClock(command["skipped"]!.GetValue<int>());
        int steps = command["steps"]!.GetValue<int>();
        for (int step = 0; step < steps;)
        {
            using TorchSharp.DisposeScope epoch = NewDisposeScope();
            foreach (Tensor chosen in randperm(rows.shape[0]).split(command["batch"]!.GetValue<int>()))
            {
                if (step == steps)
                    break;
                using TorchSharp.DisposeScope scope = NewDisposeScope();
                clock.Count(move(rows[chosen], step++));
            }
        }
        return clock.Answer();
    }

    // Zero mean, unit deviation, and beyond five deviations the logarithm.
    private static Tensor Standardized(Tensor rows)
    {
        Tensor z = (rows - rows.mean([0])) / rows.std(0, unbiased: false);
        return z.clamp(-5, 5) + z.sign() * (z.abs() - 5).clamp_min(0).log1p();
    }

    private static (string, nn.Module<Tensor, Tensor>)[] Perceptron(
        long[] widths, Func<nn.Module<Tensor, Tensor>> activation)
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 0; i + 1 < widths.Length; i++)
        {
            layers.Add(($"{layers.Count}", nn.Linear(widths[i], widths[i + 1])));
            if (i + 2 < widths.Length)
                layers.Add(($"{layers.Count}", activation()));
        }
        return [.. layers];
    }

    private static Func<nn.Module<Tensor, Tensor>> Activation(JsonObject command) =>
        command["activation"]!.GetValue<string>() == "silu" ? () => nn.SiLU() : () => nn.ReLU();

    private static long[] Widths(JsonObject command) => command["hidden"]!.Deserialize<long[]>()!;

    private static double Number(JsonObject command, string name) => command[name]!.Deserialize<double>();
}

/// <summary>A running mean of a network's parameters, of which the first steps are soon forgotten.</summary>
internal sealed class StockAverage(nn.Module network, double decay)
{
    private readonly Tensor[] _means = [.. network.parameters().Select(p => p.detach().clone())];

    /// <summary>After step number <paramref name="step"/>.</summary>
    public void Update(int step)
    {
        double kept = Math.Min(decay, (1 + step) / (10.0 + step));
        using IDisposable noGradient = no_grad();
        foreach ((Tensor mean, Parameter now) in _means.Zip(network.parameters()))
            mean.lerp_(now, 1 - kept);
    }
}
