namespace GenerativeML.Tests.Engines;

/// <summary>
/// Passes of one operation each, by name: rows x (B, K) and y (B, K), positive ones among the results of
/// <c>Positive</c>, pictures (B, 2, 3, K/6), with the weights of <see cref="Weights"/>.
/// </summary>
internal sealed class OperatorPass(string name, int width) : IForwardPass
{
    public static IReadOnlyList<string> Names { get; } =
    [
        "Add", "Subtract", "Multiply", "Divide", "Numbers", "Negate", "Max", "Concat", "IfLess", "MatMul",
        "Linear", "LinearOfThree", "LinearOfMany", "LinearOfManyEach", "Member", "LayerNorm", "GroupNorm", "Conv2d",
        "Conv2dStride", "ConvTranspose2d", "Doubled", "Halved", "HalvedOdd", "Embed", "LeakyRelu", "Softmax",
        "Clamp", "Sum", "SumMiddle", "Mean", "Least", "Largest", "LogSumExp", "CumulativeSum", "Reshape",
        "ReshapeAs", "GroupAs", "Unsqueeze",
        "Transpose", "Slice", "SliceEnd", "Input",
        "Smallest", "Gather", "BatchNorm", "BatchNormPictures", "Attention", "Lstm", "Gru", "AttendToAll", "AttendToSome", "Mixture",
        .. Enum.GetNames<Function>(),
    ];

    public static HostWeights Weights(int width, int outputs, Random random)
    {
        TensorSpec Spec(string name, params long[] shape) => new(name, TensorType.F32, shape);
        var weights = new HostWeights([
            Spec("l.weight", outputs, width), Spec("l.bias", outputs), Spec("many.weight", 3, outputs, width),
            Spec("many.bias", 3, 1, outputs), Spec("n.weight", width), Spec("n.bias", width),
            Spec("n.running_mean", width), Spec("n.running_var", width), Spec("p.weight", 2), Spec("p.bias", 2),
            Spec("p.running_mean", 2), Spec("p.running_var", 2), Spec("c.weight", 4, 2, 3, 3), Spec("c.bias", 4), Spec("t.weight", 2, 3, 4, 4),
            Spec("t.bias", 3), Spec("table", 7, 5), Spec("qkv.weight", 3 * 8, width), .. Cells("lstm", 4), .. Cells("gru", 3)]);

        TensorSpec[] Cells(string name, int gates) =>
        [
            Spec($"{name}.weight_ih_l0", gates * 5, width), Spec($"{name}.weight_hh_l0", gates * 5, 5),
            Spec($"{name}.bias_ih_l0", gates * 5), Spec($"{name}.bias_hh_l0", gates * 5),
        ];
        foreach (TensorSpec spec in weights.Specs)
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (spec.Name.EndsWith("var", StringComparison.Ordinal) ? 0.5f : -1) + 2 * random.NextSingle();
        }
        return weights;
    }

    public T[] Run<T>(Scope<T> w, T[] inputs)
        where T : struct, ITensor<T>
    {
        (T x, T y) = (inputs[0], inputs[1]);
        T positive = y.Apply(Function.Square) + 0.5f;
        T pictures = x.Reshape(0, 2, 3, width / 6);
        T twice = T.Concat(1, x.Unsqueeze(1), y.Unsqueeze(1)); // (B, 2, K)
        return
        [
            name switch
            {
                "Input" => x,
                "Add" => x + y,
                "Subtract" => x - y,
                "Multiply" => x * y,
                "Divide" => x / positive,
                "Numbers" => 3 - (x * 2 + 1 - 0.5f) / 4,
                "Negate" => -x,
                "Max" => T.Max(x, y),
                "Concat" => T.Concat(-1, x, y, x),
                "IfLess" => T.IfLess(x, y, positive, w.Constant(-1)),
                "MatMul" => x.Unsqueeze(1).MatMul(y.Unsqueeze(2)),
                "Linear" => w.Linear("l", x),
                "LinearOfThree" => w.Linear("l", twice),
                "LinearOfMany" => w.Linear("many", x).Transpose(1, 0, 2),
                "LinearOfManyEach" => w.Linear("many", x * w["n.weight"] + w["many.bias"].Slice(2, 0, 1))
                    .Transpose(1, 0, 2),
                "Member" => w.OfMember(1).Linear("many", x),
                "LayerNorm" => w.LayerNorm("n", x),
                "GroupNorm" => T.Concat(
                    1, w.GroupNorm("p", pictures, 1), pictures.GroupNorm(2, null, null), w.GroupNorm("p", pictures, 2)),
                "Conv2d" => w.Conv2d("c", pictures, padding: 1),
                "Conv2dStride" => w.Conv2d("c", pictures, stride: 2, padding: 1),
                "ConvTranspose2d" => w.ConvTranspose2d("t", pictures, stride: 2, padding: 1),
                "Doubled" => pictures.Doubled(),
                "Halved" => pictures.Halved(),
                "HalvedOdd" => pictures.Slice(3, 0, 1).Halved(),
                "Embed" => w["table"].Embed(positive.Slice(1, 0, 2).Clamp(0, 6).ToIndices()),
                "LeakyRelu" => x.LeakyRelu(0.2f),
                "Softmax" => x.Softmax(),
                "Clamp" => x.Clamp(-0.3f, 0.4f),
                "Sum" => x.Reduce(Reduction.Sum, -1),
                "SumMiddle" => twice.Reduce(Reduction.Sum, 1),
                "Mean" => x.Reduce(Reduction.Mean, 1),
                "Least" => twice.Reduce(Reduction.Min, 1),
                "Largest" => x.Reduce(Reduction.Max, 1),
                "LogSumExp" => (x * 100).LogSumExp(1),
                "CumulativeSum" => x.CumulativeSum(1),
                "Reshape" => x.Reshape(0, -1, 2, 3),
                "ReshapeAs" => x.Reshape(0, -1, 2, 3).ReshapeAs(x),
                "GroupAs" => x.Reshape(-1, 2).GroupAs(x),
                "Unsqueeze" => x.Unsqueeze(-1).Squeeze(-1).Unsqueeze(1),
                "Transpose" => pictures.Transpose(0, 3, 1, 2),
                "Slice" => x.Slice(1, 2, 3),
                "SliceEnd" => x.Slice(-1, -2, 2),
                "Smallest" => Smallest(x, w["table"]),
                "Gather" => twice.Gather((twice.Slice(2, 0, 2) * 2f + 2.5f).ToIndices()),
                "BatchNorm" => w.BatchNorm("n", x),
                "BatchNormPictures" => w.BatchNorm("p", pictures, pictures: true),
                "AttendToAll" => Attention.Attend(Places(x), Places(y), Places(positive), 2, 3, 3, width / 3),
                // Of each row the keys that are seen are others.
                "AttendToSome" => Attention.Attend(
                    x.Slice(1, 0, width / 3).Unsqueeze(1), Places(y), Places(positive), 1, 1, 3, width / 3,
                    T.OneIfLess(x.Slice(1, 0, 3), y.Slice(1, 0, 3))),
                "Attention" => w.Attention(twice.Linear(w["qkv.weight"]), 2, 4),
                "Lstm" => w.Of("lstm").Recurrent(RecurrentCell.Lstm, 0, Three()),
                "Gru" => w.Of("gru").Recurrent(RecurrentCell.Gru, 0, Three()),
                "Mixture" => (w.Linear("l", x).Softmax().Apply(Function.Log) - positive.Slice(1, 0, 1).Apply(Function.Log))
                    .LogSumExp(1).Apply(Function.Softplus),
                "Log" or "Sqrt" => positive.Apply(Enum.Parse<Function>(name)),
                _ => (x * 3).Apply(Enum.Parse<Function>(name)),
            },
        ];

        T Three() => T.Concat(1, twice, twice.Slice(1, 0, 1) * 2f);

        T Places(T rows) => rows.Reshape(0, 3, width / 3);
    }

    // In order, which is not promised.
    private static T Smallest<T>(T x, T table)
        where T : struct, ITensor<T>
    {
        (T values, T places) = x.Slice(1, 0, 6).Smallest(2);
        T all = T.Concat(2, values.Unsqueeze(2), table.Embed(places)); // (B, 2, 6)
        return T.Concat(1, all.Reduce(Reduction.Min, 1), all.Reduce(Reduction.Max, 1));
    }
}
