using GenerativeML.Tests.Core;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Strokes;

[TestClass]
[DoNotParallelize]
public sealed class SketchRnnTests
{
    private static readonly MLContext s_ml = new(1);

    private static readonly SketchRnnOptions s_small = new()
    {
        EncoderWidth = 4, DecoderWidth = 5, LatentDimension = 3, Mixtures = 2, MaxPoints = 6, Scale = 2, Seed = 1, BatchSize = 2,
    };

    private static readonly float[][] s_drawings = [[1, 2, 0, -1, 3, 1], [2, 0, 0, 0, 2, 0, -2, 1, 1, 4, 4, 1]];

    [TestMethod]
    public void Steps_give_what_torchs_own_LSTM_gives()
    {
        // torch.nn.LSTM with the same weights, over a whole sequence.
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new SketchRnnNetwork(s_small);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        torch.Tensor x = torch.randn(2, 7, 5, generator: new torch.Generator(4));
        torch.Tensor h = torch.zeros(2, 4), c = torch.zeros(2, 4);
        for (int t = 0; t < 7; t++)
        {
            (TorchTensor next, TorchTensor memory) = network.Read<TorchTensor>(w, "forward", x.select(1, t), h, c);
            (h, c) = (next, memory);
        }
        using var stock = torch.nn.LSTM(5, 4, batchFirst: true);
        using (torch.no_grad())
        {
            foreach ((string name, TorchSharp.Modules.Parameter parameter) in stock.named_parameters())
                parameter.copy_(layers.Tensors[$"encoder.forward.{name}"]);
        }
        (_, torch.Tensor expected, torch.Tensor expectedMemory) = stock.call(x, null);
        Assert.IsTrue(expected.select(0, 0).allclose(h, 1e-5, 1e-6));
        Assert.IsTrue(expectedMemory.select(0, 0).allclose(c, 1e-5, 1e-6));
    }

    [TestMethod]
    public void What_is_behind_a_drawings_end_changes_nothing_and_the_loss_is_the_papers()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new SketchRnnNetwork(s_small);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        double[] alone = [.. s_drawings.Select(d => Terms([d])[..2].Sum())];
        double[] together = Terms(s_drawings);
        Assert.AreEqual(alone.Average(), together[..2].Sum(), 1e-5);

        // By hand, of a drawing alone: −log p of each offset, and of each pen's state up to the end, over six points.
        Batch batch = SketchData.ToBatch([s_drawings[0]], s_small, torch.CPU);
        (torch.Tensor mu, torch.Tensor logVar) = network.Encode(w, batch);
        torch.Tensor said = network.Decode(w, batch, mu).squeeze(0);
        int[] pens = [0, 1, 2];
        var mixture = new MixtureDensity(2, 2, correlated: true);
        double sum = 0;
        for (int t = 0; t < 3; t++)
        {
            torch.Tensor logits = said[t].narrow(0, mixture.Width, 3);
            sum -= logits.log_softmax(0)[pens[t]].item<float>();
            if (t < 2)
            {
                TorchTensor offset = torch.tensor(new[] { s_drawings[0][3 * t] / 2, s_drawings[0][3 * t + 1] / 2 }).unsqueeze(0);
                sum -= mixture.LogDensity<TorchTensor>(said[t].unsqueeze(0), offset).Value.item<float>();
            }
        }
        Assert.AreEqual(sum / 6, alone[0], 1e-5);
        float[] means = mu.data<float>().ToArray(), logs = logVar.data<float>().ToArray();
        double kl = means.Zip(logs, (m, l) => 0.5 * (m * m + Math.Exp(l) - 1 - l)).Average();
        Assert.AreEqual(0.5 * kl, Terms([s_drawings[0]])[2], 1e-6);

        double[] Terms(float[][] drawings) =>
        [
            .. network.ValidationLoss(w, SketchData.ToBatch(drawings, s_small, torch.CPU), default).Select(term => (double)term.Value.item<float>()),
        ];
    }

    [TestMethod]
    public void No_point_sees_the_next_and_each_sees_all_before_it()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new SketchRnnNetwork(s_small);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Batch batch = SketchData.ToBatch([s_drawings[1]], s_small, torch.CPU);
        torch.Tensor points = batch[0].clone().requires_grad_(true);
        torch.Tensor said = network.Decode(
            new TorchOps(layers.Tensors).Root, new([points, .. batch.Fields.Skip(1)], 1), torch.ones(1, 3));
        for (int t = 0; t < 5; t++)
        {
            torch.Tensor gradient = torch.autograd.grad([said[0, t].sum()], [points], retain_graph: true)[0].abs().sum(-1L).squeeze(0);
            for (int i = 0; i < 6; i++)
                Assert.AreEqual(i <= t, gradient[i].item<float>() > 0, $"what is said behind point {t}, of point {i}");
        }
    }

    [TestMethod]
    public void Scores_and_features_of_a_trained_model_are_those_of_training()
    {
        using SketchRnnTransformer model = Trained();
        // The same by the network that trains, through torch.
        IDataView scored = model.Transform(Rows([.. s_drawings.Select(d => StrokeDrawing.FromStroke3(d).ToString()), ""]));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] latent = [.. scored.GetColumn<float[]>("Latent")];
        Assert.IsTrue(float.IsNaN(scores[2]) && latent[2].All(float.IsNaN));
        using DisposeScope scope = torch.NewDisposeScope();
        SketchRnnModel inner = model.Model;
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        Scope<TorchTensor> w = new TorchOps(weights).Root;
        for (int i = 0; i < 2; i++)
        {
            Batch batch = SketchData.ToBatch([s_drawings[i]], inner.Options, torch.CPU);
            (torch.Tensor mu, torch.Tensor logVar) = inner.Network.Encode(w, batch);
            Assert.AreSequenceEqual(
                mu.data<float>().ToArray(), latent[i], Comparer(1e-5f));
            double[] terms = [.. inner.Network.ValidationLoss(w, batch, default).Select(t => (double)t.Value.item<float>())];
            int points = s_drawings[i].Length / 3;
            double kl = terms[2] / inner.Options.KlWeight * inner.Options.LatentDimension;
            double expected = ((terms[0] + terms[1]) * inner.Options.MaxPoints!.Value + kl) / (points + 1);
            Assert.AreEqual(expected, scores[i], 1e-4);
        }
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
    }

    [TestMethod]
    public void Training_learns_to_draw_and_the_drawings_come_back()
    {
        // Squares and triangles with a little noise.
        using SketchRnnTransformer model = Trained(steps: 350);
        model.Temperature = 0.01;
        string square = Shape(true, 0), triangle = Shape(false, 0);
        StrokeDrawing drawn = model.Reconstruct(StrokeDrawing.Parse(square));
        Assert.AreEqual(5, drawn.PointCount);
        Assert.AreEqual(4, model.Reconstruct(StrokeDrawing.Parse(triangle)).PointCount);
        float[] expected = StrokeDrawing.Parse(square).ToStroke3(), found = drawn.ToStroke3();
        for (int i = 3; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], i % 3 == 2 ? 0 : 4f); // sides are 10 long, and noise has deviation 0.5

        // Half a square goes on as one.
        StrokeDrawing begun = StrokeDrawing.FromStroke3(expected.AsSpan(0, 9));
        StrokeDrawing completed = model.Complete(begun, model.Encode(StrokeDrawing.Parse(square)));
        Assert.AreEqual(5, completed.PointCount);
        Assert.AreSequenceEqual(expected[..9], completed.ToStroke3()[..9]);

        IReadOnlyList<StrokeDrawing> between = model.Interpolate(StrokeDrawing.Parse(square), StrokeDrawing.Parse(triangle), 5);
        Assert.AreEqual(drawn.ToString(), between[0].ToString());
        Assert.AreEqual(4, between[4].PointCount);

        // What is strange scores higher than what was there.
        float[] scores = [.. model.Transform(Rows([Shape(true, 3), Shape(false, 4), "9,9,1 -30,2,1 17,-25,1 3,40,1 5,5,1"])).GetColumn<float>("Score")];
        Assert.IsGreaterThan(Math.Max(scores[0], scores[1]), scores[2]);
    }

    [TestMethod]
    public void Generated_drawings_follow_from_the_seed_and_do_not_depend_on_how_many_there_are()
    {
        using SketchRnnTransformer model = Trained();
        string[] few = Texts(model.Generate(3, seed: 5)), many = Texts(model.Generate(70, seed: 5));
        Assert.AreSequenceEqual(few, many[..3]);
        Assert.AreNotEqual(few[0], Texts(model.Generate(1, seed: 6))[0]);
        Assert.HasCount(70, many);
        foreach (string text in many)
            Assert.IsLessThanOrEqualTo(9, StrokeDrawing.Parse(text).PointCount);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(-1));
        Assert.Throws<ArgumentException>(() => model.Generate(1, 0, new RowCondition().Equal("Drawing", "x")));

        static string[] Texts(IDataView view) => [.. view.GetColumn<string>("Drawing")];
    }

    [TestMethod]
    public void What_is_drawn_step_by_step_is_what_the_network_says_of_it_at_once()
    {
        using SketchRnnTransformer model = Trained();
        SketchRnnModel inner = model.Model;
        float[] z = [0.3f, -0.7f, 1.1f];
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        for (int seed = 0; seed < 5; seed++)
        {
            float[] drawn = model.Decode(z, seed).ToStroke3();
            Batch batch = SketchData.ToBatch([drawn], inner.Options, torch.CPU);
            torch.Tensor said = inner.Network.Decode(new TorchOps(weights).Root, batch, torch.tensor(z).view(1, 3)).squeeze(0);
            SplitMix64 random = RowRandom.Of(seed, 0);
            float[] offset = new float[2];
            for (int t = 0; t < Math.Min(drawn.Length / 3 + 1, 9); t++)
            {
                int pen = inner.Network.Density.Sample(said[t].data<float>().ToArray(), ref random, offset, model.Temperature);
                Assert.AreEqual(t * 3 == drawn.Length ? 2 : drawn[3 * t + 2], pen, $"pen behind point {t}");
                for (int i = 0; i < 2 && pen < 2; i++)
                    Assert.AreEqual(drawn[3 * t + i], offset[i] * inner.Options.Scale!.Value, 1e-3f, $"point {t}");
            }
        }
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
    }

    [TestMethod]
    public void Drawings_of_one_point_are_learned_scored_and_drawn()
    {
        using SketchRnnTransformer model = s_ml.Generative.SketchRnn(new()
        {
            EncoderWidth = 4, DecoderWidth = 4, LatentDimension = 2, Mixtures = 2, Steps = 3, ScoreColumnName = "Score",
        }).Fit(Rows(["5,5,1", "5,5,0", "1000000,-1000000,1"]));
        IDataView scored = model.Transform(Rows(["5,5,1", "1,1,0 2,2,0 3,3,1", ""]));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        Assert.IsTrue(float.IsFinite(scores[0]) && float.IsFinite(scores[1]) && float.IsNaN(scores[2]));
        Assert.IsLessThanOrEqualTo(1, model.Reconstruct(StrokeDrawing.Parse("5,5,1")).PointCount);
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Complete(StrokeDrawing.Parse("5,5,0"))).Message, "1 at most");
        foreach (string text in model.Generate(20).GetColumn<string>("Drawing"))
            Assert.IsLessThanOrEqualTo(1, StrokeDrawing.Parse(text).PointCount);
    }

    [TestMethod]
    public void Bad_drawings_and_latent_vectors_are_refused()
    {
        string Fails(params string[] rows) =>
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.SketchRnn(s_small with { Steps = 1 }).Fit(Rows(rows))).Message;
        StringAssert.Contains(Fails("1,2,0", "1,2"), "Row 1 of column 'Drawing'");
        StringAssert.Contains(Fails("", " "), "no drawing to train on");
        StringAssert.Contains(Fails("1,1,0 1,1,0 1,1,0 1,1,0 1,1,0 1,1,0 1,1,1"), "more than 6 points");
        using SketchRnnTransformer model = Trained();
        Assert.Throws<ArgumentException>(() => model.Encode(StrokeDrawing.Empty));
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Decode([1, 2])).Message, "2 features");
        Assert.Throws<ArgumentException>(() => model.Decode([1, 2, float.NaN]));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Temperature = 0);
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => model.Complete(StrokeDrawing.FromStroke3([.. Enumerable.Repeat(1f, 27)]))).Message, "9 at most");
        Exception bad = Assert.Throws<InvalidOperationException>(() => model.Transform(Rows(["1,2,1", "x"])).GetColumn<float[]>("Latent").ToArray());
        StringAssert.Contains(bad.Message, "Row 1");
    }

    private static IDataView Rows(IEnumerable<string> drawings) =>
        s_ml.Data.LoadFromEnumerable(drawings.Select(drawing => new Row { Drawing = drawing }));

    private static SketchRnnTransformer Trained(int steps = 20) => s_ml.Generative.SketchRnn(new()
    {
        EncoderWidth = 24, DecoderWidth = 48, LatentDimension = 3, Mixtures = 3, Steps = steps, BatchSize = 32, MaxPoints = 9,
        LearningRate = 1e-2, KlWeight = 0.05, ScaleAugmentation = 0, PointDropout = 0, ScoreColumnName = "Score", Seed = 2,
    }).Fit(Rows(Enumerable.Range(0, 200).Select(i => Shape(i % 2 == 0, i))));

    // A square or a triangle with sides of about ten.
    private static string Shape(bool square, int number)
    {
        float[] normal = new float[8];
        var random = new SplitMix64((ulong)number);
        NormalNumbers.Fill(ref random, normal);
        (float, float)[] corners = square ? [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)] : [(0, 0), (10, 0), (5, 9), (0, 0)];
        return StrokeDrawing.FromLines([corners.Select((c, i) =>
            (c.Item1 + 0.5f * normal[i % 4 * 2], c.Item2 + 0.5f * normal[i % 4 * 2 + 1]))]).ToString();
    }

    private static IEqualityComparer<float> Comparer(float tolerance) =>
        EqualityComparer<float>.Create((a, b) => Math.Abs(a - b) <= tolerance, _ => 0);

    private sealed class Row
    {
        public string Drawing { get; set; } = "";
    }
}
