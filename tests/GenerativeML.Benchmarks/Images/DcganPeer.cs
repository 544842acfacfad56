using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace GenerativeML.Benchmarks;

/// <summary>
/// What PyTorch's DCGAN tutorial does (https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html), written
/// plainly in TorchSharp with stock modules, for images whose sides are multiples of four: noise of 100, batches of 128,
/// Adam of 0.0002 and β₁ 0.5, weights N(0, 0.02), the non-saturating game.
/// </summary>
internal static class DcganPeer
{
    private const int Noise = 100, Batch = 128, Width = 64;
    private const double Rate = 2e-4, Beta1 = 0.5;

    /// <summary>Trains on images from 0 to 1, and makes as many as are asked for.</summary>
    public static float[][] Make(float[][] images, ImageShape shape, int steps, int count, int seed)
    {
        if (shape.Height % 4 != 0 || shape.Width % 4 != 0)
            throw new ArgumentException("The peer's networks are for images whose sides are multiples of four.");
        manual_seed(seed);
        (long h, long w) = (shape.Height / 4, shape.Width / 4);
        using Module<Tensor, Tensor> generator = Sequential(
            ConvTranspose2d(Noise, 2 * Width, (h, w), bias: false), BatchNorm2d(2 * Width), ReLU(),
            ConvTranspose2d(2 * Width, Width, 4, 2, 1, bias: false), BatchNorm2d(Width), ReLU(),
            ConvTranspose2d(Width, shape.Channels, 4, 2, 1, bias: false), Tanh());
        using Module<Tensor, Tensor> discriminator = Sequential(
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
        using var first = optim.Adam(discriminator.parameters(), Rate, Beta1, 0.999);
        using var second = optim.Adam(generator.parameters(), Rate, Beta1, 0.999);
        using var loss = BCELoss();
        var random = new Random(seed);
        for (int step = 0; step < steps; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            float[] rows = [.. Enumerable.Range(0, Batch).SelectMany(_ => images[random.Next(images.Length)])];
            Tensor real = tensor(rows).view(Batch, shape.Channels, shape.Height, shape.Width).mul(2).sub(1);
            Tensor ones = torch.ones(Batch), zeros = torch.zeros(Batch);
            discriminator.zero_grad();
            loss.forward(discriminator.forward(real), ones).backward();
            Tensor made = generator.forward(randn(Batch, Noise, 1, 1));
            loss.forward(discriminator.forward(made.detach()), zeros).backward();
            first.step();
            generator.zero_grad();
            loss.forward(discriminator.forward(made), ones).backward();
            second.step();
        }
        generator.eval();
        using IDisposable noGradient = no_grad();
        var all = new List<float[]>();
        while (all.Count < count)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor made = generator.forward(randn(Batch, Noise, 1, 1)).add(1).div(2);
            all.AddRange(made.contiguous().data<float>().ToArray().Chunk((int)shape.Length));
        }
        return [.. all.Take(count)];
    }
}
