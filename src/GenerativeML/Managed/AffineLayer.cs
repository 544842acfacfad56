namespace GenerativeML;

/// <summary>
/// A dense layer as plain numbers, y = W·x + b. What is known before any row is, such as inputs that never change or a
/// second layer right behind, is worked into it once, in double precision.
/// </summary>
/// <param name="Weights">(outputs × inputs).</param>
/// <param name="Bias">(outputs).</param>
internal sealed record AffineLayer(float[] Weights, float[] Bias)
{
    // Joining two layers takes so many multiply-adds at most, some milliseconds.
    private const long MostWork = 1 << 22;

    /// <summary>Numbers that come out.</summary>
    public int Outputs => Bias.Length;

    /// <summary>Numbers that go in.</summary>
    public int Inputs => Weights.Length / Bias.Length;

    /// <summary>Without the inputs from some number on, which always have these values.</summary>
    public AffineLayer Fix(ReadOnlySpan<float> last)
    {
        int kept = Inputs - last.Length;
        float[] weights = new float[kept * Outputs], bias = new float[Outputs];
        for (int o = 0; o < Outputs; o++)
        {
            ReadOnlySpan<float> row = Weights.AsSpan(o * Inputs, Inputs);
            row[..kept].CopyTo(weights.AsSpan(o * kept));
            double sum = Bias[o];
            for (int i = 0; i < last.Length; i++)
                sum += (double)row[kept + i] * last[i];
            bias[o] = (float)sum;
        }
        return new(weights, bias);
    }

    /// <summary>With y·scale + shift in the place of y.</summary>
    public AffineLayer Rescale(ReadOnlySpan<double> scale, ReadOnlySpan<double> shift)
    {
        int inputs = Inputs;
        float[] weights = new float[Weights.Length], bias = new float[Outputs];
        for (int o = 0; o < Outputs; o++)
        {
            for (int i = o * inputs; i < (o + 1) * inputs; i++)
                weights[i] = (float)(Weights[i] * scale[o]);
            bias[o] = (float)(Bias[o] * scale[o] + shift[o]);
        }
        return new(weights, bias);
    }

    /// <summary>Whether one layer in the place of this and the next is worth it.</summary>
    public bool IsCheaperJoined(AffineLayer next)
    {
        long joined = (long)Inputs * next.Outputs;
        return joined <= (long)Outputs * (Inputs + next.Outputs) && joined * Outputs <= MostWork;
    }

    /// <summary>This layer and the next, with nothing between them, as one.</summary>
    public AffineLayer Join(AffineLayer next)
    {
        float[] weights = new float[Inputs * next.Outputs], bias = new float[next.Outputs];
        double[] sums = new double[Inputs];
        for (int o = 0; o < next.Outputs; o++)
        {
            Array.Clear(sums);
            double constant = next.Bias[o];
            for (int h = 0; h < Outputs; h++)
            {
                double w = next.Weights[o * Outputs + h];
                constant += w * Bias[h];
                for (int i = 0; i < sums.Length; i++)
                    sums[i] += w * Weights[h * sums.Length + i];
            }
            for (int i = 0; i < sums.Length; i++)
                weights[o * sums.Length + i] = (float)sums[i];
            bias[o] = (float)constant;
        }
        return new(weights, bias);
    }
}
