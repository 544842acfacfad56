using System.Text.Json;

namespace GenerativeML;

/// <summary>
/// A step of the forward algorithm (Rabiner 1989) in single precision, for ONNX files: the probabilities of states after the
/// steps before, (B, K), and a step, (B, D) → the same after this step, and log p(step | steps before), (B, 1).
/// </summary>
internal sealed class HiddenMarkovStep(int states, int categories, bool isText, bool hasMatrices) : IForwardPass
{
    /// <summary>The pass of a model; of categories, a step is a number from one on, or zero for none.</summary>
    public static OnnxPass Of(HiddenMarkovModel model, HiddenMarkovInput input)
    {
        int k = model.States;
        List<(TensorSpec, float[])> weights = [Tensor("start", model.Start, 1, k), Tensor("transitions", model.Transitions, k, k)];
        bool hasMatrices = false;
        if (model.Emissions is CategoricalEmissions emissions)
        {
            // The first says nothing of states.
            double[] logs = new double[(input.Categories + 1) * k];
            for (int c = 0; c < input.Categories; c++)
                emissions.LogProbabilities([(float)c], logs.AsSpan((c + 1) * k, k));
            weights.Add(Tensor("logs", logs, input.Categories + 1, k));
        }
        else
        {
            var gaussian = (GaussianEmissions)model.Emissions;
            int d = gaussian.Width, components = gaussian.Weights.Length;
            hasMatrices = gaussian.HasMatrices;
            // Features are centred first, of which single precision loses digits where they are far from zero.
            double[] centre =
                [.. Enumerable.Range(0, d).Select(i => (double)(float)Enumerable.Range(0, components).Average(c => gaussian.Means[c * d + i]))];
            (double[] inverses, double[] shifts, double[] constants) = gaussian.Whitening(centre);
            weights.AddRange(
            [
                Tensor("centre", centre, 1, d), Tensor("constants", constants, 1, k, components / k),
                Tensor("shifts", shifts, components, 1, d),
                hasMatrices ? Tensor("inverses", inverses, components, d, d) : Tensor("inverses", inverses, components, 1, d),
            ]);
        }
        string step = input.Column.Name, past = VectorOnnx.OutputName("past", [step]);
        string[] outputs = [VectorOnnx.OutputName("present", [step]), VectorOnnx.OutputName("log_likelihood", [step])];
        return new(
            HostWeights.Of(weights), new HiddenMarkovStep(k, input.IsCategorical ? input.Categories : 0, input.IsText, hasMatrices),
            [(step, input.StepWidth), (past, k)], outputs,
            input.IsText ? [("states", $"{k}"), ("symbols", JsonSerializer.Serialize(input.Symbols, ModelJson.Readable))] : [("states", $"{k}")]);
    }

    public T[] Run<T>(Scope<T> w, T[] inputs)
        where T : struct, ITensor<T>
    {
        T zero = w.Constant(0), isFinite = T.OneIfLess(inputs[0].Apply(Function.Abs), w.Constant(float.PositiveInfinity));
        T step = T.IfLess(zero, isFinite, inputs[0], zero), isObserved = isFinite.Reduce(Reduction.Min, 1);
        T emitted;
        if (categories > 0)
        {
            // A key of which there is none was not observed; a character is one of all others, which come last.
            if (!isText)
                step = T.IfLess(w.Constant(categories + 0.5f), step, zero, step);
            emitted = w["logs"].Embed(step.Clamp(0, categories).ToIndices().Squeeze(1));
            isObserved = T.OneIfLess(w.Constant(0.5f), step);
        }
        else
        {
            emitted = T.IfLess(zero, isObserved, LogDensities(w, step - w["centre"]), zero);
        }
        T expected = T.IfLess(inputs[1].Reduce(Reduction.Sum, 1), w.Constant(0.5f), w["start"], inputs[1].MatMul(w["transitions"]));
        T joint = expected.Apply(Function.Log) + emitted, most = joint.Reduce(Reduction.Max, 1), least = w.Constant(float.MinValue);
        // Where no state is possible, the step counts as one that was not observed, and its log-likelihood is −∞.
        T top = T.IfLess(most, least, zero, most), shares = (joint - top).Apply(Function.Exp), sum = shares.Reduce(Reduction.Sum, 1);
        T present = T.IfLess(most, least, expected, shares / sum);
        return [present, T.IfLess(zero, isObserved, sum.Apply(Function.Log) + top, w.Constant(float.NaN))];
    }

    // (B, D) → (B, K)
    private T LogDensities<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        // (K·M, B, D)
        T away = (hasMatrices ? x.Linear(w["inverses"]) : x.Unsqueeze(0) * w["inverses"]) - w["shifts"];
        T squares = away.Apply(Function.Square).Reduce(Reduction.Sum, 2).Clamp(0, 1e30f).Transpose(1, 0, 2);
        T logs = w["constants"] - squares.Reshape(0, states, -1) * 0.5f; // (B, K, M)
        return logs.LogSumExp(2).Squeeze(2);
    }

    private static (TensorSpec, float[]) Tensor(string name, double[] values, params long[] shape) =>
        (new(name, TensorType.F32, shape), Array.ConvertAll(values, value => (float)value));
}
