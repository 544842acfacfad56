using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Sketch-RNN as somebody writes it with TorchSharp alone, after the paper: stock LSTMs and dense layers, batches drawn at
/// random and padded to the longest drawing there may be, e to the power of what the network gives as deviations and tanh
/// as correlations, Adam with 0.001 that falls to 0.00001 over the run, as the paper's does, gradients clipped at 1 each.
/// </summary>
internal sealed class StockSketch : IDisposable
{
    private const double LearningRate = 1e-3, LeastRate = 1e-5;

    private readonly SketchRnnOptions _options;
    private readonly LSTM _forward, _backward, _decoder;
    private readonly Linear _mu, _logVar, _initial, _output;
    private readonly Parameter[] _parameters;
    private readonly Adam _optimizer;

    public StockSketch(SketchRnnOptions options, int seed)
    {
        random.manual_seed(seed);
        _options = options;
        (int encoder, int decoder, int latent) = (options.EncoderWidth, options.DecoderWidth, options.LatentDimension);
        (_forward, _backward) = (nn.LSTM(5, encoder, batchFirst: true), nn.LSTM(5, encoder, batchFirst: true));
        _decoder = nn.LSTM(5 + latent, decoder, batchFirst: true);
        (_mu, _logVar) = (nn.Linear(2 * encoder, latent), nn.Linear(2 * encoder, latent));
        (_initial, _output) = (nn.Linear(latent, 2 * decoder), nn.Linear(decoder, 6 * options.Mixtures + 3));
        _parameters =
        [
            .. new nn.Module[] { _forward, _backward, _decoder, _mu, _logVar, _initial, _output }.SelectMany(m => m.parameters()),
        ];
        _optimizer = optim.Adam(_parameters, LearningRate);
    }

    /// <summary>Trains on drawings by their numbers of stroke-3; <paramref name="augment"/> changes one as training wants.</summary>
    public void Train(IReadOnlyList<float[]> drawings, int steps, int seed, Func<float[], float[]> augment)
    {
        var order = new Random(seed);
        float[] longest = new float[3 * _options.MaxPoints!.Value]; // pads a batch, and is taken out again
        for (int step = 0; step < steps; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            float[][] chosen = [.. Enumerable.Range(0, _options.BatchSize!.Value).Select(_ => augment(drawings[order.Next(drawings.Count)])), longest];
            Batch padded = SketchData.ToBatch(chosen, _options, CPU);
            var batch = new Batch([.. padded.Fields.Select(f => f.narrow(0, 0, chosen.Length - 1))], chosen.Length - 1);
            (Tensor mu, Tensor logVar) = Encode(batch);
            Tensor z = mu + (0.5 * logVar).exp() * randn_like(mu);
            (Tensor offset, Tensor pen) = LogDensities(batch, z);
            double all = batch.Rows * (double)_options.MaxPoints!.Value;
            double warmup = _options.KlWarmupFraction * steps, share = warmup > 0 ? Math.Min(1, 0.01 + 0.99 * step / warmup) : 1;
            // As the paper, the pen's states count behind the end, too.
            Tensor loss = -((offset * batch[3]).sum() + pen.sum()) / all
                + _options.KlWeight * share * Kl(mu, logVar).mean().clamp_min(_options.KlTolerance);
            _optimizer.zero_grad();
            loss.backward();
            nn.utils.clip_grad_value_(_parameters, 1);
            foreach (var group in _optimizer.ParamGroups)
                group.LearningRate = LearningRate * Math.Pow(LeastRate / LearningRate, step / (double)steps);
            _optimizer.step();
        }
    }

    /// <summary>The terms of a batch with latent vectors drawn by torch's own random numbers, sums over rows.</summary>
    public (double Reconstruction, double Kl) Terms(Batch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        (Tensor mu, Tensor logVar) = Encode(batch);
        (Tensor offset, Tensor pen) = LogDensities(batch, mu + (0.5 * logVar).exp() * randn_like(mu));
        double sum = -((offset * batch[3]).sum() + (pen * batch[4]).sum()).item<float>();
        return (sum / _options.MaxPoints!.Value, Kl(mu, logVar).mean([1L]).sum().item<float>());
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (nn.Module module in new nn.Module[] { _forward, _backward, _decoder, _mu, _logVar, _initial, _output })
            module.Dispose();
    }

    private static Tensor Kl(Tensor mu, Tensor logVar) => 0.5 * (logVar.exp() + mu * mu - logVar - 1);

    private (Tensor Mu, Tensor LogVar) Encode(Batch batch)
    {
        Tensor both = cat([Last(_forward, batch[0].narrow(1, 1, batch[1].size(1))), Last(_backward, batch[1])], 1);
        return (_mu.call(both), _logVar.call(both));

        Tensor Last(LSTM cells, Tensor points) =>
            cells.call(points, null).Item1.gather(1, batch[2].view(batch.Rows, 1, 1).expand(-1, 1, _options.EncoderWidth)).squeeze(1);
    }

    private (Tensor Offset, Tensor Pen) LogDensities(Batch batch, Tensor z)
    {
        int m = _options.Mixtures;
        long steps = batch[0].size(1) - 1;
        Tensor state = _initial.call(z).tanh();
        Tensor[] first = [.. state.chunk(2, 1).Select(part => part.contiguous().unsqueeze(0))];
        Tensor inputs = cat([batch[0].narrow(1, 0, steps), z.unsqueeze(1).expand(-1, steps, -1)], 2);
        Tensor said = _output.call(_decoder.call(inputs, (first[0], first[1])).Item1);
        Tensor[] parts = said.split([m, m, m, m, m, m, 3], -1);
        Tensor next = batch[0].narrow(1, 1, steps);
        Tensor sx = parts[3].exp(), sy = parts[4].exp(), rho = parts[5].tanh();
        Tensor x = (next.narrow(2, 0, 1) - parts[1]) / sx, y = (next.narrow(2, 1, 1) - parts[2]) / sy;
        Tensor rest = 1 - rho * rho + 1e-6;
        Tensor log = parts[0].log_softmax(-1) - (x * x + y * y - 2 * rho * x * y) / (2 * rest)
            - (2 * Math.PI * sx * sy * rest.sqrt()).log();
        return (log.logsumexp(-1), (parts[6].log_softmax(-1) * next.narrow(2, 2, 3)).sum(-1L));
    }
}
