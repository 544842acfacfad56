using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// The two terms of a VAE's loss and their gradients on the CPU, in managed code on several threads, as
/// <see cref="VaeTraining"/> has them.
/// </summary>
internal sealed unsafe class VaeStep : IDisposable
{
    // Rows that a thread takes through the networks at a time.
    private const int Chunk = 48;

    private readonly VaeShape _shape;
    private readonly PerceptronStep _encoder, _decoder;
    private readonly DenseStep _mean, _logVariance;
    private readonly AlignedBuffer<float> _means, _logVariances, _meanSlopes, _logVarianceSlopes; // (rows, Z)
    private readonly AlignedBuffer<float>[] _scratch;
    private readonly double[][] _kl; // of each thread, (Z)
    private readonly VaeSlotLoss _loss;
    private readonly WorkTeam _team;

    /// <param name="shape">The networks' sizes.</param>
    /// <param name="rows">The most rows in a step.</param>
    /// <param name="threads">How many threads compute.</param>
    public VaeStep(VaeShape shape, int rows, int threads)
    {
        _shape = shape;
        Rows = rows;
        int[] mirrored = [.. shape.HiddenLayers.Reverse()];
        Activation[] hidden = [.. mirrored.Select(_ => shape.Activation)];
        int latent = shape.LatentDimension, inputs = shape.InputWidth + shape.ConditionWidth;
        _encoder = new(1, [inputs, .. shape.HiddenLayers], hidden, rows, threads);
        _decoder = new(
            1, [latent + shape.ConditionWidth, .. mirrored, shape.InputWidth], [.. hidden, Activation.Identity], rows,
            threads);
        int last = shape.HiddenLayers.Count > 0 ? shape.HiddenLayers[^1] : inputs;
        (_mean, _logVariance) = (new(latent, last), new(latent, last));
        (_means, _logVariances) = (new(rows * latent), new(rows * latent));
        (_meanSlopes, _logVarianceSlopes) = (new(rows * latent), new(rows * latent));
        _scratch = [.. Enumerable.Range(0, threads).Select(_ => new AlignedBuffer<float>(DenseStep.ScratchLength(last)))];
        _kl = [.. Enumerable.Range(0, threads).Select(_ => new double[latent])];
        _loss = new(shape.InputWidth, threads);
        _team = new WorkTeam(threads);
    }

    /// <summary>The most rows in a step.</summary>
    public int Rows { get; }

    /// <summary>
    /// The mean over the rows of the reconstruction's negative log-likelihood, and of the KL divergence, weighted and not
    /// below the free bits; adds their gradients to the network's.
    /// </summary>
    /// <param name="model">The model whose network it is.</param>
    /// <param name="input">What the encoder sees, (B, D + C).</param>
    /// <param name="target">What the decoder has to give, (B, D).</param>
    /// <param name="noise">Normal numbers, (B, Z).</param>
    /// <param name="options">The free bits.</param>
    /// <param name="klWeight">The KL term's weight.</param>
    /// <param name="share">What the gradients are multiplied by.</param>
    public (double Reconstruction, double Kl) Run(
        VaeModel model, torch.Tensor input, torch.Tensor target, torch.Tensor noise, VaeOptions options,
        double klWeight, double share)
    {
        int rows = (int)input.shape[0], latent = _shape.LatentDimension;
        VaeNetwork network = model.Network;
        _encoder.Take([.. network.EncoderLayers()]);
        _decoder.Take([.. network.DecoderLayers()]);
        (torch.Tensor Weight, torch.Tensor Bias)[] code = network.CodeLayers();
        _mean.Take(TrainedArray.Of(code[0].Weight), TrainedArray.Of(code[0].Bias));
        _logVariance.Take(TrainedArray.Of(code[1].Weight), TrainedArray.Of(code[1].Bias));
        _loss.Take(model);
        foreach (double[] kl in _kl)
            Array.Clear(kl);

        HostArray inputs = HostArray.Of(input), targets = HostArray.Of(target), drawn = HostArray.Of(noise);
        float scale = (float)(share / rows), klScale = (float)(klWeight * share / rows);
        double pressed = 0;
        _team.Run(worker =>
        {
            _encoder.Pack(_team, worker);
            _decoder.Pack(_team, worker);
            if (worker == 0)
                _mean.Pack();
            if (worker == _team.Size - 1)
                _logVariance.Pack();
            _team.Wait();

            (int first, int end) = _team.Share(rows, worker, 12);
            for (int row = first; row < end; row += Chunk)
                Forward(inputs, targets, drawn, row, Math.Min(Chunk, end - row), worker, scale);
            _team.Wait();

            // What free bits hold back depends on all rows.
            Span<float> klScales = stackalloc float[latent];
            double sum = 0;
            for (int z = 0; z < latent; z++)
            {
                double mean = _kl.Sum(k => k[z]) / rows;
                bool free = options.FreeBits > 0 && mean < options.FreeBits;
                klScales[z] = free ? 0 : klScale;
                sum += free ? options.FreeBits : mean;
            }
            if (worker == 0)
                pressed = sum * klWeight;
            for (int row = first; row < end; row += Chunk)
                Back(drawn, row, Math.Min(Chunk, end - row), klScales);
            _team.Wait();

            float* scratch = _scratch[worker].Address;
            _encoder.Gradient(rows, _team, worker);
            _decoder.Gradient(rows, _team, worker);
            _mean.Gradient(_meanSlopes.Address, _encoder.Output(0, 0), rows, _team, worker, scratch);
            _logVariance.Gradient(_logVarianceSlopes.Address, _encoder.Output(0, 0), rows, _team, worker, scratch);
        });
        return (_loss.Finish() / rows, pressed);
    }

    public void Dispose() => _team.Dispose();

    // Through both networks, and back to the codes.
    private void Forward(
        HostArray inputs, HostArray targets, HostArray noise, int first, int rows, int worker, float scale)
    {
        int latent = _shape.LatentDimension, width = _shape.InputWidth, conditions = _shape.ConditionWidth;
        int count = rows * (width + conditions);
        new ReadOnlySpan<float>(inputs.At((nint)first * (width + conditions)), count)
            .CopyTo(new Span<float>(_encoder.Input(0, first), count));
        _encoder.Forward(0, first, rows);
        _mean.Forward(_encoder.Output(0, first), _means.Address + first * latent, rows);
        _logVariance.Forward(_encoder.Output(0, first), _logVariances.Address + first * latent, rows);
        double[] kl = _kl[worker];
        for (int row = first; row < first + rows; row++)
        {
            float* code = _decoder.Input(0, row);
            for (int z = 0; z < latent; z++)
            {
                int at = row * latent + z;
                float mean = _means.Address[at], logVariance = Clamped(_logVariances.Address[at]);
                float deviation = MathF.Exp(0.5f * logVariance);
                code[z] = mean + deviation * *noise.At(at);
                kl[z] += 0.5 * ((double)mean * mean + (double)deviation * deviation - logVariance - 1);
            }
            new ReadOnlySpan<float>(inputs.At((nint)row * (width + conditions) + width), conditions)
                .CopyTo(new Span<float>(code + latent, conditions));
        }
        _decoder.Forward(0, first, rows);
        for (int row = first; row < first + rows; row++)
        {
            _loss.Run(
                targets.At((nint)row * width), _decoder.Output(0, row), _decoder.OutputSlope(0, row), scale, worker);
        }
        _decoder.Back(0, first, rows, toInput: true);
    }

    // From the codes to the encoder's input.
    private void Back(HostArray noise, int first, int rows, ReadOnlySpan<float> klScales)
    {
        int latent = _shape.LatentDimension;
        for (int row = first; row < first + rows; row++)
        {
            float* slopes = _decoder.InputSlope(0, row);
            for (int z = 0; z < latent; z++)
            {
                int at = row * latent + z;
                float raw = _logVariances.Address[at], logVariance = Clamped(raw);
                float deviation = MathF.Exp(0.5f * logVariance);
                float byVariance = 0.5f * deviation * *noise.At(at) * slopes[z]
                    + 0.5f * (deviation * deviation - 1) * klScales[z];
                _meanSlopes.Address[at] = slopes[z] + _means.Address[at] * klScales[z];
                _logVarianceSlopes.Address[at] = raw == logVariance ? byVariance : 0;
            }
        }
        float* hidden = _encoder.OutputSlope(0, first);
        _mean.Back(_meanSlopes.Address + first * latent, hidden, rows);
        _logVariance.Back(_logVarianceSlopes.Address + first * latent, hidden, rows, add: true);
        _encoder.Back(0, first, rows);
    }

    private static float Clamped(float logVariance) =>
        Math.Clamp(logVariance, -VaeNetwork.CodeLogVariance, VaeNetwork.CodeLogVariance);
}
