using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace GenerativeML.Benchmarks;

/// <summary>
/// A GAN that others teach by, written plainly in TorchSharp with stock modules. It knows no labels; its noise has 100
/// numbers, and both networks are trained by Adam of 0.0002, β₁ 0.5 and β₂ 0.999.
/// </summary>
internal abstract class GanPeer
{
    private protected const int Noise = 100;
    private const double Rate = 2e-4, Beta1 = 0.5, Beta2 = 0.999;

    /// <summary>The recipes that there are.</summary>
    public static IReadOnlyList<GanPeer> All { get; } = [new DcganPeer(), new WassersteinPeer()];

    /// <summary>What it is called in tables.</summary>
    public abstract string Name { get; }

    private protected abstract int Batch { get; }

    /// <summary>The one that plays such a game, or what else learned images are compared with.</summary>
    public static GanPeer Of(GanObjective? objective) =>
        objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty ? All[1] : All[0];

    /// <summary>
    /// Trains on images from 0 to 1, so many steps of the generator, and gives what makes as many as are asked for.
    /// </summary>
    public Func<int, float[][]> Train(float[][] images, ImageShape shape, int steps, int seed)
    {
        manual_seed(seed);
        (Module<Tensor, Tensor> generator, Module<Tensor, Tensor> discriminator) = Networks(shape);
        using var judges = optim.Adam(discriminator.parameters(), Rate, Beta1, Beta2);
        using var makes = optim.Adam(generator.parameters(), Rate, Beta1, Beta2);
        var random = new Random(seed);
        for (int step = 0; step < steps; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            Step(generator, discriminator, Real, makes, judges);
        }
        generator.eval();
        return count =>
        {
            using IDisposable noGradient = no_grad();
            var all = new List<float[]>();
            while (all.Count < count)
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor made = generator.forward(Drawn()).add(1).div(2);
                all.AddRange(made.contiguous().data<float>().ToArray().Chunk((int)shape.Length));
            }
            return [.. all.Take(count)];
        };

        // A batch of real images, black −1 and white 1.
        Tensor Real()
        {
            float[] rows = [.. Enumerable.Range(0, Batch).SelectMany(_ => images[random.Next(images.Length)])];
            return tensor(rows).view(Batch, shape.Channels, shape.Height, shape.Width).mul(2).sub(1);
        }
    }

    private protected Tensor Drawn() => randn(Batch, Noise, 1, 1);

    /// <summary>Noise (B, Z, 1, 1) → images (B, C, H, W), and these → judgements.</summary>
    private protected abstract (Module<Tensor, Tensor> Generator, Module<Tensor, Tensor> Discriminator) Networks(ImageShape shape);

    /// <summary>A step of the generator, with those of the discriminator that belong to it.</summary>
    private protected abstract void Step(
        Module<Tensor, Tensor> generator, Module<Tensor, Tensor> discriminator, Func<Tensor> real, optim.Optimizer makes,
        optim.Optimizer judges);
}

/// <summary>
/// PyTorch's DCGAN tutorial (https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html), for images whose sides
/// are multiples of four: batches of 128, weights N(0, 0.02), the non-saturating game.
/// </summary>
internal sealed class DcganPeer : GanPeer
{
    private const int Width = 64;

    public override string Name => "DCGAN tutorial";

    private protected override int Batch => 128;

    private protected override (Module<Tensor, Tensor> Generator, Module<Tensor, Tensor> Discriminator) Networks(ImageShape shape)
    {
        if (shape.Height % 4 != 0 || shape.Width % 4 != 0)
            throw new ArgumentException("The tutorial's networks are for images whose sides are multiples of four.");
        (long h, long w) = (shape.Height / 4, shape.Width / 4);
        Module<Tensor, Tensor> generator = Sequential(
            ConvTranspose2d(Noise, 2 * Width, (h, w), bias: false), BatchNorm2d(2 * Width), ReLU(),
            ConvTranspose2d(2 * Width, Width, 4, 2, 1, bias: false), BatchNorm2d(Width), ReLU(),
            ConvTranspose2d(Width, shape.Channels, 4, 2, 1, bias: false), Tanh());
        Module<Tensor, Tensor> discriminator = Sequential(
            Conv2d(shape.Channels, Width, 4, 2, 1, bias: false), LeakyReLU(0.2),
            Conv2d(Width, 2 * Width, 4, 2, 1, bias: false), BatchNorm2d(2 * Width), LeakyReLU(0.2),
            Conv2d(2 * Width, 1, (h, w), bias: false), Flatten(0), Sigmoid());
        foreach (Module<Tensor, Tensor> network in new[] { generator, discriminator })
        {
            foreach ((string name, TorchSharp.Modules.Parameter value) in network.named_parameters())
            {
                if (value.dim() == 4)
                    init.normal_(value, 0, 0.02);
                else if (name.EndsWith("weight", StringComparison.Ordinal))
                    init.normal_(value, 1, 0.02);
            }
        }
        return (generator, discriminator);
    }

    private protected override void Step(
        Module<Tensor, Tensor> generator, Module<Tensor, Tensor> discriminator, Func<Tensor> real, optim.Optimizer makes,
        optim.Optimizer judges)
    {
        using var loss = BCELoss();
        Tensor ones = torch.ones(Batch), zeros = torch.zeros(Batch);
        judges.zero_grad();
        loss.forward(discriminator.forward(real()), ones).backward();
        Tensor made = generator.forward(Drawn());
        loss.forward(discriminator.forward(made.detach()), zeros).backward();
        judges.step();
        makes.zero_grad();
        loss.forward(discriminator.forward(made), ones).backward();
        makes.step();
    }
}

/// <summary>
/// PyTorch-GAN's WGAN-GP (https://github.com/eriklindernoren/PyTorch-GAN, <c>implementations/wgan_gp</c>): perceptrons, batches
/// of 64, five steps of the discriminator for each one of the generator, a penalty of weight ten.
/// </summary>
internal sealed class WassersteinPeer : GanPeer
{
    private const int DiscriminatorSteps = 5;
    private const double Penalty = 10, Slope = 0.2;
    private const double Epsilon = 0.8; // of its batch normalisation

    public override string Name => "PyTorch-GAN WGAN-GP";

    private protected override int Batch => 64;

    private protected override (Module<Tensor, Tensor> Generator, Module<Tensor, Tensor> Discriminator) Networks(ImageShape shape)
    {
        long[] widths = [128, 256, 512, 1024];
        var layers = new List<Module<Tensor, Tensor>> { Flatten(), Linear(Noise, widths[0]), LeakyReLU(Slope) };
        for (int i = 1; i < widths.Length; i++)
            layers.AddRange([Linear(widths[i - 1], widths[i]), BatchNorm1d(widths[i], Epsilon), LeakyReLU(Slope)]);
        layers.AddRange(
            [Linear(widths[^1], shape.Length), Tanh(), Unflatten(1, [shape.Channels, shape.Height, shape.Width])]);
        return (Sequential(layers), Sequential(
            Flatten(), Linear(shape.Length, 512), LeakyReLU(Slope), Linear(512, 256), LeakyReLU(Slope), Linear(256, 1)));
    }

    private protected override void Step(
        Module<Tensor, Tensor> generator, Module<Tensor, Tensor> discriminator, Func<Tensor> real, optim.Optimizer makes,
        optim.Optimizer judges)
    {
        Tensor noise = Drawn();
        for (int i = 0; i < DiscriminatorSteps; i++)
        {
            noise = Drawn();
            Tensor genuine = real(), made = generator.forward(noise).detach();
            Tensor share = rand(Batch, 1, 1, 1);
            Tensor between = (share * genuine + (1 - share) * made).requires_grad_();
            Tensor judged = discriminator.forward(between);
            Tensor gradient = autograd.grad([judged], [between], [ones_like(judged)], retain_graph: true, create_graph: true)[0];
            Tensor penalty = (gradient.view(Batch, -1).norm(1) - 1).square().mean();
            judges.zero_grad();
            (discriminator.forward(made).mean() - discriminator.forward(genuine).mean() + Penalty * penalty).backward();
            judges.step();
        }
        makes.zero_grad();
        (-discriminator.forward(generator.forward(noise)).mean()).backward();
        makes.step();
    }
}
