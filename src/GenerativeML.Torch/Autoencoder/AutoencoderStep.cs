using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// An autoencoder's loss and its gradients on the CPU, in managed code on several threads. The networks are so small
/// that torch spends its time on getting from one operator to the next.
/// </summary>
internal sealed unsafe class AutoencoderStep : IDisposable
{
    // Rows that a thread takes through the networks at a time.
    private const int Chunk = 48;

    private readonly AutoencoderShape _shape;
    private readonly PerceptronStep _network;
    private readonly WorkTeam _team;
    private readonly double[] _losses; // of each thread

    /// <param name="shape">The networks' sizes; without dropout and batch normalisation.</param>
    /// <param name="rows">The most rows in a step.</param>
    /// <param name="threads">How many threads compute.</param>
    public AutoencoderStep(AutoencoderShape shape, int rows, int threads)
    {
        _shape = shape;
        Rows = rows;
        int[] mirrored = [.. shape.HiddenLayers.Reverse()];
        int[] widths =
            [shape.NetworkInputs, .. shape.HiddenLayers, shape.LatentDimension, .. mirrored, shape.InputWidth];
        Activation[] hidden = [.. mirrored.Select(_ => shape.Activation)];
        _network = new(
            shape.Members, widths, [.. hidden, Activation.Identity, .. hidden, Activation.Identity], rows, threads);
        _losses = new double[threads];
        _team = new WorkTeam(threads);
    }

    /// <summary>The most rows in a step.</summary>
    public int Rows { get; }

    /// <summary>The mean loss; adds its gradients to the layers'.</summary>
    /// <param name="layers">All layers' tensors, from the input on.</param>
    /// <param name="clean">Standardised rows, (B, D).</param>
    /// <param name="noise">What was drawn for them.</param>
    /// <param name="share">What the gradients are multiplied by.</param>
    public double Run(
        IReadOnlyList<(torch.Tensor Weight, torch.Tensor Bias)> layers, torch.Tensor clean, AutoencoderNoise noise,
        double share)
    {
        int rows = (int)clean.shape[0];
        _network.Take(layers);
        Array.Clear(_losses);
        HostArray rowsOf = HostArray.Of(clean), level = HostArray.Of(noise.Level), normal = HostArray.Of(noise.Normal);
        HostArray masked = HostArray.Of(noise.MaskedShare), uniform = HostArray.Of(noise.Uniform);
        _team.Run(worker =>
        {
            _network.Pack(_team, worker);
            _team.Wait();
            (int first, int end) = _team.Share(_shape.Members * rows, worker, 12);
            while (first < end)
            {
                // Some rows of one member.
                (int member, int row) = Math.DivRem(first, rows);
                int some = Math.Min(Math.Min(Chunk, end - first), rows - row);
                for (int i = 0; i < some; i++)
                    Disturb(rowsOf, level, normal, masked, uniform, member, row + i, rows);
                _network.Forward(member, row, some);
                for (int i = 0; i < some; i++)
                    _losses[worker] += Error(rowsOf, level, member, row + i, rows, (float)share);
                _network.Back(member, row, some);
                first += some;
            }
            _team.Wait();
            _network.Gradient(rows, _team, worker);
        });
        return _losses.Sum() / ((double)_shape.Members * rows * _shape.InputWidth);
    }

    public void Dispose() => _team.Dispose();

    /// <summary>Writes what a network is given for a row: with noise, slots hidden, and the marks of both.</summary>
    private void Disturb(
        HostArray clean, HostArray level, HostArray normal, HostArray masked, HostArray uniform, int member, int row,
        int rows)
    {
        int width = _shape.InputWidth;
        nint place = (nint)member * rows + row;
        float* from = clean.At(row * (nint)width), to = _network.Input(member, row);
        float deviation = level.IsThere ? MathF.Exp(*level.At(place)) : (float)_shape.Noise.High;
        if (normal.IsThere)
        {
            // Drawn with the deviation where that is always the same.
            float* drawn = normal.At(place * width);
            float factor = level.IsThere ? deviation : 1;
            for (int i = 0; i < width; i++)
                to[i] = from[i] + drawn[i] * factor;
        }
        else
        {
            new ReadOnlySpan<float>(from, width).CopyTo(new Span<float>(to, width));
        }
        if (masked.IsThere)
        {
            float share = *masked.At(place), hidden;
            float* drawn = uniform.At(place * width);
            for (int i = 0; i < width; i++)
            {
                hidden = drawn[i] - share < 0 ? 1 : 0;
                to[i] -= to[i] * hidden;
                to[width + i] = hidden;
            }
        }
        if (level.IsThere)
            to[_shape.NetworkInputs - 1] = *level.At(place);
    }

    /// <summary>A row's weighted squared error; writes the gradient of the mean by what the network made of it.</summary>
    private double Error(HostArray clean, HostArray level, int member, int row, int rows, float share)
    {
        int width = _shape.InputWidth;
        float* wanted = clean.At(row * (nint)width), output = _network.Output(member, row);
        float* slopes = _network.OutputSlope(member, row);
        float weight = 1;
        if (level.IsThere)
        {
            float deviation = MathF.Exp(*level.At((nint)member * rows + row));
            weight = AutoencoderNoise.Weight(deviation);
        }
        float factor = 2 * weight * share / ((float)_shape.Members * rows * width);
        double sum = 0;
        for (int i = 0; i < width; i++)
        {
            float error = output[i] - wanted[i];
            slopes[i] = error * factor;
            sum += error * error;
        }
        return weight * sum;
    }
}
