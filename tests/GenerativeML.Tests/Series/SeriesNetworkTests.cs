using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Tests.Series;

[TestClass]
[DoNotParallelize]
public sealed class SeriesNetworkTests
{
    [TestMethod]
    public void A_dilated_convolution_is_torchs_own()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        const int inputs = 3, outputs = 4, kernel = 3, steps = 11, dilation = 2;
        torch.Tensor weight = Random([outputs, inputs, kernel], 1), bias = Random([outputs], 2), x = Random([2, steps, inputs], 3);
        // Beside each other: all inputs of the earliest step, then of the next.
        var weights = new Dictionary<string, torch.Tensor>
        {
            ["c.weight"] = weight.permute(0, 2, 1).reshape(outputs, kernel * inputs), ["c.bias"] = bias,
        };
        foreach (bool causal in new[] { true, false })
        {
            torch.Tensor ours = DilatedConvolution.Run<TorchTensor>(new TorchOps(weights).Root, "c", x, steps, kernel, dilation, causal);
            torch.Tensor padded = torch.nn.functional.pad(
                x.transpose(1, 2), causal ? [(kernel - 1) * dilation, 0] : [dilation, dilation]);
            torch.Tensor theirs = torch.nn.functional.conv1d(padded, weight, bias, dilation: dilation).transpose(1, 2);
            Assert.IsLessThan(1e-5, ours.sub(theirs).abs().max().item<float>());
        }
    }

    [TestMethod]
    public void A_dilated_convolution_worked_by_hand()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        // y(t) = 100·x(t − 2) + 10·x(t − 1) + x(t), with steps two apart: of 1 2 3 4 5 6.
        var weights = new Dictionary<string, torch.Tensor>
        {
            ["c.weight"] = torch.tensor(new float[] { 100, 10, 1 }).view(1, 3), ["c.bias"] = torch.tensor(new float[] { 0.5f }),
        };
        TorchTensor x = torch.tensor(new float[] { 1, 2, 3, 4, 5, 6 }).view(1, 6, 1);
        Assert.AreEqual("1.5 2.5 13.5 24.5 135.5 246.5", Run(causal: true));
        Assert.AreEqual("13.5 24.5 135.5 246.5 350.5 460.5", Run(causal: false));

        string Run(bool causal) => string.Join(" ", DilatedConvolution.Run(
            new TorchOps(weights).Root, "c", x, 6, 3, 2, causal).Value.data<float>().ToArray());
    }

    [TestMethod]
    [DataRow(SequenceLayer.DilatedConvolution)]
    [DataRow(SequenceLayer.Lstm)]
    public void No_density_depends_on_its_own_step_or_a_later_one(SequenceLayer layer)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        const int window = 12, width = 2;
        AutoregressiveSeriesNetwork network = Autoregressive(layer, window, width);
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        for (int t = 0; t < window; t++)
        {
            torch.Tensor steps = Random([1, window * width], 7).requires_grad_(true);
            TorchTensor parameters = network.Parameters<TorchTensor>(new TorchOps(layers.Tensors).Root, steps, torch.ones(1, window));
            parameters.Value.select(1, t).sum().backward();
            float[] moves = steps.grad is { } grad ? grad.abs().view(window, width).sum(1L).data<float>().ToArray() : new float[window];
            for (int other = 0; other < window; other++)
            {
                if (other >= t)
                    Assert.AreEqual(0, moves[other], $"step {t} sees {other}");
                else if (other >= t - 7) // within the convolutions' reach
                    Assert.AreNotEqual(0, moves[other], $"step {t} does not see {other}");
            }
        }
    }

    [TestMethod]
    [DataRow(SequenceLayer.DilatedConvolution)]
    [DataRow(SequenceLayer.Lstm)]
    public void ONNX_Runtime_gives_what_torch_gives(SequenceLayer layer)
    {
        const int window = 9, width = 2;
        AutoregressiveSeriesNetwork autoregressive = Autoregressive(layer, window, width);
        var autoencoder = new SequenceAutoencoderNetwork(
            (SequenceAutoencoderOptions)new SequenceAutoencoderOptions { WindowLength = window, Width = 5, Layers = 2, Layer = layer }.Resolve(10, width),
            Input(width));
        foreach (SeriesNetwork network in new SeriesNetwork[] { autoregressive, autoencoder })
        {
            using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
            HostWeights weights = layers.ToHost(network.Declared().Tensors);
            IForwardPass pass = network is AutoregressiveSeriesNetwork a
                ? new AutoregressiveSeriesNetwork.ParameterPass(a) : new ErrorPass(autoencoder);
            int made = network is AutoregressiveSeriesNetwork b ? window * b.Density.Width : window;
            using IRowEngine onnx = new OnnxRows(pass, weights, [window * width, window]), torchs = new TorchRows(pass, weights, torch.CPU);
            float[] steps = new float[7 * window * width], observed = new float[7 * window];
            var random = new SplitMix64(3);
            NormalNumbers.Fill(ref random, steps);
            for (int i = 0; i < observed.Length; i++)
                observed[i] = i % 5 == 0 ? 0 : 1;
            float[] first = new float[7 * made], second = new float[7 * made];
            onnx.Run(7, [steps, observed], [first]);
            torchs.Run(7, [steps, observed], [second]);
            for (int i = 0; i < first.Length; i++)
                Assert.AreEqual(second[i], first[i], 1e-4f * Math.Max(1, Math.Abs(second[i])));
        }
    }

    private static AutoregressiveSeriesNetwork Autoregressive(SequenceLayer layer, int window, int width) => new(
        (AutoregressiveSeriesOptions)new AutoregressiveSeriesOptions
        {
            WindowLength = window, Width = 6, Layers = 2, Layer = layer, MixtureComponents = 2,
        }.Resolve(10, width),
        Input(width));

    private static SeriesInput Input(int width) => new()
    {
        Column = new() { Name = "Features", Type = new("Single", Dimensions: [width]), Annotations = [] }, StepWidth = width, RowsAreSeries = false,
    };

    private static torch.Tensor Random(long[] shape, ulong seed) => new SeededRandom(torch.CPU, seed).Normal(shape);

    private sealed class ErrorPass(SequenceAutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [network.Errors(w, inputs[0], inputs[1]).Errors];
    }
}
