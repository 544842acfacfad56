using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>The ELBO of a VAE on test images, by the images protocol: one code drawn for each image.</summary>
internal sealed class VaeElbo(float[][] images)
{
    private const int BatchRows = 1000;

    private readonly int _width = images[0].Length;

    /// <summary>−ELBO in nats per image.</summary>
    public double Negative(VaeModel model)
    {
        using IDisposable noGradient = torch.no_grad();
        using var random = new SeededRandom(torch.CPU, seed: 1);
        double sum = 0;
        foreach (float[][] batch in images.Chunk(BatchRows))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            float[] values = [.. batch.SelectMany(image => image)];
            torch.Tensor rows = HostTensors.FromRows(values, batch.Length, _width, torch.CPU);
            torch.Tensor seen = model.Standardize(rows);
            (torch.Tensor mean, torch.Tensor logVariance) = model.Encode(seen, condition: null);
            torch.Tensor code = mean.add(logVariance.mul(0.5).exp().mul(random.Normal(mean.shape)));
            torch.Tensor loss = model.SlotLoss(model.Target(rows, seen), model.Decode(code, condition: null));
            sum += loss.sum().item<float>() + VaeModel.KlDivergence(mean, logVariance).sum().item<float>();
        }
        return sum / images.Length;
    }
}
