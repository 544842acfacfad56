namespace GenerativeML.Benchmarks;

/// <summary>The ELBO of a VAE on test images, by the images protocol: one latent vector drawn for each image.</summary>
internal sealed class VaeElbo(float[][] images)
{
    /// <summary>−ELBO in nats per image.</summary>
    public double Negative(TrainedVector model)
    {
        var network = (VariationalNetwork)model.Network;
        int width = network.Input.Width, latents = network.LatentDimension;
        float[] rows = [.. images.SelectMany(image => image)], noise = new float[images.Length * latents];
        model.Features.Apply(rows, rows);
        var random = new SplitMix64(1);
        NormalNumbers.Fill(ref random, noise);
        float[] reconstruction = new float[images.Length], kl = new float[images.Length * latents];
        using var pass = new OnnxRows(new ElboPass(network), model.Weights, [width, latents]);
        pass.Run(images.Length, [rows, noise], [reconstruction, kl]);
        return (reconstruction.Sum(v => (double)v) + kl.Sum(v => (double)v)) / images.Length;
    }

    private sealed class ElboPass(VariationalNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T reconstruction, T kl) = network.NegativeElbo(w, new VectorRows<T>(inputs[0], null), inputs[1]);
            return [reconstruction, kl];
        }
    }
}
