using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public sealed class TabularTrainingTests
{
    [TestMethod]
    public void Every_parameter_of_the_VAE_is_moved_by_the_terms_that_should_move_it()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TokenTable tokens, TokenCounts counts, torch.Tensor rows) = Encoded(ArrayTable.Known(300, 1));
        using var random = new SeededRandom(torch.CPU, 3);
        var shape = new TabularVaeShape
        {
            LatentDimension = 3,
            ContextWidth = 8,
            HiddenWidth = 8,
            Tokens = tokens.Counts,
            Segments = [.. tokens.Counts.Select(_ => 0)],
        };
        var network = new TabularVaeNetwork(shape, tokens, counts, 12, random);

        network.Loss(rows, random).Reconstruction.backward();
        foreach ((string name, torch.Tensor value) in network.NamedTensors().Where(t => t.Value.requires_grad))
            Assert.IsGreaterThan(0, Norm(value), name);

        foreach (torch.Tensor value in network.TrainedTensors())
            value.grad = null;
        network.Loss(rows, random).Kl.sum().backward();
        foreach ((string name, torch.Tensor value) in network.NamedTensors().Where(t => t.Value.requires_grad))
            Assert.AreEqual(name.Contains("encoder"), Norm(value) > 0, name);
    }

    [TestMethod]
    public void The_untrained_VAE_knows_how_often_values_occur()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TokenTable tokens, TokenCounts counts, torch.Tensor rows) = Encoded(ArrayTable.Known(2000, 1));
        using var random = new SeededRandom(torch.CPU, 3);
        var shape = new TabularVaeShape
        {
            LatentDimension = 2,
            ContextWidth = 4,
            HiddenWidth = 4,
            Tokens = tokens.Counts,
            Segments = [.. tokens.Counts.Select(_ => 0)],
        };
        var network = new TabularVaeNetwork(shape, tokens, counts, 4, random);
        network.Decoder.OutputWeight.detach().fill_(0);
        double entropy = Enumerable.Range(0, tokens.Counts.Count).Sum(p =>
            -counts.Of(p).Where(n => n > 0).Sum(n => n / 2000.0 * Math.Log(n / 2000.0)));
        Assert.AreEqual(entropy, network.Loss(rows, random).Reconstruction.item<float>(), 0.01);
    }

    [TestMethod]
    public void Every_parameter_of_the_GAN_is_moved()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        ArrayTable table = ArrayTable.Known(300, 1);
        TokenTable tokens = TokenTable.Learn(table, (c, sample) => NumberModes.Learn(c, sample), 1, default);
        var counts = new TokenCounts(tokens.Counts);
        var source = new ModeSource(table, tokens);
        var block = new RowBlock(source.Fields, 300);
        using (IRowReader reader = source.Open())
            Assert.AreEqual(300, reader.Read(block, 0, 300));
        counts.Observe(block, 0, 300);
        using var random = new SeededRandom(torch.CPU, 5);
        var shape = new TabularGanShape
        {
            NoiseDimension = 6,
            HiddenLayers = [8, 8],
            Tokens = tokens.Counts,
            Modes = [.. tokens.Columns.Select(c => c is NumberModes n ? n.Modes.Count : 0)],
            Numbers = [.. Enumerable.Range(0, tokens.Columns.Count).Where(p => tokens.Columns[p] is NumberModes)],
        };
        using var training = new TabularGanTraining(
            shape, new TabularGanOptions { Dropout = 0 }, counts, random);
        Batch batch = HostTensors.ToBatch(block, 300, torch.CPU);
        var step = new StepContext(0, 10, random);
        for (int update = 0; update < 2; update++)
        {
            for (int term = 0; term < 2; term++)
            {
                foreach (torch.Tensor value in training.Updates[update].Parameters)
                    value.grad = null;
                LossTerm loss = training.Loss(batch, update, step)[term];
                loss.Value.backward();
                int still = training.Updates[update].Parameters.Count(p => Norm(p) == 0);
                // What judges only by differences and slopes does not see the discriminator's last bias, and the
                // penalty sees no bias but through the units that it turns on.
                int expected = loss.Name switch { "discriminator" => 1, "gradient penalty" => 3, _ => 0 };
                Assert.IsLessThanOrEqualTo(expected, still, loss.Name);
            }
        }
    }

    private static double Norm(torch.Tensor parameter) => parameter.grad?.norm().item<float>() ?? 0;

    private static (TokenTable Tokens, TokenCounts Counts, torch.Tensor Rows) Encoded(ArrayTable table)
    {
        TokenTable tokens = TokenTable.Learn(
            table, (c, sample) => NumberTokenBuilder.Build(c, sample, 16), 1, default);
        var source = new TokenSource(table, tokens);
        var block = new RowBlock(source.Fields, (int)table.RowCount);
        using (IRowReader reader = source.Open())
            reader.Read(block, 0, block.Capacity);
        var counts = new TokenCounts(tokens.Counts);
        counts.Observe(block, 0, block.Capacity);
        return (tokens, counts, HostTensors.ToBatch(block, block.Capacity, torch.CPU)[0]);
    }
}
